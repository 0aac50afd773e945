"""fANOVA against closed forms and against the slow, exhaustive sum over every cell of a tree."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.analysis.fanova import FEW, Leaves, _alone, _moments, _Part, _together, drawn_in, fanova, leaves_of
from rung.analysis.regions import Region, counts, find_regions, varying
from rung.models.forest import as_points, fit_forest
from rung.space import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Space
from rung.space.rules import Condition


def shares(space, losses_of, n=3000, pairs=False):
    """The mean shares of the variance that fANOVA finds on n random points; names, single, pair."""
    compiled = compile_space(space)
    columns = varying(compiled)
    rows = compiled.samples(3, 0, n)
    losses = np.array([losses_of(compiled.to_mapping(row)) for row in rows])
    points = compiled.encode(rows)[:, columns]
    regions = find_regions(compiled, columns, points, 10)
    found = fanova(regions, losses, counts(compiled, columns), pairs=pairs)
    names = [compiled.names[i] for i in columns]
    pair = found.pair.mean(axis=0) if pairs else None
    return dict(zip(names, found.single.mean(axis=0), strict=True)), pair


def test_an_additive_function_has_the_closed_form():
    space = Space({name: Float(0.0, 1.0) for name in "abc"} | {"seed": Constant(1)})
    found, _ = shares(space, lambda c: 3 * c["a"] + 2 * c["b"] + c["c"])
    assert found == pytest.approx({"a": 9 / 14, "b": 4 / 14, "c": 1 / 14}, abs=0.03)


def test_a_product_has_the_closed_form_and_its_interaction():
    space = Space({"a": Float(0.0, 1.0), "b": Float(0.0, 1.0)})
    found, pair = shares(space, lambda c: c["a"] * c["b"], pairs=True)
    assert found == pytest.approx({"a": 3 / 7, "b": 3 / 7}, abs=0.03)
    assert pair[0, 1] == pair[1, 0] == pytest.approx(1 / 7, abs=0.03)
    assert pair[0, 0] == 0.0


def test_a_logarithmic_parameter_counts_by_orders_of_magnitude():
    space = Space({"lr": Float(1e-4, 1.0, log=True), "x": Float(0.0, 1.0)})
    found, _ = shares(space, lambda c: math.log10(c["lr"]) + 4.0 * c["x"])
    assert found == pytest.approx({"lr": 0.5, "x": 0.5}, abs=0.03)


def test_values_of_a_list_count_alike():
    space = Space({"kind": Categorical(["a", "b", "c"]), "n": Integer(1, 4)})
    found, _ = shares(space, lambda c: {"a": 0.0, "b": 3.0, "c": 0.0}[c["kind"]] + c["n"])
    # variances: 9 * 2 / 9 = 2 and (16 - 1) / 12 = 1.25; the forest has all 12 points, and no noise
    assert found == pytest.approx({"kind": 2.0 / 3.25, "n": 1.25 / 3.25}, abs=1e-6)


def test_an_interaction_of_lists_is_whole_whatever_their_lengths():
    table = np.random.default_rng(0).random((5, 7))
    table -= table.mean(axis=0)
    table -= table.mean(axis=1, keepdims=True)
    space = Space({"a": Categorical(list(range(5))), "b": Categorical(list(range(7)))})
    found, pair = shares(space, lambda c: table[c["a"], c["b"]], n=600, pairs=True)
    assert found == pytest.approx({"a": 0.0, "b": 0.0}, abs=1e-6)
    assert pair[0, 1] == pytest.approx(1.0, abs=1e-6)


def test_a_parameter_of_a_branch_counts_for_its_share_of_the_space():
    space = Space({"kind": Choice({"a": {"m": Float(0.0, 1.0)}, "b": {}})})
    found, pair = shares(space, lambda c: c.get("m", 0.25), pairs=True)
    total = 0.5 / 3 + 0.5 / 16 - 0.375**2
    expected = {"kind": 0.125**2 / total, "m": 0.25 / 12 / total}
    assert found == pytest.approx(expected, abs=0.02)
    assert pair[0, 1] == pytest.approx(1.0 - sum(expected.values()), abs=0.02)


def test_a_condition_on_a_number():
    space = Space(
        {"a": Float(0.0, 1.0), "b": Float(0.0, 1.0)}, conditions=[Condition("b", on="a", greater=0.75)]
    )
    found, _ = shares(space, lambda c: c.get("b", 0.0), n=6000)
    total = 0.25 / 3 - 0.125**2
    assert found["b"] == pytest.approx(0.25**2 / 12 / total, abs=0.02)
    assert found["a"] == pytest.approx((0.25 * 0.25 - 0.125**2) / total, abs=0.03)


def test_regions_share_the_space():
    space = compile_space(
        Space(
            {
                "o": Choice({"sgd": {"m": Float(0.0, 1.0)}, "adam": {"b": Float(0.0, 1.0)}, "none": {}}),
                "x": Float(0.0, 1.0),
            }
        )
    )
    columns = varying(space)
    points = space.encode(space.samples(0, 0, 300))[:, columns]
    regions = find_regions(space, columns, points, 10)
    assert len(regions) == 3
    assert [region.share for region in regions] == pytest.approx([1 / 3] * 3, abs=0.02)
    assert sorted(np.concatenate([region.rows for region in regions])) == list(range(300))
    for region in regions:
        assert not np.isnan(region.points).any()
        assert region.below(0, np.array(1.0)) == pytest.approx(1.0)
        assert np.count_nonzero(region.weights[0]) == 1  # of the choice only one branch


def test_more_patterns_than_regions_are_pooled():
    branches = {f"c{i}": Choice({"on": {f"x{i}": Float(0.0, 1.0)}, "off": {}}) for i in range(6)}
    space = compile_space(Space(branches))
    columns = varying(space)
    points = space.encode(space.samples(0, 0, 900))[:, columns]
    regions = find_regions(space, columns, points, 10)
    assert len(regions) == 13
    assert sum(region.share for region in regions) == pytest.approx(1.0)
    assert sum(len(region.rows) for region in regions) == 900


# -- the exhaustive oracle -------------------------------------------------------------------------------


def slow(leaves):
    """Variance, that of each marginal, that of each two columns': through every cell of the borders."""
    k = leaves.low.shape[1]
    edges = [np.unique(np.concatenate([[0.0, 1.0], leaves.low[:, j], leaves.high[:, j]])) for j in range(k)]
    cells = list(itertools.product(*(range(len(e) - 1) for e in edges)))
    volume, value = {}, {}
    for cell in cells:
        centre = np.array([(edges[j][c] + edges[j][c + 1]) / 2 for j, c in enumerate(cell)])
        inside = ((leaves.low < centre) & (centre < leaves.high)).all(axis=1)
        assert inside.sum() == 1
        volume[cell] = math.prod(edges[j][c + 1] - edges[j][c] for j, c in enumerate(cell))
        value[cell] = float(leaves.value[inside][0])
    mean = sum(volume[c] * value[c] for c in cells)

    def marginal(*columns):
        total = 0.0
        for fixed in itertools.product(*(range(len(edges[j]) - 1) for j in columns)):
            here = [c for c in cells if all(c[j] == f for j, f in zip(columns, fixed, strict=True))]
            size = sum(volume[c] for c in here)
            average = sum(volume[c] * value[c] for c in here) / size
            total += size * (average - mean) ** 2
        return total

    single = np.array([marginal(j) for j in range(k)])
    pair = np.zeros((k, k))
    for i, j in itertools.combinations(range(k), 2):
        pair[i, j] = pair[j, i] = marginal(i, j) - single[i] - single[j]
    return marginal(*range(k)), single, pair


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(2, 14))
def test_a_tree_is_walked_exactly(seed, k, n):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(2, FEW + 1, size=k)
    points = (rng.integers(numbers, size=(n, k)) + 0.5) / numbers
    losses = rng.normal(size=n)
    (tree,) = fit_forest(as_points(points), losses, seed=seed, trees=1, best_splits=True).trees
    leaves = leaves_of(tree, numbers)
    total, single, pair = slow(leaves)
    region = Region(1.0, np.arange(n), np.ones(k, bool), points, (None,) * k)
    part = _Part(region, leaves)
    mean, variance = _moments([part])
    assert variance == pytest.approx(total, abs=1e-9)
    assert _alone([part], mean) == pytest.approx(single, abs=1e-9)
    assert _together([part], mean, numbers) == pytest.approx(np.maximum(pair, 0.0), abs=1e-9)


