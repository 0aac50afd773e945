"""The posterior of a Gaussian process in closed form, in PyTorch so that gradients are to be had.

It is what GPyTorch computes, without its general machinery, which takes ten times as long for a few hundred
results. Pending points are taken in as fantasies: values drawn from the posterior at all of them together.
The variance does not depend on them, so that all share one factorisation and differ by their mean only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rung.models.botorch_gp import Kernel, cholesky, correlation

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]

_TINY: Final = 1e-10  # the least variance


class Posterior:
    """A Gaussian process given its data.

    Attributes:
        points: (N, k) where there are data, then where there are fantasies.
        smoothed: (N, F) by fantasy, the posterior mean at `points`: targets without their noise.
        best: (F,) the least of them.
    """

    def __init__(self, kernel: Kernel, x: Tensor, y: Tensor) -> None:
        """Condition on targets `y` (n,) or, if they are fantasies, (n, F) at `x` (n, k)."""
        import torch

        self.kernel = kernel
        self.points = x
        self._scales = torch.tensor(kernel.scales, dtype=x.dtype)
        covariance = self.covariance(x, x)
        covariance.diagonal().add_(kernel.noise)
        self._factor = cholesky(covariance)  # (N, N)
        residual = (y if y.ndim == 2 else y[:, None]) - kernel.mean
        self._weights = torch.cholesky_solve(residual, self._factor)  # (N, F)
        self._values = residual + kernel.mean
        self.smoothed = self._values - kernel.noise * self._weights
        self.best = self.smoothed.min(dim=0).values

    def covariance(self, a: Tensor, b: Tensor) -> Tensor:
        """The kernel between rows of `a` (n, k) and `b` (m, k): (n, m)."""
        return correlation(a, b, self._scales, self.kernel.numbers)

    def at(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior of the function without noise at `x` (m, k): means (m, F), variances (m,)."""
        import torch

        cross = self.covariance(x, self.points)  # (m, N)
        mean = self.kernel.mean + cross @ self._weights
        half = torch.linalg.solve_triangular(self._factor, cross.T, upper=False)  # (N, m)
        return mean, (1.0 - half.square().sum(dim=0)).clamp_min(_TINY)

    def joint(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same for all of `x` together: means (m, F), covariances (m, m)."""
        import torch

        cross = self.covariance(x, self.points)
        half = torch.linalg.solve_triangular(self._factor, cross.T, upper=False)
        return self.kernel.mean + cross @ self._weights, self.covariance(x, x) - half.T @ half

    def fantasised(self, x: Tensor, normals: Tensor) -> Posterior:
        """The posterior given fantasies at `x` (p, k), too, made from standard normals (p, F).

        Zeros for `normals` make the one fantasy that values are what is expected.
        """
        import torch

        mean, covariance = self.joint(x)
        covariance.diagonal().add_(self.kernel.noise)
        drawn = mean + cholesky(covariance) @ normals  # (p, F)
        known = self._values.expand(-1, drawn.shape[1])
        return Posterior(self.kernel, torch.cat([self.points, x]), torch.cat([known, drawn]))
