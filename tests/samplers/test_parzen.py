"""The Parzen estimators against a plain double loop over scipy's distributions, and their integrals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rung.samplers.frame import Frame
from rung.samplers.parzen import Settings, fit
from rung.space.compiled import compile_space
from rung.space.domains import Beta, Categorical, Choice, Float, Integer, Normal, Ordinal
from rung.space.values import INACTIVE

SETTINGS = Settings(0.05, None, None)

FLAT = compile_space(
    {
        "x": Float(-1, 1),
        "lr": Float(1e-4, 1, log=True),
        "n": Integer(1, 5),
        "k": Integer(1, 6, log=True),
        "size": Ordinal(["s", "m", "l", "xl"]),
        "act": Categorical(["a", "b", "c"]),
    }
)
TREE = compile_space(
    {
        "z": Float(0, 1, prior=Normal(0.3, 0.2)),
        "kind": Choice(
            {
                "p": {"x": Float(0, 1, prior=Beta(2, 4)), "n": Integer(1, 4)},
                "q": {"c": Categorical(["u", "v"], prior=[3, 1])},
                "r": {},
            }
        ),
    }
)
STEPS = compile_space({"n": Integer(1, 30), "s": Float(0, 1, step=0.05)})
LONG = compile_space({"k": Integer(1, 200, log=True)})


def everything(space):
    return Frame(space, np.arange(space.size))


def fitted(space, n, seed=0, settings=SETTINGS, prior=0.7):
    rows = [space.sample(seed, i) for i in range(n)]
    weights = np.random.default_rng(seed).random(n) + 0.1
    frame = everything(space)
    return fit(frame, frame.features(space.encode(rows)), weights, prior, settings), rows, weights


def cell(axis, domain, value):
    """The part of the unit line that a value has."""
    position = axis.cube(axis.column([value]))[0]
    if isinstance(domain, Integer) and domain.log:
        low, high = math.log(domain.low - 0.5), math.log(domain.high + 0.5)
        return tuple((math.log(value + d) - low) / (high - low) for d in (-0.5, 0.5))
    return position - 0.5 / axis.count, position + 0.5 / axis.count


def plain_kernel(space, j, value, centre, h):
    """The density at `value`, relative to the uniform one, of the kernel around `centre`."""
    axis, domain = space.columns.axes[j], space.domains[j]
    if value is INACTIVE:
        return 1.0
    x = axis.cube(axis.column([value]))[0]
    if centre is INACTIVE:
        return math.exp(axis.log_density(np.array([x]))[0])
    if axis.levels:
        return axis.levels * (1.0 - h if value == centre else h / (axis.levels - 1))
    mu = axis.cube(axis.column([centre]))[0]
    if axis.count is not None:
        low, high = cell(axis, domain, value)
        if axis.count <= 12:  # small tables are around the middle of a value's part
            mu = sum(cell(axis, domain, centre)) / 2
        kernel = stats.truncnorm(-mu / h, (1 - mu) / h, mu, h)
        return (kernel.cdf(high) - kernel.cdf(low)) / (high - low)
    return stats.truncnorm(-mu / h, (1 - mu) / h, mu, h).pdf(x)


def plain_density(space, model, rows, weights, prior, value):
    """One observation after another, one dimension after another."""
    h = {int(j): float(b) for j, b in zip(model.frame.dims, model.bandwidths, strict=True)}
    total = prior * math.prod(plain_kernel(space, j, value[j], INACTIVE, h[j]) for j in range(space.size))
    for row, weight in zip(rows, weights, strict=True):
        total += weight * math.prod(plain_kernel(space, j, value[j], row[j], h[j]) for j in range(space.size))
    return total / (weights.sum() + prior)


def as_points(frame, values):
    """Configurations as settled points of a frame."""
    matrix = frame.space.encode(values)
    c = len(frame.smooth)
    points = np.empty((len(values), len(frame.dims)))
    points[:, :c] = matrix[:, frame.smooth]
    for i, table in enumerate(frame.tables, c):
        x = matrix[:, table.dim]
        codes = np.searchsorted(table.edges, np.where(np.isnan(x), 0.0, x), side="right") - 1
        points[:, i] = np.where(np.isnan(x), np.nan, codes)
    return points


@pytest.mark.parametrize("space", [FLAT, TREE], ids=["flat", "tree"])
@pytest.mark.parametrize("n", [1, 12])
def test_the_density_is_that_of_a_double_loop(space, n):
    model, rows, weights = fitted(space, n, seed=n)
    values = [space.sample(99, i) for i in range(10)]
    found = np.exp2(model.log2(as_points(model.frame, values)))
    expected = [plain_density(space, model, rows, weights, 0.7, value) for value in values]
    np.testing.assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.parametrize(("space", "within"), [(STEPS, 0.02), (LONG, 0.2)], ids=["even", "logarithmic"])
def test_numbers_with_many_steps_are_near_their_mass(space, within):
    model, rows, weights = fitted(space, 15, settings=Settings(0.001, None, None))
    values = [space.sample(99, i) for i in range(20)]
    found = np.exp2(model.log2(as_points(model.frame, values)))
    expected = [plain_density(space, model, rows, weights, 0.7, value) for value in values]
    np.testing.assert_allclose(found, expected, rtol=within)


def test_without_observations_the_density_is_the_prior():
    model, _, _ = fitted(TREE, 0)
    values = [TREE.sample(1, i) for i in range(20)]
    expected = TREE.log_prior(TREE.encode(values))
    np.testing.assert_allclose(math.log(2) * model.log2(as_points(model.frame, values)), expected, atol=1e-12)


@pytest.mark.parametrize("space", [FLAT, TREE, STEPS], ids=["flat", "tree", "steps"])
def test_the_density_integrates_to_one(space):
    """Its mean over uniform configurations: 1, but for 4 standard errors and Sheppard's correction."""
    model, _, _ = fitted(space, 12, settings=Settings(0.1, None, 0.3))
    values = space.samples(5, 0, 40_000, uniform=True)
    density = np.exp2(model.log2(as_points(model.frame, values)))
    error = 4 * density.std() / math.sqrt(len(density))
    assert abs(density.mean() - 1.0) < error + 0.01
    assert error < 0.1


