"""Candidates as arrays against the space's own encoding and moves; improvement against its integral."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from rung.samplers.candidates import (
    Moves,
    best_allowed,
    best_of,
    climb,
    configurations,
    enough,
    random_points,
    without_failures,
)
from rung.samplers.improvement import (
    FLOOR,
    log_improvement,
    log_improvement_of_exp,
    log_scaled,
    normal_scores,
    standardised,
)
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Ordinal, Space
from rung.space.rules import Forbidden, Is

MIXED = compile_space(
    Space(
        {
            "fixed": Constant("c"),
            "kind": Choice(
                {"a": {"x": Float(0, 1), "n": Integer(1, 5)}, "b": {"y": Float(1e-4, 1, log=True)}, "c": {}}
            ),
            "flag": Categorical([True, False]),
            "size": Ordinal(["s", "m", "l", "xl"]),
            "step": Float(0, 1, step=0.25),
            "z": Float(-1, 1),
            "k": Integer(1, 1000, log=True),
        },
        forbidden=[Forbidden(Is("z", at_least=0.5) & Is("flag", equals=True))],
    )
)


def generator(seed=0):
    return np.random.default_rng(seed)


def test_random_points_are_legal_and_encoded_as_the_space_encodes_them():
    points = random_points(MIXED, generator(), 500)
    rows = MIXED.decode(points)
    assert 350 < len(points) < 500
    assert MIXED.legal(rows).all()
    np.testing.assert_allclose(points, MIXED.encode(rows), rtol=0, atol=1e-12)


def test_random_points_follow_the_priors_or_are_flat():
    space = compile_space({"c": Categorical(["a", "b"], prior=[9, 1]), "x": Float(0, 1)})
    assert (
        stats.binomtest(int((random_points(space, generator(), 1000)[:, 0] > 0.5).sum()), 1000, 0.1).pvalue
        > 0.01
    )
    flat = random_points(space, generator(), 1000, flat=True)
    assert stats.binomtest(int((flat[:, 0] > 0.5).sum()), 1000, 0.5).pvalue > 0.01


def test_a_move_changes_one_parameter_and_what_follows_from_it():
    start = random_points(MIXED, generator(), 400)
    moved, parents = Moves(MIXED)(start, generator(1))
    assert len(moved) > 200
    rows = MIXED.decode(moved)
    assert MIXED.legal(rows).all()
    np.testing.assert_allclose(moved, MIXED.encode(rows), rtol=0, atol=1e-12)
    kind = MIXED.keys.index("kind")
    for point, parent in zip(moved, start[parents], strict=True):
        both = ~np.isnan(point) & ~np.isnan(parent)
        changed = np.flatnonzero(both & (point != parent))
        assert len(changed) == 1
        assert changed[0] == kind or (np.isnan(point) == np.isnan(parent)).all()
        assert MIXED.keys[changed[0]] != "fixed"


def test_a_move_reaches_what_the_spaces_own_moves_reach():
    """The same parameters change, each about as often; a category goes to any other one."""
    start = MIXED.encode(
        [
            MIXED.from_mapping(
                {
                    "fixed": "c",
                    "kind": "a",
                    "x": 0.5,
                    "n": 3,
                    "flag": False,
                    "size": "s",
                    "step": 0.5,
                    "z": 0.0,
                }
                | {"k": 30}
            )
        ]
    )
    moved, _ = Moves(MIXED)(np.repeat(start, 3000, axis=0), generator())
    both = ~np.isnan(moved) & ~np.isnan(start)
    share = (both & (moved != start)).sum(axis=0)
    movable = [j for j, key in enumerate(MIXED.keys) if key not in ("fixed", "kind.b.y")]
    assert (share[movable] > 0.4 * 3000 / len(movable)).all()
    assert share.sum() == len(moved)
    codes = np.unique(np.floor(moved[:, MIXED.keys.index("kind")] * 3))
    assert codes.tolist() == [0, 1, 2]
    size = moved[:, MIXED.keys.index("size")]
    assert set(np.floor(size * 4)) == {0, 1, 2, 3}
    assert np.count_nonzero(np.isnan(moved[:, MIXED.keys.index("kind.b.y")])) > 2000


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 9), st.integers(0, 1000))
def test_a_number_of_few_values_never_stays(count, seed):
    space = compile_space({"n": Integer(1, count)})
    start = space.encode([(1 + i % count,) for i in range(50)])
    moved, parents = Moves(space)(start, generator(seed))
    assert len(moved) > 5
    assert all(a != b for a, b in zip(space.decode(moved), space.decode(start[parents]), strict=True))


def test_hills_are_climbed_to_the_top():
    space = compile_space({"x": Float(0, 1), "y": Float(0, 1), "c": Categorical(list("abcd"))})

    def hill(points):
        return -((points[:, :2] - 0.7) ** 2).sum(axis=1) - (np.floor(points[:, 2] * 4) != 2)

    start = random_points(space, generator(), 5)
    ends, heights = climb(Moves(space), start, hill, generator(1), rounds=60)
    assert (heights == hill(ends)).all()
    assert (heights >= hill(start)).all()
    assert heights.min() > -0.01


def test_the_best_that_no_trial_has_is_taken(recorder):
    space = compile_space({"n": Integer(1, 5)})
    record = recorder()
    record.trial((5,), 0.0)
    record.start((4,))
    points = space.encode([(n,) for n in (1, 2, 3, 4, 5)])
    values = points[:, 0]
    assert best_allowed(space, record.history, points, values) == (3,)
    for n in (1, 2, 3):
        record.start((n,))
    assert best_allowed(space, record.history, points, values) is None
    assert configurations(space, record.history) == {(n,) for n in range(1, 6)}
    assert configurations(space, copy.deepcopy(record.history)) == configurations(space, record.history)


def test_values_that_python_takes_for_equal_are_tried_each(recorder):
    space = compile_space({"c": Categorical([0, False, 1, True, 1.0])})
    record = recorder()
    every = [(value,) for value in space.domains[0].values]
    found = []
    for _ in every:
        found.append(best_allowed(space, record.history, space.encode(every), -np.arange(5.0)))
        record.start(found[-1])
    assert [repr(values) for values in found] == [repr(values) for values in every]
    assert best_allowed(space, record.history, space.encode(every), -np.arange(5.0)) is None


def test_in_a_space_of_one_point_there_is_nothing_to_choose(recorder):
    space = compile_space({"a": Constant(1), "b": Ordinal([3])})
    found = best_of(Moves(space), recorder().history, np.empty((0, 2)), lambda p: p[:, 0], generator(), 10)
    assert found is None


def test_failed_trials_have_the_worst_loss():
    assert without_failures(np.array([1.0, math.inf, -3.0])).tolist() == [1.0, 1.0, -3.0]


@pytest.mark.parametrize(("dimensions", "least"), [(1, 8), (7, 8), (12, 13), (200, 32)])
def test_how_many_results_a_model_needs(dimensions, least):
    assert enough(compile_space({f"x{i}": Float(0, 1) for i in range(dimensions)})) == least


# -- expected improvement ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [-2.0, 0.0, 0.7, 3.0])
@pytest.mark.parametrize("deviation", [0.1, 1.0, 2.5])
def test_expected_improvement_is_its_integral(mean, deviation):
    best = 0.3
    density = stats.norm(mean, deviation).pdf
    low, points = mean - 12 * deviation, [mean]
    plain = integrate.quad(
        lambda y: (best - y) * density(y), min(low, best), best, points=points, epsabs=1e-14
    )[0]
    scaled = integrate.quad(
        lambda y: (math.exp(best) - math.exp(y)) * density(y),
        min(low, best),
        best,
        points=points,
        epsabs=1e-14,
    )[0]
    at = np.array([mean]), np.array([deviation**2])
    if plain > 1e-9:
        assert log_improvement(best, *at)[0] == pytest.approx(math.log(plain), abs=1e-4)
    if scaled > 1e-9:
        assert log_improvement_of_exp(best, *at)[0] == pytest.approx(math.log(scaled), abs=1e-4)


@pytest.mark.parametrize("improvement", [log_improvement, log_improvement_of_exp])
def test_improvement_falls_with_the_mean_and_is_finite_everywhere(improvement):
    means = np.concatenate([np.linspace(-5, 5, 301), [10.0, 100.0, 1e4, 1e6]])
    for deviation in (1e-6, 1e-3, 1.0, 10.0):
        values = improvement(0.0, means, np.full(len(means), deviation**2))
        assert np.isfinite(values).all()
        assert (np.diff(values) < 0.0).all() or improvement is log_improvement_of_exp
        assert (np.diff(values) <= 1e-9).all()
    assert np.isfinite(improvement(0.0, np.zeros(3), np.zeros(3))).all()


def test_normal_scores_depend_on_ranks_only():
    losses = np.array([3.0, 1e300, -1.0, 3.0, 7.0])
    scores = normal_scores(losses)
    assert scores[0] == scores[3]
    assert np.argsort(scores).tolist()[0] == 2
    np.testing.assert_allclose(np.sort(scores), stats.norm.ppf([0.1, 0.4, 0.4, 0.7, 0.9]))
    assert normal_scores(np.full(4, 2.0)).tolist() == [0.0] * 4


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_the_logarithmic_scale_is_finite_and_keeps_the_order(losses):
    losses = np.array(losses)
    scaled = log_scaled(losses)
    assert np.isfinite(scaled).all()
    assert (np.diff(scaled[np.argsort(losses)]) >= 0.0).all()


def test_the_logarithmic_scale_is_that_of_smac():
    """Its RunHistoryLogScaledEncoder, written out; the 5 % quantile is far enough from the best here."""
    losses = np.random.default_rng(0).normal(size=100)
    low = losses.min() - (np.percentile(losses, 5) - losses.min())
    expected = np.log((losses - low) / (losses.max() - low))
    np.testing.assert_allclose(log_scaled(losses), expected, atol=1e-9)


def test_the_logarithmic_scale_ends_above_the_last_digits():
    """Where a tenth of the losses are nearly equal it begins a part of the range below them, not closer."""
    losses = np.concatenate([np.full(10, 0.2) + 1e-12 * np.arange(10), np.linspace(0.3, 1.2, 90)])
    scaled = log_scaled(losses)
    assert scaled[9] - scaled[0] < 1e-5
    assert scaled[0] == pytest.approx(math.log(FLOOR / (1.0 + FLOOR)))


def test_one_huge_loss_leaves_the_others_apart():
    losses = np.array([1.0, 2.0, 3.0, 4.0, 1e300])
    assert (np.diff(log_scaled(losses)) > 0.1).all()
    for scale in (log_scaled, standardised):
        np.testing.assert_allclose(scale(losses), scale(np.array([1.0, 2.0, 3.0, 4.0, 301.0])))


def test_losses_are_standardised():
    losses = np.random.default_rng(0).normal(5.0, 3.0, 50)
    np.testing.assert_allclose(standardised(losses), stats.zscore(losses))
    assert standardised(np.full(3, 7.0)).tolist() == [0.0] * 3
    assert np.isfinite(standardised(np.array([1e308, -1e308, 0.0]))).all()
