"""PED-ANOVA against its closed form."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.analysis.ped_anova import CELLS, RESAMPLES, is_best, ped_anova


def explained(points, losses, levels=None, numbers=None, seed=0):
    k = points.shape[1]
    levels = np.zeros(k, np.int64) if levels is None else np.array(levels)
    numbers = np.zeros(k, np.int64) if numbers is None else np.array(numbers)
    return ped_anova(points, losses, levels, numbers, seed)


def test_the_closed_form_of_one_parameter_that_decides():
    """Of 10,000 even points the best tenth has x < 0.1: g^2 * (0.1 * 9^2 + 0.9) = 0.09."""
    n = 10_000
    points = np.column_stack([(np.arange(n) + 0.5) / n, np.random.default_rng(0).random(n)])
    found = explained(points, points[:, 0])
    assert found.shape == (1 + RESAMPLES, 2)
    assert found[0, 0] == pytest.approx(0.09, rel=0.12)  # the kernel smooths the edge at 0.1
    assert found[0, 1] < 0.001


def test_the_closed_form_of_a_list():
    """To each value's count comes one, to the best ones' as many spread as p is; worked out by hand."""
    x = np.repeat([0, 1, 2], [50, 30, 20])
    losses = np.concatenate([np.ones(50), np.zeros(10), np.ones(20), np.ones(20)])
    found = explained((x[:, None] + 0.5) / 3, losses, [3], [3])
    p = np.array([51, 31, 21]) / 103
    q = (np.array([0, 10, 0]) + 3 * p) / 13
    assert found[0, 0] == pytest.approx(0.1**2 * float(((q / p - 1) ** 2 * p).sum()))


def test_a_parameter_of_a_branch_counts_for_the_trials_that_have_it():
    """In half of the trials, and it decides who is best among them: a^2 of what it would be for all."""
    n = 4000
    x = (np.arange(n) + 0.5) / n
    whole = explained(x[:, None], x)[0, 0]
    half = np.concatenate([x, np.full(n, np.nan)])
    losses = np.concatenate([x, np.where(np.arange(n) < n // 10, -1.0, 2.0)])  # a tenth of the others, too
    part = explained(half[:, None], np.concatenate([x, losses[n:]]))[0, 0]
    assert part == pytest.approx(whole / 4, rel=0.05)


@pytest.mark.parametrize("levels", [0, 10])
def test_where_trials_lie_unevenly_but_the_best_as_all_others_nothing_is_explained(levels):
    """Nine in ten have one value, and every tenth trial of each value is among the best."""
    x = np.repeat(np.arange(10), [910] + [10] * 9)
    found = explained((x[:, None] + 0.5) / 10, np.arange(1000.0) % 10, [levels], [10])
    assert found[0, 0] < 1e-5


def test_an_inactive_parameter_explains_nothing():
    points = np.column_stack([np.random.default_rng(0).random(40), np.full(40, np.nan)])
    assert explained(points, points[:, 0])[:, 1].tolist() == [0.0] * (1 + RESAMPLES)


def test_a_parameter_with_one_value_tried_explains_nothing():
    points = np.column_stack([np.random.default_rng(0).random(60), np.full(60, 0.5)])
    assert explained(points, points[:, 0], [0, 2], [0, 2])[0, 1] < 0.01


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_only_the_order_of_the_losses_counts(seed):
    rng = np.random.default_rng(seed)
    points, losses = rng.random((60, 2)), rng.normal(size=60)
    assert np.array_equal(explained(points, losses), explained(points, np.exp(3 * losses) + 7))


def test_who_is_best():
    losses = np.array([3.0, 1.0, 1.0, math.inf, 2.0, 1.0])
    assert is_best(losses).tolist() == [False, True, True, False, False, True]  # half of six
    assert is_best(np.arange(1000.0)).sum() == 100
    assert is_best(np.arange(30.0)).sum() == 10
    assert not is_best(np.array([math.inf] * 9 + [1.0]))[:9].any()  # a failed one never is


def test_whole_numbers_have_a_cell_each():
    points = (np.random.default_rng(0).integers(4, size=(400, 1)) + 0.5) / 4
    found = explained(points, points[:, 0], [0], [4])
    assert np.isfinite(found).all()
    assert CELLS > 4
    assert found[0, 0] > 0.02
