"""The trust region's rules beside a slow version of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.samplers.trust_region import Region, box, improves, perturbed, replayed, tolerance

VALUES = st.lists(
    st.one_of(st.integers(-20, 5).map(float), st.floats(-1, 1), st.just(math.inf)), max_size=120
)


def slow(values: list[float], limit: int) -> tuple[float, list[bool]]:
    """Eriksson et al. 2019, section 3.1, from all values anew: the width, and which values were successes.

    Twice as wide after three successes in a row, half as wide after `limit` failures in a row; counting
    begins anew after each change.
    """
    successes = []
    for i, value in enumerate(values):
        before = min(values[:i], default=math.inf)
        successes.append(value < before - 1e-3 * abs(before) if math.isfinite(before) else value < before)
    length, since = 0.8, 0
    for i in range(1, len(values) + 1):
        last = successes[since:i]
        if last[-3:] == [True] * 3:
            length, since = min(1.6, 2 * length), i
        elif last[-limit:] == [False] * limit:
            length, since = length / 2, i
    return length, successes


@settings(deadline=None, max_examples=300)
@given(VALUES, st.integers(4, 9))
def test_widths_are_the_papers(values, limit):
    region, path = Region(), []
    for value in values:
        if region.over:
            break
        region = region.told(value, limit)
        path.append(value)
    assert region.length == slow(path, limit)[0]
    assert region.best == min(path, default=math.inf)
    assert region.over == (region.length < 2**-7)


def test_runs_of_both_kinds():
    falling = [float(-n) for n in range(1, 10)]
    region = Region(best=0.0)
    lengths = []
    for value in [*falling, *[0.0] * 12]:
        region = region.told(value, 4)
        lengths.append(region.length)
    assert lengths == [0.8] * 2 + [1.6] * 7 + [1.6] * 3 + [0.8] * 4 + [0.4] * 4 + [0.2]


def test_a_success_is_more_than_a_thousandth():
    assert improves(0.9989, 1.0)
    assert not improves(0.9991, 1.0)
    assert not improves(-1.0009, -1.0)
    assert improves(5.0, math.inf)
    assert not improves(math.inf, math.inf)


def test_tolerance_counts_results_one_by_one():
    assert [tolerance(d) for d in (1, 4, 40)] == [4, 4, 40]


@settings(deadline=None, max_examples=100)
@given(VALUES, st.integers(0, 10))
def test_replaying_begins_anew_with_the_best_kept(values, first):
    region = replayed(values, first, 4)
    assert 2**-7 <= region.length <= 1.6
    assert region.best == min(values, default=math.inf)
    if len(values) <= first:
        assert region.length == 0.8


def test_replaying_after_eight_halvings():
    assert replayed([0.0] + [1.0] * 27, 1, 4).length == pytest.approx(0.8 / 64)
    assert replayed([0.0] + [1.0] * 28, 1, 4).length == 0.8


def test_the_box_follows_the_lengthscales():
    low, high = box(np.array([0.5, 0.5]), 0.2, np.array([2.0, 0.5]))
    np.testing.assert_allclose(high - low, [0.4, 0.1])
    np.testing.assert_allclose((high - low).prod(), 0.2**2)
    low, high = box(np.array([0.0, 0.95]), 0.2, np.ones(2))
    np.testing.assert_allclose([low, high], [[0.0, 0.85], [0.1, 1.0]])


@pytest.mark.parametrize("d", [1, 5, 60])
def test_perturbed_points_differ_from_the_centre_in_about_twenty_dimensions(d):
    centre, low, high = np.full(d, 0.4), np.full(d, 0.3), np.full(d, 0.6)
    points = perturbed(centre, low, high, 500, np.random.default_rng(0))
    assert points.shape == (500, d)
    assert ((points >= low) & (points <= high)).all()
    moved = (points != centre).sum(axis=1)
    assert moved.min() >= 1
    assert moved.mean() == pytest.approx(min(d, 20), rel=0.05)


def test_at_least_one_dimension_is_moved():
    points = perturbed(np.full(200, 0.5), np.zeros(200), np.ones(200), 400, np.random.default_rng(0))
    assert ((points != 0.5).sum(axis=1) >= 1).all()
