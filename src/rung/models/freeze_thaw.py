"""The model of freeze-thaw Bayesian optimisation: Swersky, Snoek & Adams 2014 (arXiv 1406.3896), section 3.

Curves end in asymptotes, which are a Gaussian process over configurations; around its asymptote f_n a curve
is a Gaussian process over time with the kernel of a mixture of exponential decays,

    k(t, t') = amplitude * beta^alpha / (t + t' + beta)^alpha + noise * [t = t'],

independent of the other curves given f_n. (The paper's kernel has amplitude 1.) So the covariance has blocks,
and of a curve only two numbers matter for the asymptotes: with K_n its covariance in time,

    lambda_n = 1' K_n^-1 1    and    level_n = 1' K_n^-1 y_n / lambda_n,

a measurement of f_n with the variance 1 / lambda_n. The posterior of the asymptotes, in the paper an inverse
with blocks, is that of a Gaussian process over n such measurements, not over all points. Curves observed at
the same times share K_n.

The kernel of time is fitted first, to what lies within curves (their likelihood with each asymptote
integrated out under a flat prior, times normal priors on the logarithms); then the kernel over
configurations, to levels with the variances that this gives. (The paper: slice sampling of all together.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from rung.models.gaussian import Gaussian, Hyper, fit_hyper, plain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDS: Final = 25  # of L-BFGS, at most
_CENTRE: Final = np.log([1.0, 1.0, 0.1, 1e-3])  # priors on the logarithms of amplitude, alpha, beta, noise
_WIDTH: Final = np.array([1.0, 0.7, 1.5, 1.5])


class Decay(NamedTuple):
    """The kernel of time, in units of the horizon."""

    amplitude: float
    alpha: float
    beta: float
    noise: float

    def covariance(self, a: Floats, b: Floats) -> Floats:
        """(n, m) without noise."""
        found: Floats = self.amplitude * (self.beta / (a[:, None] + b + self.beta)) ** self.alpha
        return found

    def observed(self, times: Floats) -> Floats:
        """(n, n) with noise."""
        return self.covariance(times, times) + self.noise * np.eye(len(times))


class Curve(NamedTuple):
    """Values (n,) at times (n,) in units of the horizon."""

    times: tuple[float, ...]
    values: tuple[float, ...]


class Ahead(NamedTuple):
    """A value that is to come: `share` * asymptote + `rest`, and normal noise of `variance`."""

    share: float
    rest: float
    variance: float


def levels(curves: Sequence[Curve], decay: Decay) -> tuple[Floats, Floats]:
    """(n,) measurements of the asymptotes, and their variances."""
    found, variances = np.empty(len(curves)), np.empty(len(curves))
    for times, members in _by_times(curves).items():
        weights = np.linalg.solve(decay.observed(np.array(times)), np.ones(len(times)))
        values = np.array([curves[i].values for i in members])
        found[members] = values @ weights / weights.sum()
        variances[members] = 1.0 / weights.sum()
    return found, variances


def ahead(curve: Curve, time: float, decay: Decay) -> Ahead:
    """The curve's value at a later time, given its values so far; of a new curve, without any."""
    own = float(decay.observed(np.array([time]))[0, 0])
    if not curve.times:
        return Ahead(1.0, 0.0, own)
    times = np.array(curve.times)
    cross = decay.covariance(times, np.array([time]))[:, 0]
    weights = np.linalg.solve(decay.observed(times), cross)
    return Ahead(
        1.0 - float(weights.sum()),
        float(weights @ np.array(curve.values)),
        max(own - float(weights @ cross), 1e-12),
    )


def fit_decay(curves: Sequence[Curve]) -> Decay:
    """The kernel of time that suits the curves; what the priors say, without a curve of two values."""
    groups = [
        (np.array(times), np.array([curves[i].values for i in members]))
        for times, members in _by_times(curves).items()
        if len(times) > 1
    ]
    if not groups:
        return _decay(_CENTRE)
    bounds = list(zip(_CENTRE - 4.0 * _WIDTH, _CENTRE + 4.0 * _WIDTH, strict=True))
    found = minimize(
        _within, _CENTRE, (groups,), "L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": ROUNDS}
    )
    return _decay(found.x)


def _decay(vector: Floats) -> Decay:
    return Decay(*(math.exp(each) for each in vector))


def _within(vector: Floats, groups: list[tuple[Floats, Floats]]) -> tuple[float, Floats]:
    """Minus the log density of the curves, their asymptotes integrated out, and of the priors; its gradient.

    With K a group's covariance, u = K^-1 (y - level), w = K^-1 1 and dK a derivative of K, that of the
    density is half the sum over curves of tr(K^-1 dK) - w' dK w / 1'w - u' dK u; the level minimises, so
    that its own change adds nothing.
    """
    decay, standard = _decay(vector), (vector - _CENTRE) / _WIDTH
    total, slope = 0.5 * float(standard @ standard), standard / _WIDTH
    for times, values in groups:
        smooth = decay.covariance(times, times)
        covariance = smooth + decay.noise * np.eye(len(times))
        inverse = np.linalg.inv(covariance)
        ones = inverse.sum(axis=1)
        precision = float(ones.sum())
        centred = values - (values @ ones / precision)[:, None]
        solved = centred @ inverse
        size = float(np.linalg.slogdet(covariance)[1]) + math.log(precision)
        total += 0.5 * (float((solved * centred).sum()) + len(values) * size)
        change = len(values) * (inverse - np.outer(ones, ones) / precision) - solved.T @ solved
        slope = slope + 0.5 * _derivatives(decay, times, smooth, change)
    return total, slope


def _derivatives(decay: Decay, times: Floats, smooth: Floats, change: Floats) -> Floats:
    """(4,) sums of `change` times the derivatives of the covariance by the logarithms of its parameters."""
    share = decay.beta / (times[:, None] + times + decay.beta)
    weighed = change * smooth
    return np.array(
        [
            weighed.sum(),
            decay.alpha * (weighed * np.log(share)).sum(),
            decay.alpha * (weighed * (1.0 - share)).sum(),
            decay.noise * np.trace(change),
        ]
    )


def _by_times(curves: Sequence[Curve]) -> dict[tuple[float, ...], list[int]]:
    groups: dict[tuple[float, ...], list[int]] = {}
    for i, curve in enumerate(curves):
        groups.setdefault(curve.times, []).append(i)
    return groups


class Hypers(NamedTuple):
    """The hyperparameters of both kernels."""

    decay: Decay
    asymptote: Hyper


def fit(x: Floats, curves: Sequence[Curve], groups: Ints) -> Hypers:
    """The hyperparameters that suit curves of configurations x (n, f)."""
    decay = fit_decay(curves)
    measured, variances = levels(curves, decay)
    return Hypers(decay, fit_hyper(plain(x), measured - measured.mean(), groups, variances))


class Asymptotes:
    """The posterior of the asymptotes, given curves of at least one value each.

    Args:
        x: (n, f) their configurations' columns.
    """

    def __init__(self, x: Floats, curves: Sequence[Curve], hypers: Hypers, groups: Ints) -> None:
        measured, variances = levels(curves, hypers.decay)
        self.decay = hypers.decay
        self._mean = float(measured.mean())
        self._process = Gaussian(plain(x), measured - self._mean, hypers.asymptote, groups, variances)

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """(m,) means and variances of the asymptotes of configurations x (m, f)."""
        means, variances = self._process.predict(plain(x))
        return self._mean + means, variances

    def covariance(self, a: Floats, b: Floats) -> Floats:
        """(k, m) posterior covariances of asymptotes."""
        return self._process.covariance(plain(a), plain(b))
