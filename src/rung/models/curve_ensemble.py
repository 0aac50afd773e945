"""Where a learning curve ends: the weighted ensemble of eleven families of Domhan et al. 2015, by MCMC.

The model is the paper's (section 3, table 1): f(t) = sum_k w_k f_k(t | theta_k) plus normal noise, with
weights of sum 1 that are not negative, and a curve that must not end below where it began. Parameters are
drawn from the posterior by the affine-invariant ensemble sampler (Goodman & Weare 2010, as in emcee, which
the authors use), started around the least-squares fit of each family.

What the paper leaves open is done so:
- The families are of an accuracy in [0, 1] that grows. A value y becomes (high - y) / (high - low), with high
  and low the largest and smallest of the curve's values and of `others` (other curves' ends, the incumbent),
  moved into [0.1, 0.9].
- t counts from 1 at the first observation.
- Later observations weigh more, as in the authors' code: from 1 to almost 10, growing geometrically.
- A family whose least-squares fit falls, or does not end in [0, 2], takes no part, and no curve of the
  posterior ends outside (theirs: [0, 100]; here a gain of more than all that was ever seen is possible).
- All walkers of a half move at once, in NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from rung.models.curves import Curve, Forecast
from rung.models.one_thread import one_thread

Floats = NDArray[np.float64]

WALKERS: Final = 100
STEPS: Final = 600
BURN_IN: Final = 300
THIN: Final = 10  # every tenth step of the rest is kept
_MARGIN: Final = 0.1  # of the scaled values, on both sides
_HIGHEST: Final = 2.0  # of the scaled end


class Family(NamedTuple):
    """One family of growing curves.

    Attributes:
        function: of t (n,) and of parameters (..., p), to values (..., n).
        start: parameters from which a fit starts: the authors', but for MMF, whose curve theirs leave flat.
    """

    name: str
    function: Callable[[Floats, Floats], Floats]
    start: tuple[float, ...]


def _parts(parameters: Floats) -> list[Floats]:
    """Each parameter with an axis for t: (..., 1)."""
    return [parameters[..., i, None] for i in range(parameters.shape[-1])]


def _vapor(t: Floats, parameters: Floats) -> Floats:
    a, b, c = _parts(parameters)
    found: Floats = np.exp(a + b / t + c * np.log(t))
    return found


def _pow3(t: Floats, parameters: Floats) -> Floats:
    c, a, alpha = _parts(parameters)
    return c - a * t**-alpha


def _log_log_linear(t: Floats, parameters: Floats) -> Floats:
    a, b = _parts(parameters)
    found: Floats = np.log(a * np.log(t) + b)
    return found


def _hill3(t: Floats, parameters: Floats) -> Floats:
    most, eta, kappa = _parts(parameters)
    return most * t**eta / (kappa**eta + t**eta)


def _log_power(t: Floats, parameters: Floats) -> Floats:
    a, b, c = _parts(parameters)
    return a / (1.0 + (t / np.exp(b)) ** c)


def _pow4(t: Floats, parameters: Floats) -> Floats:
    c, a, b, alpha = _parts(parameters)
    return c - (a * t + b) ** -alpha


def _mmf(t: Floats, parameters: Floats) -> Floats:
    alpha, beta, kappa, delta = _parts(parameters)
    return alpha - (alpha - beta) / (1.0 + (kappa * t) ** delta)


def _exp4(t: Floats, parameters: Floats) -> Floats:
    c, a, b, alpha = _parts(parameters)
    return c - np.exp(-a * t**alpha + b)


def _janoschek(t: Floats, parameters: Floats) -> Floats:
    alpha, beta, kappa, delta = _parts(parameters)
    return alpha - (alpha - beta) * np.exp(-kappa * t**delta)


def _weibull(t: Floats, parameters: Floats) -> Floats:
    alpha, beta, kappa, delta = _parts(parameters)
    return alpha - (alpha - beta) * np.exp(-((kappa * t) ** delta))


def _ilog2(t: Floats, parameters: Floats) -> Floats:
    c, a = _parts(parameters)
    return c - a / np.log(1.0 + t)


FAMILIES: Final = (
    Family("vapor pressure", _vapor, (-0.622, -0.470, 0.042)),
    Family("pow3", _pow3, (0.84, 0.52, 0.01)),
    Family("log log linear", _log_log_linear, (1.0, 1.5)),
    Family("Hill3", _hill3, (0.772, 0.586, 2.461)),
    Family("log power", _log_power, (0.77, 2.98, -0.51)),
    Family("pow4", _pow4, (0.8, 200.0, 0.0, 0.1)),
    Family("MMF", _mmf, (0.7, 0.1, 0.1, 1.0)),
    Family("exp4", _exp4, (0.7, 0.8, -0.8, 0.3)),
    Family("Janoschek", _janoschek, (0.73, 0.07, 0.355, 0.46)),
    Family("Weibull", _weibull, (0.7, 0.1, 0.01, 1.0)),
    Family("ilog2", _ilog2, (0.78, 0.43)),
)


class Fitted(NamedTuple):
    """A family with the parameters (p,) of its least-squares fit."""

    family: Family
    parameters: Floats


@one_thread()
def forecast(curve: Curve, horizon: float, others: Floats, generator: np.random.Generator) -> Forecast | None:
    """The value at the horizon of a curve to be minimised; None if no family fits or all values are equal.

    Args:
        others: values with which it is compared, for the scale.
    """
    every = np.append(curve.values, others)
    high, low = float(every.max()), float(every.min())
    if not high > low:
        return None
    unit = (high - low) / (1.0 - 2.0 * _MARGIN)
    t = curve.times / curve.times[0]
    end = horizon / float(curve.times[0])
    y = _MARGIN + (high - curve.values) / unit
    fits = [fit for family in FAMILIES if (fit := fit_family(family, t, y, end)) is not None]
    if not fits:
        return None
    ends, noises = _Sampler(fits, t, y, end, generator).run()
    count = len(ends)
    return Forecast(high + unit * (_MARGIN - ends), unit * noises, np.full(count, 1.0 / count))


def fit_family(family: Family, t: Floats, y: Floats, end: float) -> Fitted | None:
    """The family's weighted least-squares fit; None if there is none that ends within bounds and grows."""
    weights = np.sqrt(recency(len(t)))

    def residuals(parameters: Floats) -> Floats:
        return np.nan_to_num(weights * (family.function(t, parameters) - y), nan=1e3, posinf=1e3, neginf=-1e3)

    method: Literal["lm", "trf"] = "lm" if len(t) >= len(family.start) else "trf"
    with np.errstate(all="ignore"):
        found = least_squares(residuals, family.start, method=method, max_nfev=300)
        first, last = family.function(np.array([1.0, end]), found.x)
    sound = np.isfinite(first) and np.isfinite(last) and first <= last and 0.0 <= last <= _HIGHEST
    return Fitted(family, found.x) if sound else None