@pytest.mark.parametrize("space", [FLAT, TREE], ids=["flat", "tree"])
def test_drawn_points_follow_the_density(space):
    """The mean of 1 / density over points drawn from it is the volume of where they may lie: 1."""
    model, _, _ = fitted(space, 8, settings=Settings(0.2, None, 0.5), prior=3.0)
    points = model.draw(40_000, np.random.default_rng(3))
    inverse = np.exp2(-model.log2(points))
    assert abs(inverse.mean() - 1.0) < 4 * inverse.std() / math.sqrt(len(inverse))
    assert inverse.std() < 5.0


def test_many_observations_have_the_density_of_a_few_repeated():
    few, rows, weights = fitted(TREE, 60)
    frame = everything(TREE)
    features = np.repeat(frame.features(TREE.encode(rows)), 200, axis=1)
    many = fit(frame, features, np.repeat(weights, 200) / 200, 0.7, SETTINGS)
    object.__setattr__(many, "bandwidths", few.bandwidths)
    points = few.draw(24, np.random.default_rng(0))
    np.testing.assert_allclose(many.log2(points), few.log2(points), atol=2e-3)


def test_bandwidths_are_scotts_with_the_priors_centre_as_one_more():
    space = compile_space({"x": Float(0, 1), "y": Float(0, 1)})
    rng = np.random.default_rng(0)
    matrix = rng.random((40, 2)) * [1.0, 0.2]
    frame = everything(space)
    model = fit(frame, frame.features(matrix), np.ones(40), 1.0, Settings(1e-3, None, None))
    values = np.vstack([matrix, [0.5, 0.5]])
    low, high = np.percentile(values, [25, 75], axis=0)
    expected = 1.059 * np.minimum((high - low) / 1.34, values.std(axis=0, ddof=1)) * 41**-0.2
    np.testing.assert_allclose(model.bandwidths, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("n", "settings", "least"),
    [
        (3, Settings(0.03, 2.0, None), 0.04),
        (18, Settings(0.03, 2.0, None), 0.03),
        (3, Settings(0.03, 1.0, None), 0.2),
    ],
)
def test_magic_clipping_widens_the_kernels_of_few_observations(n, settings, least):
    space = compile_space({"x": Float(0, 1)})
    frame = everything(space)
    model = fit(frame, frame.features(np.full((n, 1), 0.5)), np.ones(n), 1.0, settings)
    assert model.bandwidths[0] == pytest.approx(least)


def test_a_categorys_bandwidth_shrinks_as_if_each_were_observed_once_more():
    space = compile_space({"c": Categorical(list("abcd"))})
    frame = everything(space)
    for n in (1, 10, 100):
        features = frame.features(np.full((n, 1), 0.1))
        model = fit(frame, features, np.ones(n), 1.0, SETTINGS)
        mass = np.exp2(frame.tables[0].log_kernel(model.bandwidths[0]))[:, 0] / 4
        expected = np.array([n + 2, 1, 1, 1]) / (n + 5)
        np.testing.assert_allclose(mass, expected)


@pytest.mark.parametrize("domain", [Categorical(list("abcdefg")), Integer(1, 9)], ids=["category", "steps"])
def test_a_part_of_a_kernels_table_is_the_same_as_in_the_whole(domain):
    table = everything(compile_space({"c": domain})).tables[0]
    at, around, whole = np.array([3, 0, 3]), np.array([6, 3]), table.log_kernel(0.3)
    np.testing.assert_array_equal(table.log_kernel(0.3, at, around), whole[np.ix_(at, around)])


def test_a_category_of_100_000_values_needs_no_table_of_their_pairs():
    space = compile_space({"c": Categorical(range(100_000))})
    frame = everything(space)
    model = fit(frame, frame.features(np.array([[0.5], [0.7]])), np.ones(2), 1.0, SETTINGS)
    points = model.draw(24, np.random.default_rng(0))
    assert np.isfinite(model.log2(points)).all()


def test_a_kernel_far_from_all_points_is_still_finite():
    space = compile_space({f"x{i}": Float(0, 1) for i in range(200)})
    frame = everything(space)
    features = frame.features(np.full((30, 200), 0.01))
    model = fit(frame, features, np.ones(30), 1e-300, Settings(1e-3, None, None))
    points = np.vstack([np.full(200, 0.99), np.full(200, 0.01)])
    found = model.log2(points)
    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(math.log2(model.prior), rel=1e-6)
    assert found[1] > 1000.0


def test_a_hot_category_table_and_a_gap_have_their_places_in_the_features():
    frame = everything(TREE)
    values = [
        TREE.from_mapping({"z": 0.25, "kind": "p", "x": 0.75, "n": 3}),
        TREE.from_mapping({"z": 0.5, "kind": "r"}),
    ]
    features = frame.features(TREE.encode(values)).T.tolist()
    assert [TREE.keys[j] for j in frame.dims] == ["z", "kind.p.x", "kind", "kind.p.n", "kind.q.c"]
    assert [TREE.keys[frame.dims[i]] for i in frame.gated] == ["kind.p.x", "kind.p.n", "kind.q.c"]
    assert features[0] == [-0.25, 0.25, 0.0625, 0.0625, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    assert features[1] == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1]
