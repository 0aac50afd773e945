"""The expected improvement's logarithm under a Gaussian process of one objective, and its slope, in NumPy.

Ament et al. (2023, Unexpected Improvements to Expected Improvement for Bayesian Optimization, section 4),
over the least posterior mean where there are results, so that noise is no improvement, and averaged over
fantasies of pending points. `rung.models.botorch_acquisition` has the same in PyTorch, and that of several
objectives.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rung.models.ascent import Slope, uphill
from rung.models.botorch_gp import Kernel
from rung.models.improvement import log_improvement, slope
from rung.models.process import Data, Posterior

Floats = NDArray[np.float64]

FANTASIES: Final = 16
SHORT: Final = 8  # iterations, up to which they are plain steps
_TINY: Final = 1e-10  # the least variance
_BLOCK: Final = 2**20  # numbers in an intermediate array


class Gain:
    """The logarithm of the expected improvement; more is better."""

    def __init__(self, kernel: Kernel, data: Data, pending: Floats, generator: np.random.Generator) -> None:
        """Args: pending: (p, k) where values are to come; drawn by `generator`."""
        normals = generator.standard_normal((len(pending), FANTASIES if len(pending) else 1))
        self.posterior = Posterior(kernel, data, pending, normals)
        # (N, N + F): one product of a row of the kernel tells its variance and its means
        self._joint = np.concatenate([self.posterior.root.T, self.posterior.weights], axis=1)

    def __call__(self, x: Floats) -> Floats:
        """At rows of `x` (b, k): (b,)."""
        size = max(1, _BLOCK // len(self.posterior.x))
        if len(x) > size:
            return np.concatenate([self(x[i : i + size]) for i in range(0, len(x), size)])
        return self._at(x, None)

    def _at(self, x: Floats, rest: Floats | None) -> Floats:
        """The same; `rest` as `Posterior.cross` takes it."""
        mean, deviation, _, _ = self._moments(x, rest)
        logs = log_improvement((self.posterior.best - mean) / deviation[:, None])
        return np.asarray(_log_mean_exp(logs) + np.log(deviation))

    def _moments(self, x: Floats, rest: Floats | None) -> tuple[Floats, Floats, Floats, Floats]:
        """Means (b, F), deviations (b,), the kernel's slopes (b, N), `_joint`'s product (b, N + F)."""
        cross, near = self.posterior.cross(x, rest)
        both = cross @ self._joint
        half = both[:, : cross.shape[1]]
        variance = np.maximum(1.0 - np.einsum("ij,ij->i", half, half), _TINY)
        return self.posterior.mean + both[:, cross.shape[1] :], np.sqrt(variance), near, both

    def gradient(self, x: Floats, rest: Floats | None = None) -> tuple[Floats, Floats]:
        """At rows of `x` (b, k): (b,), and the gradient (b, k) along the numbers.

        Args:
            rest: `posterior.rest(x)`, where it is known.
        """
        posterior = self.posterior
        mean, deviation, near, both = self._moments(x, rest)
        z = (posterior.best - mean) / deviation[:, None]
        logs = log_improvement(z)
        total = _log_mean_exp(logs)
        share = np.exp(logs - total[:, None]) / z.shape[1]
        steep = share * slope(z, logs)
        by_spread = 1.0 - (steep * z).sum(axis=1)  # by the deviation's logarithm
        by_spread[deviation <= math.sqrt(_TINY)] = 0.0
        n = near.shape[1]
        both[:, :n] *= (by_spread / (deviation * deviation))[:, None]
        both[:, n:] = steep / deviation[:, None]
        return total + np.log(deviation), posterior.along(x, near, both @ self._joint.T)

    def refine(
        self,
        x: Floats,
        free: NDArray[np.bool_],
        bounds: tuple[Floats, Floats],
        iterations: int,
        extra: Slope | None = None,
    ) -> Floats:
        """Rows of `x` (b, k) moved uphill by L-BFGS, each along its `free` (b, k) numbers.

        Args:
            bounds: (k,) the least and the largest.
            extra: to be added to the acquisition.
        """
        if iterations <= SHORT and extra is None and free.any():
            return self._stepped(x.copy(), free, bounds, iterations)
        rest = self.posterior.rest(x)  # only numbers move
        return uphill(lambda moved: self.gradient(moved, rest), x, free, bounds, iterations, extra)

    def _stepped(
        self, x: Floats, free: NDArray[np.bool_], bounds: tuple[Floats, Floats], steps: int
    ) -> Floats:
        """The same by so few steps along the slope that L-BFGS would learn nothing from them.

        A step is measured in lengthscales; the next one is twice as long, or a quarter where it led down.
        """
        k = free.shape[1]
        width = np.minimum(np.array(self.posterior.kernel.scales[:k]), 1.0) * free
        rest = self.posterior.rest(x)  # only numbers move
        value, steep = self.gradient(x, rest)
        length = np.full((len(x), 1), 0.1)
        for left in range(steps, 0, -1):
            direction = (steep if np.isfinite(steep).all() else np.nan_to_num(steep)) * width * width
            longest = np.abs(direction).max(axis=1, keepdims=True)
            tried = x + direction * (length / np.maximum(longest, 1e-300))
            tried = np.where(free, np.minimum(np.maximum(tried, bounds[0]), bounds[1]), x)
            # the slope where the last step leads is not asked for
            found, slopes = self.gradient(tried, rest) if left > 1 else (self._at(tried, rest), steep)
            better = found > value
            up = better[:, None]
            x, steep = np.where(up, tried, x), np.where(up, slopes, steep)
            value = np.where(better, found, value)
            length *= np.where(up, 2.0, 0.25)
        return x


def _log_mean_exp(logs: Floats) -> Floats:
    """(b,) over the columns of (b, F)."""
    if logs.shape[1] == 1:
        return logs[:, 0].copy()
    most = logs.max(axis=1)
    return np.asarray(most + np.log(np.exp(logs - most[:, None]).mean(axis=1)))