def recency(count: int) -> Floats:
    """(n,) weights of observations, from 1 for the first, growing geometrically to almost 10."""
    return np.asarray(10.0 ** (np.arange(count) / count), dtype=np.float64)


class _Sampler:
    """The ensemble sampler over one vector a walker: all families' parameters, weights, log noise."""

    def __init__(
        self, fits: list[Fitted], t: Floats, y: Floats, end: float, generator: np.random.Generator
    ) -> None:
        self._fits, self._y, self._end, self._generator = fits, y, end, generator
        self._weight = recency(len(t))
        self._cuts = np.cumsum([len(fit.parameters) for fit in fits]).tolist()
        self._points = np.concatenate([t, [1.0, end]])

    def run(self) -> tuple[Floats, Floats]:
        """(s,) samples of the curve's value at the end, and of the noise's deviation."""
        walkers, logs = self._started()
        half = len(walkers) // 2
        ends, noises = [], []
        for step in range(STEPS):
            for moved, fixed in ((slice(0, half), slice(half, None)), (slice(half, None), slice(0, half))):
                self._move(walkers, logs, moved, walkers[fixed])
            if step >= BURN_IN and step % THIN == 0:
                ends.append(self._curves(walkers)[:, -1])
                noises.append(np.exp(walkers[:, -1]))
        return np.concatenate(ends), np.concatenate(noises)

    def _started(self) -> tuple[Floats, Floats]:
        """Walkers around the fits; those outside the prior begin at the fits themselves."""
        count = len(self._fits)
        centre = np.concatenate([*[fit.parameters for fit in self._fits], np.ones(count), [0.0]])
        errors = self._y - self._curves(centre[None])[0, :-2]
        centre[-1] = math.log(max(float(errors.std()), 1e-4))
        number = max(WALKERS, 2 * len(centre) + 2)
        walkers = centre * (1.0 + 1e-3 * self._generator.standard_normal((number, len(centre))))
        logs = self.log_density(walkers)
        lost = ~np.isfinite(logs)
        walkers[lost] = centre
        logs[lost] = self.log_density(centre[None])[0]
        return walkers, logs

    def _curves(self, walkers: Floats) -> Floats:
        """(w, n + 2) the weighted curves at the observations, at 1 and at the end."""
        split = np.split(walkers, self._cuts, axis=1)
        weights = split[-1][:, : len(self._fits)]
        shares = weights / weights.sum(axis=1, keepdims=True)
        parts = zip(self._fits, split[:-1], strict=True)
        with np.errstate(all="ignore"):  # far off, a family may have no value
            curves = np.array([fit.family.function(self._points, part) for fit, part in parts])
            combined: Floats = np.einsum("wk,kwn->wn", shares, curves)
        return combined

    def log_density(self, walkers: Floats) -> Floats:
        """(w,) log posterior densities, up to a constant; -inf outside the prior."""
        curves = self._curves(walkers)
        noise = np.clip(walkers[:, -1], -9.0, 2.0)
        with np.errstate(all="ignore"):
            errors = (curves[:, :-2] - self._y) / np.exp(noise)[:, None]
            logs = -0.5 * (errors * errors) @ self._weight - noise * self._weight.sum()
        weights = walkers[:, self._cuts[-1] : -1]
        first, last = curves[:, -2], curves[:, -1]
        inside = (weights >= 0.0).all(axis=1) & (first <= last) & (last >= 0.0) & (last <= _HIGHEST)
        inside &= (noise == walkers[:, -1]) & np.isfinite(logs)
        found: Floats = np.where(inside, logs, -np.inf)
        return found

    def _move(self, walkers: Floats, logs: Floats, moved: slice, others: Floats) -> None:
        """A stretch move of half of the walkers, each along the line to one of the others."""
        own = walkers[moved]
        count, size = own.shape
        z = np.square(1.0 + self._generator.random(count)) / 2.0  # of density 1 / sqrt(z), 1/2 to 2
        partners = others[self._generator.integers(len(others), size=count)]
        proposed = partners + z[:, None] * (own - partners)
        found = self.log_density(proposed)
        chance = (size - 1) * np.log(z) + found - logs[moved]
        taken = np.log(self._generator.random(count)) < chance
        own[taken] = proposed[taken]
        logs[moved][taken] = found[taken]
