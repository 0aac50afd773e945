"""What a configuration promises under Gaussian processes, and where that is most: in PyTorch and BoTorch.

One objective: the logarithm of the expected improvement (Ament et al. 2023, Unexpected Improvements to
Expected Improvement for Bayesian Optimization, section 4), over the least posterior mean where there are
results, so that noise is no improvement, and averaged over fantasies of pending points.

Several objectives: the logarithm of the expected improvement of the hypervolume (Emmerich et al. 2006), exact
for one point and independent objectives: over the boxes into which BoTorch divides what is not dominated, it
is the sum of products of differences of expected improvements. All of it stays on the logarithmic scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.models.ascent import Slope, uphill
from rung.models.botorch_gp import Kernel
from rung.models.gp_posterior import Posterior
from rung.models.torch_scope import scope

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
Gain = Callable[["Tensor"], "Tensor"]  # (b, k) -> (b,)

FANTASIES: Final = 16
_FRONT: Final = 64  # points of a front that the boxes are made from, beyond two objectives
_LOG_SQRT_2PI: Final = 0.5 * math.log(2.0 * math.pi)
_LOG_SQRT_HALF_PI: Final = 0.5 * math.log(0.5 * math.pi)
_BLOCK: Final = 2**21  # numbers in an intermediate array


class Data(NamedTuple):
    """What an acquisition is made from.

    Attributes:
        kernels: one an objective.
        x: (n, k) numbers, then categories' codes.
        y: (n, m) targets, less is better.
        pending: (p, k).
        reference: (m,) beyond which there is no improvement; read with several objectives only.
    """

    kernels: Sequence[Kernel]
    x: Floats
    y: Floats
    pending: Floats
    reference: Floats


class Acquisition:
    """The logarithm of the expected improvement, or of that of the hypervolume; more is better."""

    def __init__(self, data: Data, seed: int) -> None:
        """Args: seed: of the fantasies."""
        with scope(seed):
            import torch

            x, y = torch.tensor(data.x), torch.tensor(data.y)
            posteriors = [Posterior(kernel, x, y[:, j]) for j, kernel in enumerate(data.kernels)]
            if len(data.pending):
                shape = (len(data.pending), FANTASIES if len(posteriors) == 1 else 1)
                # with several objectives the one fantasy is what is expected: boxes are costly to make
                draw = torch.randn if len(posteriors) == 1 else torch.zeros
                pending = torch.tensor(data.pending)
                posteriors = [
                    each.fantasised(pending, draw(*shape, dtype=torch.float64)) for each in posteriors
                ]
            self._width = len(posteriors[0].points)
            self._gain: Gain
            if len(posteriors) == 1:
                self._gain = improvement(posteriors[0])
            else:
                self._gain, boxes = hypervolume_improvement(posteriors, data.reference)
                self._width = max(self._width, boxes)

    def __call__(self, x: Floats) -> Floats:
        """At rows of `x` (b, k): (b,)."""
        size = max(1, _BLOCK // self._width)
        with scope():
            import torch

            with torch.no_grad():
                parts = [self._gain(torch.tensor(x[i : i + size])) for i in range(0, len(x), size)]
                found: Floats = torch.cat(parts).numpy() if parts else np.empty(0)
        return found

    def gradient(self, x: Floats) -> tuple[Floats, Floats]:
        """At rows of `x` (b, k): (b,), and the gradient (b, k) along the numbers."""
        import torch

        points = torch.tensor(x, requires_grad=True)
        value = self._gain(points)
        (slope,) = torch.autograd.grad(value.sum(), points)
        return value.detach().numpy(), slope.numpy()

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
        with scope():
            return uphill(self.gradient, x, free, bounds, iterations, extra)


def log_improvement(z: Tensor) -> Tensor:
    """The logarithm of E[max(z + Z, 0)], Z standard normal, its slope right however small it is (eq. 9)."""
    import torch

    near = z.clamp_min(-1.0)
    density = torch.exp(-0.5 * near.square() - _LOG_SQRT_2PI)
    above = (density + near * torch.special.ndtr(near)).log()
    far = z.clamp(-1e6, -1.0)
    mills = torch.special.erfcx(-far / math.sqrt(2.0)).log() + (-far).log() + _LOG_SQRT_HALF_PI
    rest = torch.where(z > -1e6, _log1mexp(mills), -2.0 * z.clamp_max(-1.0).neg().log())
    return torch.where(z > -1.0, above, -0.5 * z.square() - _LOG_SQRT_2PI + rest)


def _log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) of x < 0."""
    import torch

    x = x.clamp_max(-1e-14)
    small = x > -math.log(2.0)
    near = (-torch.expm1(torch.where(small, x, -1.0))).log()
    return torch.where(small, near, torch.log1p(-torch.exp(torch.where(small, -1.0, x))))


def improvement(posterior: Posterior) -> Gain:
    """The expected improvement's logarithm, averaged over the fantasies of `posterior`."""
    import torch

    def gain(x: Tensor) -> Tensor:
        mean, variance = posterior.at(x)
        deviation = variance.sqrt()[:, None]
        logs = log_improvement((posterior.best - mean) / deviation) + deviation.log()  # (b, F)
        return torch.logsumexp(logs, dim=1) - math.log(logs.shape[1])

    return gain


def hypervolume_improvement(posteriors: Sequence[Posterior], reference: Floats) -> tuple[Gain, int]:
    """The expected hypervolume improvement's logarithm, and how many boxes it is summed over."""
    import torch

    lower, upper = boxes(posteriors, reference)  # (c, m) both
    bounded = torch.isfinite(upper)
    low, high = -upper.masked_fill(~bounded, 0.0), -lower  # minimised; an unbounded one is masked below

    def gain(x: Tensor) -> Tensor:
        total = torch.zeros(len(x), len(lower), dtype=x.dtype)
        for j, posterior in enumerate(posteriors):
            mean, variance = posterior.at(x)
            deviation = variance.sqrt()[:, None]
            most = log_improvement((high[:, j] - mean) / deviation)
            less = log_improvement((low[:, j] - mean) / deviation)
            part = _log1mexp(torch.where(bounded[:, j], less - most, -1.0))
            total = total + most + torch.where(bounded[:, j], part, 0.0) + deviation.log()
        return torch.logsumexp(total, dim=1)

    return gain, len(lower)


def boxes(posteriors: Sequence[Posterior], reference: Floats) -> tuple[Tensor, Tensor]:
    """Lower and upper corners (c, m), to be maximised, of what no point dominates within the reference.

    The front is that of posterior means at the data and the fantasies, as noise is no improvement. Of a front
    of more than two objectives only the points that each dominate most are taken.
    """
    import torch
    from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
    from botorch.utils.multi_objective.pareto import is_non_dominated

    values = -torch.cat([each.smoothed for each in posteriors], dim=1)  # (N, m)
    worst = -torch.tensor(reference)
    inside = values[(values > worst).all(dim=1)]
    front = inside[is_non_dominated(inside)] if len(inside) else inside
    if len(posteriors) > 2 and len(front) > _FRONT:
        volume = (front - worst).prod(dim=1)
        front = front[volume.argsort(descending=True, stable=True)[:_FRONT]]
    if not len(front):
        return worst[None], torch.full_like(worst, math.inf)[None]
    lower, upper = FastNondominatedPartitioning(worst, front).get_hypercell_bounds()
    return lower, upper
