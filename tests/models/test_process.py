"""The Gaussian process in NumPy beside closed forms, difference quotients and the one in PyTorch."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import norm

from rung.models.botorch_gp import Kernel
from rung.models.gain import SHORT, Gain, log_improvement, slope
from rung.models.process import Data, Misfit, Posterior, factorised, fit, inverted

SHAPES = [(3, 0), (0, 2), (2, 3)]  # numbers, categories


def data(numbers: int, categories: int, fidelities: int = 1, n: int = 24, seed: int = 0) -> Data:
    generator = np.random.default_rng(seed)
    codes = generator.integers(3, size=(n, categories)).astype(float)
    x = np.concatenate([generator.random((n, numbers)), codes], axis=1)
    y = np.sin(4 * x[:, 0]) + 0.1 * generator.normal(size=n)
    rungs = generator.integers(fidelities, size=n).astype(float)
    return Data(x, numbers, rungs, (y - y.mean()) / y.std() + rungs)


def kernel_of(numbers: int, categories: int) -> Kernel:
    scales = tuple(0.3 + 0.2 * i for i in range(numbers + categories))
    return Kernel(scales, numbers, 0.03, 0.0, length=2.0, growth=0.4)


def covariance(kernel: Kernel, a: np.ndarray, s: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The kernel, written out."""
    c, scales = kernel.numbers, np.array(kernel.scales)
    r = np.sqrt(5) * cdist(a[:, :c] / scales[:c], b[:, :c] / scales[:c]) if c else np.zeros((len(a), len(b)))
    total = (1 + r + r**2 / 3) * np.exp(-r) * np.exp(-np.abs(s[:, None] - t) / kernel.length)
    if len(scales) > c:
        total = total * np.exp(-((a[:, None, c:] != b[None, :, c:]) / scales[c:]).mean(axis=-1))
    return total


