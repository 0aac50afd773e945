"""The model of freeze-thaw: its posterior by blocks is that of one dense Gaussian process on all points."""

from __future__ import annotations

import numpy as np
import pytest

from rung.models.freeze_thaw import Asymptotes, Curve, Decay, Hypers, _within, ahead, fit_decay, levels
from rung.models.gaussian import Hyper, kernel, plain

DECAY = Decay(0.8, 1.3, 0.2, 0.01)
HYPER = Hyper(np.array([0.4, 0.9]), np.array([[1.1]]), 1e-8)
GROUPS = np.arange(2)
TIMES = (0.01, 0.03, 0.1, 0.3, 1.0)


def some(count: int = 6, seed: int = 0) -> tuple[np.ndarray, list[Curve]]:
    rng = np.random.default_rng(seed)
    curves = []
    for i in range(count):
        times = TIMES[: 1 + i % 5]
        curves.append(Curve(times, tuple(rng.standard_normal(len(times)).tolist())))
    return rng.random((count, 2)), curves


def dense(x: np.ndarray, curves: list[Curve]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All points' covariance (n, n), which trial each is of, and the values."""
    owner = np.concatenate([[i] * len(curve.times) for i, curve in enumerate(curves)])
    times = np.concatenate([curve.times for curve in curves])
    between = kernel(plain(x), plain(x), HYPER, GROUPS)[owner][:, owner]
    within = DECAY.amplitude * (DECAY.beta / (times[:, None] + times + DECAY.beta)) ** DECAY.alpha
    same = owner[:, None] == owner
    covariance = between + same * (within + DECAY.noise * (times[:, None] == times))
    return covariance, owner, np.concatenate([curve.values for curve in curves])


def test_the_asymptotes_are_those_of_the_dense_process():
    x, curves = some(9)
    new = np.random.default_rng(1).random((4, 2))
    model = Asymptotes(x, curves, Hypers(DECAY, HYPER), GROUPS)
    covariance, owner, y = dense(x, curves)
    mean = float(levels(curves, DECAY)[0].mean())
    cross = kernel(plain(x), plain(new), HYPER, GROUPS)[owner]
    means = mean + cross.T @ np.linalg.solve(covariance, y - mean)
    posterior = kernel(plain(new), plain(new), HYPER, GROUPS) - cross.T @ np.linalg.solve(covariance, cross)
    found, variances = model.predict(new)
    assert found == pytest.approx(means, abs=1e-5)
    assert variances == pytest.approx(np.diag(posterior), abs=1e-5)
    assert model.covariance(new, new) == pytest.approx(posterior, abs=1e-5)


@pytest.mark.parametrize("trial", [2, 3, 8])
def test_the_next_value_is_that_of_the_dense_process(trial):
    """Of a curve with values, and (trial 8) of a new one."""
    x, curves = some(8)
    x = np.vstack([x, [[0.5, 0.5]]])
    curve = curves[trial] if trial < 8 else Curve((), ())
    time = 0.7
    model = Asymptotes(x[:8], curves, Hypers(DECAY, HYPER), GROUPS)
    coming = ahead(curve, time, DECAY)
    own, variance = model.predict(x[trial : trial + 1])
    covariance, owner, y = dense(x[:8], curves)
    mean = float(levels(curves, DECAY)[0].mean())
    cross = kernel(plain(x[:8]), plain(x[trial : trial + 1]), HYPER, GROUPS)[owner, 0]
    times = np.concatenate([each.times for each in curves])
    cross = cross + (owner == trial) * DECAY.covariance(times, np.array([time]))[:, 0]
    prior = HYPER.factor[0, 0] ** 2 + DECAY.observed(np.array([time]))[0, 0]
    assert coming.share * own[0] + coming.rest == pytest.approx(
        mean + cross @ np.linalg.solve(covariance, y - mean), abs=1e-5
    )
    assert coming.variance + coming.share**2 * variance[0] == pytest.approx(
        prior - cross @ np.linalg.solve(covariance, cross), abs=1e-5
    )


def test_the_fits_density_is_that_of_curves_with_very_uncertain_asymptotes():
    """A flat prior is the limit of wide ones: differences between kernels are the same."""
    _, curves = some(10)
    groups = [
        (np.array(times), np.array([c.values for c in curves if c.times == times]))
        for times in {c.times for c in curves if len(c.times) > 1}
    ]

    def slow(decay: Decay) -> float:
        total = 0.0
        for curve in curves:
            if len(curve.times) > 1:
                covariance = decay.observed(np.array(curve.times)) + 1e6
                y = np.array(curve.values)
                total += 0.5 * (y @ np.linalg.solve(covariance, y) + np.linalg.slogdet(covariance)[1])
        return float(total)

    one, other = np.log(DECAY), np.log([1.0, 1.0, 0.1, 0.05])
    from rung.models.freeze_thaw import _CENTRE, _WIDTH

    def prior(vector: np.ndarray) -> float:
        return 0.5 * float((((vector - _CENTRE) / _WIDTH) ** 2).sum())

    ours = _within(one, groups)[0] - prior(one) - _within(other, groups)[0] + prior(other)
    assert ours == pytest.approx(slow(DECAY) - slow(Decay(*np.exp(other))), abs=1e-3)


@pytest.mark.parametrize("point", [DECAY, (1.0, 1.0, 0.1, 0.05), (3.0, 0.4, 0.02, 1e-5)])
def test_the_gradient_is_that_of_the_density(point):
    _, curves = some(10)
    groups = [
        (np.array(times), np.array([c.values for c in curves if c.times == times]))
        for times in {c.times for c in curves if len(c.times) > 1}
    ]
    vector, step = np.log(point), 1e-6
    slow = [
        (_within(vector + move, groups)[0] - _within(vector - move, groups)[0]) / (2 * step)
        for move in step * np.eye(4)
    ]
    assert _within(vector, groups)[1] == pytest.approx(slow, rel=1e-4, abs=1e-3)


def test_it_learns_how_curves_fall():
    rng = np.random.default_rng(0)
    truth = Decay(1.0, 1.5, 0.05, 1e-4)
    root = np.linalg.cholesky(truth.observed(np.array(TIMES)))
    curves = [Curve(TIMES, tuple((rng.normal() + root @ rng.standard_normal(5)).tolist())) for _ in range(80)]
    found = fit_decay(curves)
    times = np.array(TIMES)
    assert found.noise < 3e-3
    assert found.covariance(times, times) == pytest.approx(truth.covariance(times, times), abs=0.5)


def test_without_a_curve_of_two_values_it_is_the_priors():
    assert fit_decay([Curve((0.1,), (1.0,))]) == pytest.approx((1.0, 1.0, 0.1, 1e-3))


def test_the_longer_a_curve_the_surer_its_asymptote():
    curves = [Curve(TIMES[:n], (0.5,) * n) for n in range(1, 6)]
    measured, variances = levels(curves, DECAY)
    assert measured == pytest.approx(0.5)
    assert (np.diff(variances) < 0.0).all()
