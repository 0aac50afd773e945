"""The densities against statsmodels, and the choice among points against the plain definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.nonparametric import kernels
from statsmodels.nonparametric.kernel_density import KDEMultivariate

from rung.samplers.density import Density, draw, fit, ranked

LEVELS = np.array([0, 0, 0, 2, 3, 4])
TYPES = "cccuuu"


def mixed(n: int, seed: int = 0, levels: np.ndarray = LEVELS) -> np.ndarray:
    """Observations (k, n): numbers near 0.3, categories that favour the first; every category occurs."""
    rng = np.random.default_rng(seed)
    columns = [
        np.append(np.arange(m), rng.integers(0, m, n - m) * (rng.random(n - m) < 0.4))
        if m
        else rng.beta(3, 6, n)
        for m in levels
    ]
    return np.array(columns, dtype=np.float64)


def points_near(data: np.ndarray, levels: np.ndarray, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([rng.integers(0, m, count) if m else rng.random(count) for m in levels], dtype=float).T


def theirs(density: Density) -> KDEMultivariate:
    types = "".join("u" if m else "c" for m in density.levels)
    return KDEMultivariate(density.data.T, var_type=types, bw=density.bandwidths, rng=0)


@pytest.mark.parametrize("n", [12, 100, 1500])
def test_bandwidths_are_statsmodels_normal_reference(n):
    data = mixed(n)
    expected = KDEMultivariate(data.T, var_type=TYPES, bw="normal_reference", rng=0).bw
    found = fit(data, LEVELS, 1e-3).bandwidths
    limits = [np.inf, np.inf, np.inf, 1 / 2, 2 / 3, 3 / 4]
    np.testing.assert_allclose(found, np.clip(expected, 1e-3, limits), rtol=1e-12)


@pytest.mark.parametrize(("n", "seed"), [(12, 1), (200, 2), (3000, 3)])
def test_densities_are_statsmodels(n, seed):
    density = fit(mixed(n, seed), LEVELS, 1e-3)
    points = points_near(density.data, LEVELS, 40, seed)
    expected = np.log(theirs(density).pdf(points))
    np.testing.assert_allclose(density.log(points)[0], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("levels", [np.array([0, 0]), np.array([3, 2])])
def test_densities_of_one_kind_are_statsmodels(levels):
    density = fit(mixed(50, 4, levels), levels, 1e-3)
    points = points_near(density.data, levels, 20, 5)
    np.testing.assert_allclose(density.log(points)[0], np.log(theirs(density).pdf(points)), atol=1e-9)


def test_many_blocks_give_the_density_of_one(monkeypatch):
    density = fit(mixed(300), LEVELS, 1e-3)
    points = points_near(density.data, LEVELS, 10, 6)
    whole = density.log(points)[0]
    monkeypatch.setattr("rung.samplers.density._BLOCK", 7)
    np.testing.assert_allclose(density.log(points)[0], whole, rtol=1e-12)


@pytest.mark.parametrize("spread", [1e-9, 1e-3, 0.3])
@pytest.mark.parametrize("dims", [2, 50])
def test_the_bound_on_the_error_of_float32_holds(dims, spread):
    rng = np.random.default_rng(dims)
    data = np.clip(0.2 + spread * rng.standard_normal((dims, 400)), 0, 1)
    data[:, 0] = 1.0  # an outlier makes the terms of the product large
    density = fit(data, np.zeros(dims, int), 1e-3)
    points = rng.random((64, dims))
    exact, _ = density.log(points)
    quick, bound = density.log(points, np.float32)
    assert np.isfinite(exact).all()
    assert np.abs(quick - exact).max() <= bound


def test_an_unseen_category_has_the_kernels_weight():
    data, levels = np.zeros((1, 20)), np.array([4])
    density = fit(data, levels, 1e-3)
    found = np.exp(density.log(np.array([[0.0], [3.0]]))[0])
    expected = [kernels.aitchison_aitken(1e-3, data[0], x, num_levels=4).mean() for x in (0, 3)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_categorys_bandwidth_ends_where_its_kernel_is_uniform():
    data, levels = np.arange(20.0)[None, :] % 10, np.array([10])
    density = fit(data, levels, 1e-3)
    assert density.bandwidths[0] == pytest.approx(0.9)
    everywhere = density.log(np.arange(10.0)[:, None])[0]
    np.testing.assert_allclose(np.exp(everywhere), 0.1, rtol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_ranked_is_the_order_of_the_exact_ratios(seed):
    good, bad = fit(mixed(15, seed), LEVELS, 1e-3), fit(mixed(300, seed + 100), LEVELS, 1e-3)
    points = draw(good, 64, 3.0, np.random.default_rng(seed))
    ratios = theirs(good).pdf(points) / theirs(bad).pdf(points)
    found = list(ranked(good, bad, points))
    assert sorted(found) == list(range(64))
    in_order = ratios[found]
    assert (in_order[:-1] >= in_order[1:] * (1 - 1e-9)).all()


def test_equal_points_are_ranked_in_their_order():
    good, bad = fit(mixed(30, 1), LEVELS, 1e-3), fit(mixed(30, 2), LEVELS, 1e-3)
    points = np.repeat(good.data[:, :1].T, 5, axis=0)
    assert list(ranked(good, bad, points)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(10))
def test_points_nearer_than_float32_sees_are_told_apart(seed):
    rng, levels = np.random.default_rng(seed), np.zeros(6, int)
    good, bad = (fit(rng.beta(a, 9, (6, 200)), levels, 1e-3) for a in (4, 9))
    points = 0.4 + 1e-7 * rng.standard_normal((64, 6))
    ratios = theirs(good).pdf(points) / theirs(bad).pdf(points)
    assert next(ranked(good, bad, points)) == np.argmax(ratios)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_densities_far_from_all_observations_are_statsmodels(dtype):
    rng, levels = np.random.default_rng(0), np.zeros(3, int)
    density = fit(0.2 + 0.02 * rng.standard_normal((3, 100)), levels, 1e-3)
    points = np.array([[0.5, 0.4, 0.3], [0.2, 0.2, 0.2], [0.1, 0.5, 0.5]])
    found, error = density.log(points, dtype)
    expected = np.log(theirs(density).pdf(points))
    assert expected.min() < -200.0
    assert error < 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=error)


def test_drawn_numbers_follow_the_truncated_normal():
    density = Density(np.array([[0.1]]), np.array([0]), np.array([0.05]))
    drawn = draw(density, 4000, 3.0, np.random.default_rng(0))[:, 0]
    expected = stats.truncnorm(-0.1 / 0.15, 0.9 / 0.15, loc=0.1, scale=0.15)
    assert stats.kstest(drawn, expected.cdf).pvalue > 0.01


def test_drawn_categories_are_kept_or_uniform():
    density = Density(np.array([[2.0]]), np.array([4]), np.array([0.4]))
    drawn = draw(density, 8000, 3.0, np.random.default_rng(0))[:, 0]
    counts = np.bincount(drawn.astype(int), minlength=4)
    assert stats.chisquare(counts, 8000 * np.array([0.1, 0.1, 0.7, 0.1])).pvalue > 0.01


def test_drawn_points_lie_near_observations_picked_uniformly():
    density = Density(np.array([[0.2, 0.8, 0.5]]), np.array([0]), np.array([1e-3]))
    drawn = draw(density, 6000, 3.0, np.random.default_rng(1))[:, 0]
    counts = [np.count_nonzero(np.abs(drawn - x) < 0.05) for x in (0.2, 0.8, 0.5)]
    assert sum(counts) == 6000
    assert stats.chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_drawn_points_stay_in_the_cube(edge):
    density = Density(np.full((1, 3), edge), np.array([0]), np.array([0.5]))
    drawn = draw(density, 1000, 3.0, np.random.default_rng(2))
    assert ((drawn >= 0) & (drawn <= 1)).all()
