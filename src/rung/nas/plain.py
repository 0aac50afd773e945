"""A cell of the supernet in plain form: every candidate on every edge is a module, as in the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rung.nas.network import built
from rung.nas.operations import Operation
from rung.nas.space import Cell

Mask = NDArray[np.bool_]


def candidates_mask(cell: Cell) -> Mask:
    """(E, O): which operations an edge has."""
    return np.array(
        [[name in cell.candidates(e) for name in cell.operations] for e in range(len(cell.edges))]
    )


class PlainBody(nn.Module):
    """The edges of one cell, and its nodes as sums of what enters them.

    Args:
        cell: what is searched.
        channels: of each node.
        reduction: whether edges from inputs have stride 2.
        table: operations by name.
        skip_dropout: probability with which an element of a skip's output is zeroed while training (P-DARTS).
    """

    def __init__(self, cell: Cell, channels: int, reduction: bool, table: Mapping[str, Operation]) -> None:
        super().__init__()
        self.cell = cell
        self.alive: Mask = candidates_mask(cell)
        self.skip_dropout = 0.0
        self.edges = nn.ModuleList()
        for number, (source, _) in enumerate(cell.edges):
            stride = 2 if reduction and source < cell.inputs else 1
            modules = {
                name: built(table[name], channels, stride, affine=False, searched=True)
                for name in cell.candidates(number)
            }
            self.edges.append(nn.ModuleDict(modules))

    def forward(self, inputs: list[Tensor], mixture: Tensor, active: Mask | None = None) -> Tensor:
        """The cell's output.

        Args:
            inputs: each (n, c, h, w).
            mixture: (E, O) weights.
            active: (E, O) operations to compute; all that are alive unless told.
        """
        states = list(inputs)
        used = self.alive if active is None else self.alive & active
        for target in self.cell.targets:
            total: Tensor | None = None
            for edge in self.cell.entering(target):
                for column in np.flatnonzero(used[edge]):
                    y = self._operate(edge, int(column), states[self.cell.edges[edge][0]])
                    y = mixture[edge, column] * y
                    total = y if total is None else total + y
            states.append(self._nothing(states) if total is None else total)
        nodes = [states[node] for node in self.cell.concat]
        if self.cell.output == "mean":
            return torch.stack(nodes).mean(0)
        return nodes[0] if len(nodes) == 1 else torch.cat(nodes, 1)

    def _operate(self, edge: int, column: int, x: Tensor) -> Tensor:
        name = self.cell.operations[column]
        y: Tensor = self._on(edge)[name](x)
        if self.skip_dropout and self.training and name == "skip_connect":
            y = nn.functional.dropout(y, self.skip_dropout)
        return y

    def _on(self, edge: int) -> nn.ModuleDict:
        return cast(nn.ModuleDict, self.edges[edge])

    def _nothing(self, states: list[Tensor]) -> Tensor:
        """A node that nothing enters: zeros, of the size of the other nodes."""
        if len(states) > self.cell.inputs:
            return torch.zeros_like(states[-1])
        first = self.cell.entering(self.cell.targets[0])[0]
        name = self.cell.candidates(first)[0]
        return self._operate(first, self.cell.operations.index(name), states[0]) * 0.0

    def prune(self, edge: int, column: int) -> None:
        """Remove an operation from an edge: its module and its weights."""
        self.alive[edge, column] = False
        del self._on(edge)[self.cell.operations[column]]

    def plain_state(self) -> dict[str, Tensor]:
        """Weights and statistics by name, such as `edges.3.sep_conv_3x3.1.weight`."""
        return dict(self.state_dict())

    def load_plain_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `plain_state` gave."""
        self.load_state_dict(state)
