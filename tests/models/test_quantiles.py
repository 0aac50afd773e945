"""Conformal quantiles: coverage on data where it is known, and the correction by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rung.models.quantiles import HELD_OUT, LEAST, fit_quantiles, margins_of


def sample(n, rng):
    """A loss whose spread differs tenfold over the space, and is skewed."""
    points = rng.random((n, 3))
    return points, points[:, 0] ** 2 + (0.05 + 0.5 * points[:, 1]) * (rng.gamma(2.0, size=n) - 2.0)


def coverage(quantiles, rng, pair):
    points, targets = sample(2000, rng)
    found = quantiles.predict(points)
    return np.mean((targets >= found[pair]) & (targets <= found[len(found) - 1 - pair]))


@pytest.mark.parametrize("pair", [0, 1])
def test_intervals_hold_new_targets_as_often_as_they_say(pair):
    """On average over data sets, at least 1 - 2 alpha (one-sided t-test), and not much more."""
    rng = np.random.default_rng(7)
    held = []
    for seed in range(30):
        quantiles = fit_quantiles(*sample(300, rng), seed=seed, rounds=30)
        held.append(coverage(quantiles, rng, pair))
    promised = 1.0 - 2.0 * quantiles.alphas[pair]
    assert stats.ttest_1samp(held, promised, alternative="less").pvalue > 0.01
    assert np.mean(held) < promised + 0.08


def test_without_the_correction_small_data_are_covered_too_rarely():
    """Models that overfit are what the correction is for."""
    rng = np.random.default_rng(3)
    plain, corrected = [], []
    for seed in range(12):
        points, targets = sample(60, rng)
        quantiles = fit_quantiles(points, targets, seed=seed)
        corrected.append(coverage(quantiles, rng, 0))
        plain.append(coverage(quantiles._replace(margins=np.zeros(5)), rng, 0))
    assert np.mean(plain) < 2 / 3 - 0.1
    assert stats.wilcoxon(corrected, plain, alternative="greater").pvalue < 0.01


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 30), st.integers(0, 10_000))
def test_the_margin_is_the_least_that_covers_enough_of_what_was_held_out(n, seed):
    """Romano et al. 2019, equation 7, by trying every residual."""
    rng = np.random.default_rng(seed)
    alphas = np.arange(1, 6) / 6
    found, targets = np.sort(rng.normal(size=(5, n)), axis=0), rng.normal(size=n)
    margins = margins_of(found, targets)
    assert margins[2] == 0.0
    for i in (0, 1):
        assert margins[4 - i] == -margins[i]
        residuals = np.maximum(found[i] - targets, targets - found[4 - i])
        wanted = min(n, int(np.ceil((n + 1) * (1 - 2 * alphas[i]) - 1e-9)))
        enough = [r for r in residuals if np.count_nonzero(residuals <= r) >= wanted]
        assert margins[4 - i] == min(enough)


def test_nothing_is_held_out_of_few_targets():
    rng = np.random.default_rng(0)
    assert not fit_quantiles(*sample(LEAST - 1, rng), seed=0).margins.any()
    assert fit_quantiles(*sample(LEAST, rng), seed=0).margins[[0, 1, 3, 4]].all()
    assert round(HELD_OUT * LEAST) == 3


def test_the_same_data_and_seed_give_the_same_quantiles():
    rng = np.random.default_rng(0)
    points, targets = sample(100, rng)
    asked = rng.random((50, 3))
    first, again, other = (fit_quantiles(points, targets, seed=seed).predict(asked) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert (np.diff(first, axis=0) >= 0.0).all()


@pytest.mark.parametrize("n", [1, 2, 9, 40])
def test_few_or_equal_targets_are_no_trouble(n):
    points = np.random.default_rng(0).random((n, 2))
    points[0] = np.nan
    assert (fit_quantiles(points, np.zeros(n), seed=0).predict(points) == 0.0).all()
    assert np.isfinite(fit_quantiles(points, np.arange(n) / 1.0, seed=0).predict(points)).all()
