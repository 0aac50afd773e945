"""A cell of the supernet with partial channel connections (PC-DARTS: Xu et al. 2020, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from rung.errors import SpaceError
from rung.nas.operations import Operation
from rung.nas.plain import Mask, PlainBody
from rung.nas.space import Cell

PARTS: Final = 4  # the paper's K on CIFAR-10: a quarter of the channels goes through the operations


def check_parts(channels: int) -> None:
    """Refuse channels that cannot be divided.

    Raises:
        SpaceError: says by what.
    """
    if channels % PARTS:
        raise SpaceError(f"partial channels take a multiple of {PARTS} channels, not {channels}")


class PartialBody(PlainBody):
    """On each edge the first quarter of the channels is mixed, the rest is handed on; then they are shuffled.

    The weight of an edge (the paper's normalised beta) multiplies both: it is the sum of the edge's row of
    the mixture, since alphas' softmax sums to one. Between sizes, what is handed on is max-pooled by two.

    Raises:
        SpaceError: the channels cannot be divided by four.
    """

    def __init__(self, cell: Cell, channels: int, reduction: bool, table: Mapping[str, Operation]) -> None:
        check_parts(channels)
        super().__init__(cell, channels // PARTS, reduction, table)
        self.width, self.reduction = channels // PARTS, reduction

    def forward(self, inputs: list[Tensor], mixture: Tensor, active: Mask | None = None) -> Tensor:
        """The cell's output; arguments as those of `PlainBody`."""
        states = list(inputs)
        used = self.alive if active is None else self.alive & active
        weight = (mixture * torch.from_numpy(used).to(mixture.device)).sum(1)  # (E,)
        for target in self.cell.targets:
            total: Tensor | None = None
            for edge in self.cell.entering(target):
                if not used[edge].any():
                    continue
                x = states[self.cell.edges[edge][0]]
                y = self._joined(edge, x, mixture[edge], used[edge], weight[edge])
                total = y if total is None else total + y
            states.append(self._zeros(states) if total is None else shuffled(total))
        nodes = [states[node] for node in self.cell.concat]
        if self.cell.output == "mean":
            return torch.stack(nodes).mean(0)
        return nodes[0] if len(nodes) == 1 else torch.cat(nodes, 1)

    def _joined(self, edge: int, x: Tensor, mixture: Tensor, used: Mask, weight: Tensor) -> Tensor:
        through, past = x[:, : self.width], x[:, self.width :]
        mixed: Tensor | float = 0.0
        for column in used.nonzero()[0]:
            mixed = mixed + mixture[column] * self._operate(edge, int(column), through)
        assert isinstance(mixed, Tensor)
        if self.reduction and self.cell.edges[edge][0] < self.cell.inputs:
            past = nn.functional.max_pool2d(past, 2, ceil_mode=True)
        return torch.cat([mixed, weight * past], 1)

    def _zeros(self, states: list[Tensor]) -> Tensor:
        if len(states) > self.cell.inputs:
            return torch.zeros_like(states[-1])
        x = states[0]
        return torch.zeros_like(nn.functional.max_pool2d(x, 2, ceil_mode=True) if self.reduction else x)


def shuffled(x: Tensor) -> Tensor:
    """Channel shuffle in four groups (Zhang et al. 2018, section 3.1); (n, c, h, w) to the same."""
    n, c, h, w = x.shape
    return x.reshape(n, PARTS, c // PARTS, h, w).transpose(1, 2).reshape(n, c, h, w)
