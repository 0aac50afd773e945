"""Many networks of one shape trained at once: each parameter has a leading axis over the networks.

A step costs little more than one network's as long as these are small. Networks share the order of the rows
and never meet otherwise: the gradient of the sum of their losses is each one's own gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor


def layers(sizes: Sequence[int], count: int, generator: Generator) -> list[Tensor]:
    """Weights (k, in, out) and biases (k, 1, out) of `count` networks, uniform as PyTorch's `Linear`."""
    import torch

    def uniform(bound: float, *shape: int) -> Tensor:
        return ((torch.rand(shape, generator=generator) * 2.0 - 1.0) * bound).requires_grad_()

    found = []
    for inputs, outputs in pairwise(sizes):
        bound = 1.0 / math.sqrt(inputs)
        found += [uniform(bound, count, inputs, outputs), uniform(bound, count, 1, outputs)]
    return found


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Of rows (n, in), which all networks share, or (k, n, in): (k, n, out)."""
    import torch

    if x.ndim == 2:
        x = x.expand(len(weight), *x.shape)
    return torch.baddbmm(bias, x, weight)


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1), with a learning rate for each network.

    Args:
        parameters: (k, ...) each.
        rates: (k,).
    """

    def __init__(self, parameters: Sequence[Tensor], rates: Tensor) -> None:
        import torch

        self._parameters = list(parameters)
        self.rates = rates
        self._first = [torch.zeros_like(one) for one in parameters]
        self._second = [torch.zeros_like(one) for one in parameters]
        self._steps = 0

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Move the parameters down their gradients."""
        import torch

        self._steps += 1
        first, second = 1.0 - 0.9**self._steps, 1.0 - 0.999**self._steps
        rates = self.rates / first
        with torch.no_grad():
            torch._foreach_lerp_(self._first, list(gradients), 0.1)
            torch._foreach_mul_(self._second, 0.999)
            torch._foreach_addcmul_(self._second, list(gradients), list(gradients), 0.001)
            roots = torch._foreach_sqrt(self._second)
            torch._foreach_div_(roots, math.sqrt(second))
            torch._foreach_add_(roots, 1e-8)
            for one, mean, root in zip(self._parameters, self._first, roots, strict=True):
                one.sub_(mean / root * rates.view(-1, *[1] * (one.ndim - 1)))
