"""Where a learning curve ends: an average over decaying shapes, in closed form and within a millisecond.

A curve is a + b phi(t) plus a drift plus noise. phi falls from 1 at the first observation to 0 at the
horizon, so that a is the value at the horizon itself: powers of t, exponentials, a logarithm. The drift, a
random walk in the logarithm of t, stands for what no shape has; it and the noise have one of a few sizes
each. Given shape, noise and drift this is a linear regression with a normal prior, whose evidence and
prediction are known exactly; the prediction is their mixture, weighted by evidence. b may be negative: a
curve that rises is predicted to go on rising.

The unit is the larger of the curve's own range so far and of the usual range of whole curves, so that nothing
depends on the metric's scale. `Experience` learns that range, and which shapes and noises are likely, from
curves that ran to their end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

POWERS: Final = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
RATES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # of exponentials, per horizon
NOISES: Final = (0.003, 0.01, 0.03, 0.1)  # standard deviations of one observation's noise, in units
DRIFTS: Final = (0.0, 0.03, 0.1, 0.3)  # standard deviations of what no shape has, by an e-fold of time
END: Final = (-0.2, 0.7)  # prior mean and standard deviation of the end, in units, less the last value
FALL: Final = (0.7, 1.0)  # of b
SMALLEST: Final = 1e-9  # a unit, relative to the values' size
SHAPES: Final = len(POWERS) + len(RATES) + 1
_PAIRS: Final = [(noise, drift) for noise in NOISES for drift in DRIFTS]


class Curve(NamedTuple):
    """Values (n,) of one trial at resources (n,), increasing."""

    times: Floats
    values: Floats


class Forecast(NamedTuple):
    """A mixture of normal distributions, of the value at the horizon; `weights` sum to 1."""

    means: Floats
    deviations: Floats
    weights: Floats

    @property
    def mean(self) -> float:
        return float(self.weights @ self.means)

    @property
    def deviation(self) -> float:
        second = self.weights @ (self.deviations**2 + self.means**2)
        return math.sqrt(max(0.0, float(second) - self.mean**2))

    def below(self, bound: float) -> float:
        """The probability to be below `bound`."""
        return float(self.weights @ ndtr((bound - self.means) / self.deviations))


def shapes(times: Floats, horizon: float) -> Floats:
    """(k, n) the shapes at `times`: 1 at the first, 0 at the horizon."""
    every = np.append(times, horizon)
    relative = every / horizon
    rows = np.vstack(
        [
            [relative**-power for power in POWERS],
            [np.exp(-rate * relative) for rate in RATES],
            [-np.log(relative)],
        ]
    )
    falls: Floats = (rows - rows[:, -1:]) / (rows[:, :1] - rows[:, -1:])
    return falls[:, :-1]


class Fit(NamedTuple):
    """The regressions of one curve: by noise and shape, log evidence, and mean and deviation of the end."""

    evidence: Floats  # (j, k)
    means: Floats
    deviations: Floats


class _Noise(NamedTuple):
    """What the j pairs of noise and drift say of observations at n times, and of one at the horizon."""

    inverse: Floats  # (j, n, n) of the covariance
    size: Floats  # (j, 1) logarithm of its determinant
    gain: Floats  # (j, n) weights of the residuals in the prediction of the horizon's
    variance: Floats  # (j, 1) of the horizon's, given the residuals


def _noise(times: Floats, horizon: float) -> _Noise:
    ages = np.log(np.append(times, horizon) / times[0])
    walk = np.minimum(ages[:, None], ages)  # (n + 1, n + 1) covariance of a walk in the logarithm of time
    noises, drifts = (np.array(_PAIRS) ** 2).T[:, :, None, None]
    covariance = noises * np.eye(len(times)) + drifts * walk[:-1, :-1]
    inverse = np.linalg.inv(covariance)
    ahead = drifts[:, :, 0] * walk[-1, :-1]
    gain = (inverse @ ahead[:, :, None])[:, :, 0]
    variance = noises[:, :, 0] + drifts[:, :, 0] * ages[-1] - (gain * ahead).sum(axis=1)[:, None]
    return _Noise(inverse, np.linalg.slogdet(covariance)[1][:, None], gain, variance)


def regress(curve: Curve, horizon: float, unit: float = 0.0) -> Fit:
    """All regressions of a curve of at least two values; the unit is its range, but at least `unit`.

    Generalised least squares with a normal prior, for all shapes (k) and noises (j) at once.
    """
    last = float(curve.values[-1])
    size = max(1e-290, float(np.abs(curve.values).max()))
    unit = max(float(np.ptp(curve.values)), unit, SMALLEST * size)
    phi = shapes(curve.times, horizon)
    y = (curve.values - last) / unit - END[0] - FALL[0] * phi  # (k, n) less the prior mean
    noise = _noise(curve.times, horizon)
    of_phi, of_y = phi @ noise.inverse, y @ noise.inverse  # (j, k, n)
    aa = noise.inverse.sum(axis=(1, 2))[:, None] + END[1] ** -2  # (j, 1)
    ab, bb = of_phi.sum(axis=2), (of_phi * phi).sum(axis=2) + FALL[1] ** -2  # (j, k)
    sums, products = of_y.sum(axis=2), (of_phi * y).sum(axis=2)
    determinant = aa * bb - ab * ab
    ends = (bb * sums - ab * products) / determinant
    falls = (aa * products - ab * sums) / determinant
    residual = (of_y * y).sum(axis=2) - ends * sums - falls * products
    evidence = -0.5 * (residual + np.log(determinant) + noise.size)
    by_end, by_fall = 1.0 - noise.gain.sum(axis=1)[:, None], -(noise.gain @ phi.T)
    means = END[0] + by_end * ends + by_fall * falls + noise.gain @ y.T
    variances = noise.variance + (
        (by_end**2 * bb - 2.0 * by_end * by_fall * ab + by_fall**2 * aa) / determinant
    )
    return Fit(evidence, last + unit * means, unit * np.sqrt(np.maximum(variances, 1e-12)))


class Lesson(NamedTuple):
    """What one whole curve teaches: how likely each noise and shape is for it, (j, k), and its range."""

    shares: Floats
    range: float


class Experience:
    """What curves that ran to their end have shown; starts with nothing, so that all is equally likely.

    Attributes:
        prior: (j, k) log probabilities of noise and shape.
        unit: the third quartile of the curves' ranges; 0 without any.
    """

    def __init__(self, lessons: Sequence[Lesson] = ()) -> None:
        shares = np.full((len(_PAIRS), SHAPES), 1.0 / (SHAPES * len(_PAIRS)))
        for each in lessons:
            shares = shares + each.shares
        self.prior: Floats = np.log(shares / (1.0 + len(lessons)))
        self.unit = float(np.quantile([each.range for each in lessons], 0.75)) if lessons else 0.0

    def forecast(self, curve: Curve, horizon: float) -> Forecast:
        """The value at the horizon of a curve with at least two values."""
        fit = regress(curve, horizon, self.unit)
        weights = _weights(fit.evidence + self.prior)
        return Forecast(fit.means.ravel(), fit.deviations.ravel(), weights.ravel())


def lesson(curve: Curve) -> Lesson:
    """The lesson of a whole curve, of at least two values."""
    fit = regress(curve, float(curve.times[-1]) * (1.0 + 1e-4))  # the last value is one observation more
    return Lesson(_weights(fit.evidence), float(np.ptp(curve.values)))


def _weights(logs: Floats) -> Floats:
    weights = np.exp(logs - logs.max())
    scaled: Floats = weights / weights.sum()
    return scaled