def closed_form(kernel: Kernel, known: Data, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances at the largest fidelity; each has a mean by generalised least squares."""
    x, rungs = known.x, known.rungs
    noise = kernel.noise * np.exp(kernel.growth * rungs)
    inverse = np.linalg.inv(covariance(kernel, x, rungs, x, rungs) + np.diag(noise))
    levels = np.unique(rungs)
    design = (rungs[:, None] == levels).astype(float)
    means = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ known.y)
    zero = np.zeros(len(at))
    cross = covariance(kernel, at, zero, x, rungs)
    mean = means[0] + cross @ inverse @ (known.y - design @ means)
    return mean, covariance(kernel, at, zero, at, zero) - cross @ inverse @ cross.T


def moments(posterior: Posterior, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cross, _ = posterior.cross(at)
    half = cross @ posterior.root.T
    return posterior.mean + cross @ posterior.weights, 1.0 - (half**2).sum(axis=1)


@pytest.mark.parametrize("fidelities", [1, 3])
@pytest.mark.parametrize(("numbers", "categories"), SHAPES)
def test_the_posterior_is_the_closed_form(numbers, categories, fidelities):
    kernel, known = kernel_of(numbers, categories), data(numbers, categories, fidelities)
    at = np.concatenate([data(numbers, categories, n=7, seed=1).x, known.x[:2]])
    posterior = Posterior(kernel, known, known.x[:0], np.empty((0, 1)))
    mean, variance = moments(posterior, at)
    expected, expected_covariance = closed_form(kernel, known, at)
    np.testing.assert_allclose(mean[:, 0], expected, atol=1e-8)
    np.testing.assert_allclose(variance, expected_covariance.diagonal(), atol=1e-8)
    smoothed, _ = closed_form(kernel, known, known.x[known.rungs == 0])
    assert posterior.best[0] == pytest.approx(smoothed.min(), abs=1e-8)


@pytest.mark.parametrize("fidelities", [1, 3])
def test_fantasies_are_draws_that_are_conditioned_on(fidelities):
    kernel, known = kernel_of(2, 1), data(2, 1, fidelities)
    pending, at = data(2, 1, n=3, seed=5).x, data(2, 1, n=6, seed=6).x
    normals = np.random.default_rng(0).normal(size=(3, 40_000))
    posterior = Posterior(kernel, known, pending, normals)
    _, expected = closed_form(kernel, known, pending)
    zeros = Posterior(kernel, known, pending, np.zeros((3, 1)))
    after, variance = moments(zeros, at)
    before, wider = closed_form(kernel, known, at)
    np.testing.assert_allclose(after[:, 0], before, atol=1e-8)  # what is expected changes no mean
    joint, both = closed_form(kernel, known, np.concatenate([at, pending]))
    gain = both[:6, 6:] @ np.linalg.inv(both[6:, 6:] + kernel.noise * np.eye(3))
    np.testing.assert_allclose(variance, (both[:6, :6] - gain @ both[6:, :6]).diagonal(), atol=1e-8)
    means, _ = moments(posterior, at)
    np.testing.assert_allclose(means.mean(axis=1), joint[:6], atol=0.02)
    spread = gain @ (expected + kernel.noise * np.eye(3)) @ gain.T
    np.testing.assert_allclose(np.cov(means), spread, atol=0.02)
    assert (variance <= wider.diagonal() + 1e-9).all()


@pytest.mark.parametrize("fidelities", [1, 3])
@pytest.mark.parametrize(("numbers", "categories"), SHAPES)
def test_slope_of_the_misfit(numbers, categories, fidelities):
    misfit = Misfit(data(numbers, categories, fidelities))
    logs = misfit.begin + 0.1 * np.arange(len(misfit.begin)) - 1.0
    value, gradient = misfit(logs)
    assert np.isfinite(value)
    steps = 1e-5 * np.eye(len(logs))
    quotients = [(misfit(logs + step)[0] - misfit(logs - step)[0]) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, quotients, atol=1e-7)


def sampled(length: float, seed: int) -> Data:
    """Two fidelities of a function drawn with a kernel of this `length`."""
    generator = np.random.default_rng(seed)
    x = np.tile(generator.random((40, 1)), (2, 1))
    rungs = np.repeat([0.0, 1.0], 40)
    kernel = Kernel((0.2,), 1, 1e-3, 0.0, length, 0.5)
    prior = covariance(kernel, x, rungs, x, rungs) + np.diag(1e-3 * np.exp(0.5 * rungs))
    return Data(x, 1, rungs, np.linalg.cholesky(prior) @ generator.normal(size=80))


def test_how_much_fidelities_say_of_each_other_is_learnt():
    close = [fit(sampled(50.0, seed), None, 50).length for seed in range(3)]
    apart = [fit(sampled(0.2, seed), None, 50).length for seed in range(3)]
    assert max(apart) < 3.0
    assert min(close) > 4.0 * max(apart)


def test_a_fidelity_of_good_trials_alone_is_not_taken_for_good():
    """Ten trials of two hundred, the best, go on; all have losses that are larger by one there."""
    generator = np.random.default_rng(0)
    x = generator.random((60, 1))
    y = np.sin(6 * x[:, 0])
    best = np.argsort(y)[:6]
    known = Data(np.concatenate([x[best], x]), 1, np.repeat([0.0, 1.0], [6, 60]), np.append(y[best] + 1.0, y))
    kernel = fit(known, None, 50)
    mean, _ = moments(Posterior(kernel, known, x[:0], np.empty((0, 1))), np.array([[0.26], [0.78]]))
    assert mean[0, 0] - mean[1, 0] > 1.5  # sin has 2 between them


@pytest.mark.parametrize("y", [np.zeros(8), np.r_[np.zeros(7), 7.0]], ids=["equal", "one stands out"])
@pytest.mark.parametrize("x", [np.full((8, 2), 0.5), np.eye(8, 2)], ids=["one place", "few places"])
@pytest.mark.parametrize("rungs", [np.zeros(8), np.arange(8.0) % 2], ids=["one fidelity", "two"])
def test_degenerate_data_are_fitted(x, y, rungs):
    known = Data(x, 2, rungs, y)
    kernel = fit(known, None, 50)
    gain = Gain(kernel, known, x[:1], np.random.default_rng(0))
    values, slopes = gain.gradient(np.random.default_rng(1).random((5, 2)))
    assert np.isfinite(values).all()
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("fidelities", [1, 3])
@pytest.mark.parametrize("pending", [0, 3])
def test_slopes_of_the_gain(fidelities, pending):
    known, generator = data(2, 2, fidelities), np.random.default_rng(0)
    gain = Gain(kernel_of(2, 2), known, data(2, 2, n=4, seed=3).x[:pending], generator)
    at = data(2, 2, n=9, seed=4).x
    value, found = gain.gradient(at)
    np.testing.assert_allclose(value, gain(at), atol=1e-10)
    for j in range(2):
        step = 1e-6 * np.eye(4)[j]
        np.testing.assert_allclose(
            found[:, j], (gain(at + step) - gain(at - step)) / 2e-6, rtol=1e-4, atol=1e-4
        )
    assert (found[:, 2:] == 0).all()


def test_the_gain_is_that_in_pytorch():
    torch_gain = pytest.importorskip("rung.models.botorch_acquisition")
    pytest.importorskip("torch")
    known, kernel = data(2, 2), kernel_of(2, 2)
    at = data(2, 2, n=40, seed=4).x
    ours = Gain(kernel, known, at[:0], np.random.default_rng(0))
    base = Posterior(kernel, known, at[:0], np.empty((0, 1))).mean
    given = torch_gain.Data([kernel._replace(mean=base)], known.x, known.y[:, None], at[:0], np.zeros(1))
    theirs = torch_gain.Acquisition(given, 0)
    np.testing.assert_allclose(ours(at), theirs(at), atol=1e-8)
    np.testing.assert_allclose(ours.gradient(at)[1][:, :2], theirs.gradient(at)[1][:, :2], atol=1e-6)


@pytest.mark.parametrize("z", [30.0, 5.0, 1.0, 0.0, -0.5, -1.0, -1.01, -3.0, -20.0, -1e3, -1e5, -1e7, -1e20])
def test_log_improvement_to_all_digits(z):
    with mpmath.workdps(60):
        exact = mpmath.mpf(z)
        if z > -1e4:
            value = mpmath.npdf(exact) + exact * mpmath.ncdf(exact)
        else:  # the asymptotic series
            value = mpmath.npdf(exact) / exact**2 * (1 - 3 / exact**2 + 15 / exact**4)
        expected = float(mpmath.log(value)) if value else -float(exact**2 / 2) - 2 * np.log(-z)
    assert float(log_improvement(np.array([[z]]))[0, 0]) == pytest.approx(expected, rel=1e-8)


def test_log_improvement_has_a_slope_everywhere():
    z = np.array([[3.0, 0.0, -1.0, -1.5, -5.0, -50.0, -1e4, -1e8]])
    found = slope(z, log_improvement(z))[0]
    expected = np.exp(norm.logcdf(z[0, :6]) - log_improvement(z)[0, :6])
    np.testing.assert_allclose(found[:6], expected, rtol=1e-6)
    np.testing.assert_allclose(found[6:], [1e4, 1e8], rtol=1e-3)


@pytest.mark.parametrize("iterations", [SHORT, 40])
def test_refining_goes_uphill_within_bounds_along_what_is_free(iterations):
    known = data(2, 1)
    gain = Gain(kernel_of(2, 1), known, known.x[:0], np.random.default_rng(0))
    begun = data(2, 1, n=30, seed=2).x
    low, high = np.array([0.2, 0.1, 0.0]), np.array([0.8, 0.9, 2.0])
    begun = np.clip(begun, low, high)
    free = np.tile([True, True, False], (30, 1))
    free[::3, 1] = False
    found = gain.refine(begun, free, (low, high), iterations)
    assert (found >= low).all()
    assert (found <= high).all()
    assert (found[~free] == begun[~free]).all()
    before, after = gain(begun), gain(found)
    assert (after >= before - 1e-6).mean() > 0.9
    assert after.mean() > before.mean() + 0.5


def test_what_is_added_moves_the_summit():
    known = data(2, 0)
    gain = Gain(kernel_of(2, 0), known, known.x[:0], np.random.default_rng(0))

    def pull(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return -1e6 * ((x - 0.5) ** 2).sum(axis=1), -2e6 * (x - 0.5)

    at = np.random.default_rng(2).random((10, 2))
    found = gain.refine(at, np.ones((10, 2), bool), (np.zeros(2), np.ones(2)), 50, pull)
    np.testing.assert_allclose(found, 0.5, atol=1e-3)


def test_jitter_is_added_only_where_it_is_needed():
    sound = np.array([[4.0, 2.0], [2.0, 3.0]])
    factor = factorised(sound)
    np.testing.assert_allclose(factor @ factor.T, sound, atol=1e-14)
    np.testing.assert_allclose(inverted(factor) @ factor, np.eye(2), atol=1e-14)
    flat = np.ones((3, 3)) - 1e-12 * np.eye(3)
    factor = factorised(flat)
    np.testing.assert_allclose(factor @ factor.T, flat, atol=1e-6)
    with pytest.raises(ArithmeticError, match="negative eigenvalues"):
        factorised(-np.eye(3))


@pytest.mark.parametrize(("numbers", "categories"), [(3, 0), (2, 3)])
def test_what_stays_while_numbers_move_changes_no_bit(numbers, categories):
    known, kernel = data(numbers, categories, 3), kernel_of(numbers, categories)
    gain = Gain(kernel, known, known.x[:0], np.random.default_rng(0))
    at = known.x[:5]
    rest = gain.posterior.rest(at)
    moved = at.copy()
    moved[:, :numbers] = np.random.default_rng(1).random((5, numbers))
    for told, asked in zip(gain.gradient(moved, rest), gain.gradient(moved), strict=True):
        np.testing.assert_array_equal(told, asked)


@pytest.mark.parametrize("n", [1, 64, 65, 131, 200])
def test_a_triangular_matrix_is_inverted_whatever_its_size(n):
    a = np.random.default_rng(n).normal(size=(n, n))
    factor = factorised(a @ a.T / n + 0.1 * np.eye(n))
    inverse = inverted(factor)
    np.testing.assert_allclose(inverse @ factor, np.eye(n), atol=1e-10)
    assert (np.triu(inverse, 1) == 0.0).all()


def test_improvement_beyond_all_numbers_is_quiet():
    """Warnings are errors here."""
    far = np.array([-1e5, -9.9e5, -1.01e6, -1e9, -1e150])
    found = log_improvement(far)
    np.testing.assert_allclose(found, -0.5 * far * far, rtol=1e-8)
    assert (np.diff(log_improvement(-np.logspace(5.9, 6.1, 200))) < 0.0).all()
    assert log_improvement(np.empty((0, 1))).shape == (0, 1)