def test_leaves_of_listed_values_end_between_the_values():
    points = np.array([[0.5 / 3], [2.5 / 3]])  # the middle one of three was never tried
    (tree,) = fit_forest(as_points(points), np.array([0.0, 1.0]), seed=1, trees=1, best_splits=True).trees
    leaves = leaves_of(tree, np.array([3]))
    if len(leaves.value) > 1:
        borders = np.unique(np.concatenate([leaves.low, leaves.high]))
        assert np.allclose(borders * 3, np.round(borders * 3))


def test_weights_of_a_region_are_a_measure():
    weights = np.array([0.5, 0.0, 0.5, 0.0])
    region = Region(1.0, np.arange(1), np.ones(1, bool), np.zeros((1, 1)), (weights,))
    leaves = Leaves(np.array([[0.0], [0.5]]), np.array([[0.5], [1.0]]), np.array([1.0, 3.0]))
    part = _Part(region, leaves)
    assert part.weight.tolist() == [0.5, 0.5]
    assert region.below(0, np.array([0.125, 0.25, 0.5, 0.6])) == pytest.approx([0.25, 0.5, 0.5, 0.7])


# -- values that are no help -----------------------------------------------------------------------------


def test_far_outliers_and_failures_are_drawn_in():
    losses = np.array([*np.linspace(0.0, 1.0, 99), 1e12, math.inf])
    found = drawn_in(losses)
    assert found[:99].tolist() == losses[:99].tolist()
    assert 1.0 < found[99] == found[100] < 3.0


def test_where_only_failing_differs_that_is_explained():
    assert drawn_in(np.array([2.0, 2.0, math.inf, 2.0])).tolist() == [2.0, 2.0, 3.0, 2.0]


def test_equal_values_have_no_shares():
    points = np.random.default_rng(0).random((30, 2))
    region = Region(1.0, np.arange(30), np.ones(2, bool), points, (None, None))
    assert fanova([region], np.full(30, 4.0), np.zeros(2, np.int64)).single.shape == (0, 2)


def test_the_same_seed_gives_the_same():
    points = np.random.default_rng(0).random((200, 3))
    region = Region(1.0, np.arange(200), np.ones(3, bool), points, (None,) * 3)
    one, two, other = (
        fanova([region], points[:, 0], np.zeros(3, np.int64), seed=seed).single for seed in (1, 1, 2)
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
