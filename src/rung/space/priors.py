"""Priors over [0, 1]: from uniform numbers to points that follow them, and how dense they are where.

Densities are relative to the uniform distribution, as logarithms: 0 is where a prior says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Quantile = Callable[[Floats], Floats]

EDGE: Final = 2.0**-53  # densities are taken this far inside [0, 1], where those of a beta are not zero
_SMALL: Final = 1e-6  # below this mass differences of distribution functions lose digits
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


class Prior(Protocol):
    """A distribution on [0, 1]; every function takes and returns whole columns."""

    def quantile(self, u: Floats) -> Floats:
        """The inverse distribution function."""

    def cdf(self, x: Floats) -> Floats:
        """The distribution function."""

    def log_density(self, x: Floats) -> Floats:
        """The logarithm of the density."""


class TruncatedNormal:
    """The normal distribution cut off at 0 and 1."""

    def __init__(self, mean: float, deviation: float) -> None:
        from scipy.special import log_ndtr, ndtri_exp  # 0.2 s to import, for the few spaces that need it

        self._log_ndtr, self._ndtri_exp = log_ndtr, ndtri_exp
        self._deviation = deviation
        self._mirrored = mean < 0.5  # logarithms of the lower tail keep their digits, however far the mean is
        self._centre = 1.0 - mean if self._mirrored else mean
        low, high = log_ndtr((0.0 - self._centre) / deviation), log_ndtr((1.0 - self._centre) / deviation)
        self._high = high
        self._ratio = np.exp(low - high)
        self._whole = float(high + np.log(-np.expm1(low - high)))  # log of the mass inside [0, 1]

    def quantile(self, u: Floats) -> Floats:
        rank = 1.0 - u if self._mirrored else u
        with np.errstate(divide="ignore"):
            log_rank = self._high + np.log(rank + (1.0 - rank) * self._ratio)
        x: Floats = np.clip(self._centre + self._deviation * self._ndtri_exp(log_rank), 0.0, 1.0)
        return 1.0 - x if self._mirrored else x

    def cdf(self, x: Floats) -> Floats:
        at = 1.0 - x if self._mirrored else x
        below = np.exp(self._log_ndtr((at - self._centre) / self._deviation) - self._high)
        rank: Floats = np.clip((below - self._ratio) / (1.0 - self._ratio), 0.0, 1.0)
        return 1.0 - rank if self._mirrored else rank

    def log_density(self, x: Floats) -> Floats:
        z = ((1.0 - x if self._mirrored else x) - self._centre) / self._deviation
        found: Floats = -0.5 * z * z - math.log(self._deviation * math.sqrt(2.0 * math.pi)) - self._whole
        return found


class BetaPrior:
    """The beta distribution."""

    def __init__(self, alpha: float, beta: float) -> None:
        from scipy import special

        self._special = special
        self._alpha, self._beta = alpha, beta

    def quantile(self, u: Floats) -> Floats:
        found: Floats = self._special.betaincinv(self._alpha, self._beta, u)
        return found

    def cdf(self, x: Floats) -> Floats:
        found: Floats = self._special.betainc(self._alpha, self._beta, x)
        return found

    def log_density(self, x: Floats) -> Floats:
        inside = np.clip(x, EDGE, 1.0 - EDGE)
        constant = float(self._special.betaln(self._alpha, self._beta))
        logs: Floats = (self._alpha - 1.0) * np.log(inside) + (self._beta - 1.0) * np.log1p(-inside)
        return logs - constant


class Weights:
    """Categories with these weights; category k of m has the part [k / m, (k + 1) / m)."""

    def __init__(self, weights: tuple[float, ...]) -> None:
        self._count = len(weights)
        self._bounds = np.cumsum(weights) / np.sum(weights)
        self._last = max(i for i, weight in enumerate(weights) if weight > 0)
        with np.errstate(divide="ignore"):  # a weight of 0: minus infinity
            self._logs: Floats = np.log(np.array(weights) * (self._count / np.sum(weights)))

    def quantile(self, u: Floats) -> Floats:
        """The middle of each category's part."""
        level = np.minimum(np.searchsorted(self._bounds, u, side="right"), self._last)
        return (level + 0.5) / self._count

    def log_density(self, x: Floats) -> Floats:
        return self._logs[np.minimum(x * self._count, self._count - 1).astype(np.int64)]


def log_density_of_cells(prior: Prior, low: Floats, high: Floats) -> Floats:
    """The logarithm of a prior's mean density over each [low, high]: that of a value with this part."""
    mass = prior.cdf(high) - prior.cdf(low)
    with np.errstate(divide="ignore"):
        logs: Floats = np.log(mass / (high - low))
    small = np.flatnonzero(mass < _SMALL)
    if len(small):
        middle, half = 0.5 * (low[small] + high[small]), 0.5 * (high[small] - low[small])
        inside = prior.log_density(middle[:, None] + half[:, None] * _NODES)  # (n, nodes)
        top = inside.max(axis=1, keepdims=True)
        logs[small] = top[:, 0] + np.log(np.exp(inside - top) @ (0.5 * _WEIGHTS))
    return logs
