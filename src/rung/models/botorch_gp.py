"""A Gaussian process over numbers and categories, as BoTorch sets it up: its kernel, and what is fitted.

The kernel is Matern 5/2 over the numbers, a lengthscale each, times BoTorch's `CategoricalKernel`,
exp(-mean(differs / lengthscale)), a lengthscale a category. Its variance is 1: targets are standardised. The
prior of the numbers' lengthscales is BoTorch's default since 0.12 (Hvarfner et al. 2024, Vanilla Bayesian
Optimization Performs Great in High Dimensions, section 4): they grow with the dimension. The noise's has the
same median as BoTorch's and is wider: with that, which all but rules out that there is none, the regret on
Branin's function after 50 evaluations is thirty times as large.

What is fitted, by `rung.models.process`, is small and plain; `rung.models.gp_posterior` computes with it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]

ITERATIONS: Final = 50  # of L-BFGS, from the priors
WARM: Final = 20  # from an earlier fit
LEAST_SCALE: Final = 2.5e-2
LEAST_NOISE: Final = 1e-6
MOST: Final = 1e4  # of either
_JITTERS: Final = (1e-9, 1e-7, 1e-5, 1e-3)


class Kernel(NamedTuple):
    """What is fitted.

    Attributes:
        scales: (k,) lengthscales, those of numbers first.
        numbers: how many of them are numbers'.
        noise: variance of the noise.
        mean: far from all data.
        length: over which fidelities say less of each other, in rungs, see `rung.models.process`.
        growth: logarithm of the factor by which a lower rung's noise is larger.
    """

    scales: tuple[float, ...]
    numbers: int
    noise: float
    mean: float
    length: float = math.inf
    growth: float = 0.0


class Priors(NamedTuple):
    """Log-normal priors of the lengthscales, then of the noise: of their logarithms (k + 1,)."""

    means: Floats
    deviations: Floats

    @property
    def begin(self) -> Floats:
        """Where a fit begins, (k + 1,) logarithms: the lengthscales' modes, the median of the noise.

        From less noise, a fit of noisy results ends where short lengthscales explain every one of them.
        """
        return np.append((self.means - self.deviations**2)[:-1], self.means[-1])


def priors(k: int, numbers: int) -> Priors:
    """Those of a kernel over `k` columns; a category's lengthscale is about 1 from 0.1 to 10."""
    wide = math.sqrt(2.0) + 0.5 * math.log(max(numbers, 1))
    means = np.array([wide] * numbers + [0.0] * (k - numbers) + [-4.0])
    deviations = np.array([math.sqrt(3.0)] * numbers + [1.0] * (k - numbers) + [3.0])
    return Priors(means, deviations)


def correlation(a: Tensor, b: Tensor, scales: Tensor, numbers: int) -> Tensor:
    """The kernel between rows of `a` (n, k) and `b` (m, k): (n, m)."""
    import torch

    total = torch.ones(len(a), len(b), dtype=a.dtype)
    if numbers:
        left, right = a[:, :numbers] / scales[:numbers], b[:, :numbers] / scales[:numbers]
        exact = "donot_use_mm_for_euclid_dist"
        distance = math.sqrt(5.0) * torch.cdist(left, right, compute_mode=exact)
        total = (1.0 + distance + distance.square() / 3.0) * torch.exp(-distance)
    if numbers < a.shape[1]:
        differs = torch.zeros_like(total)
        for j in range(numbers, a.shape[1]):  # one by one: all at once are too much memory
            differs = differs + (a[:, j, None] != b[None, :, j]) / scales[j]
        total = total * torch.exp(-differs / (a.shape[1] - numbers))
    return total


def cholesky(matrix: Tensor, jitter: float = 0.0) -> Tensor:
    """The lower Cholesky factor of `matrix` (n, n), with `jitter` on its diagonal, or as much as it needs."""
    import torch

    for more in (jitter, *(size for size in _JITTERS if size > jitter)):
        jittered = matrix if more == 0.0 else matrix + more * torch.eye(len(matrix), dtype=matrix.dtype)
        factor: Tensor
        factor, failed = torch.linalg.cholesky_ex(jittered)
        if not failed:
            return factor
    raise ArithmeticError("a covariance matrix has negative eigenvalues beyond rounding")
