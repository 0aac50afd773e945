"""The derived recurrent cell (DARTS: Liu, Simonyan, Yang 2019, sections 2.1 and 3.1, appendix A.1.2).

With input x and previous output h, and one mask of each that all steps share:

    [c0, h0] = [x * mx, h * mh] W0        s0 = h + sigmoid(c0) * (tanh(h0) - h)
    [ci, hi] = (sj * mh) Wi               si = sj + sigmoid(ci) * (f(hi) - sj)

where j is the predecessor of node i and f its activation; the output is the mean of the nodes in `concat`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from rung.errors import SpaceError
from rung.nas.genotype import ZERO, CellGenotype
from rung.nas.recurrent.masks import NOTHING, Masks, masked

INITIAL: Final = 0.04  # weights begin uniform in +- this, as in the reference


def _identity(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = MappingProxyType(
    {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": _identity}
)


class Reads(NamedTuple):
    """An edge of a derived cell: node, activation, and the column where its matrix begins in a product."""

    node: int
    activation: str
    start: int


class Weights(nn.Module):
    """The matrices of a cell, and what both kinds of cells do with them.

    Args:
        width: of what the cell reads.
        hidden: units of a state.
        nodes: numbers, from 0, of the nodes that have a matrix.
        norm: whether s0 and every node are normalised over the batch, without weights, as in the search:
            one module for all, so that its running statistics are of all states together (as the reference).
    """

    def __init__(self, width: int, hidden: int, nodes: tuple[int, ...], *, norm: bool) -> None:
        super().__init__()
        self.width, self.hidden = width, hidden
        self.first = nn.Parameter(torch.empty(width + hidden, 2 * hidden))
        self.nodes = nn.ParameterDict({str(n): nn.Parameter(torch.empty(hidden, 2 * hidden)) for n in nodes})
        self.norm = nn.BatchNorm1d(hidden, affine=False) if norm else None
        for weight in self.parameters():
            nn.init.uniform_(weight, -INITIAL, INITIAL)

    @property
    def columns(self) -> int:
        """Of all hidden-to-hidden matrices beside each other."""
        return 2 * self.hidden * (1 + len(self.nodes))

    def begun(self, x: Tensor, masks: Masks) -> Tensor:
        """What each step's word adds to [c0, h0] (steps, rows, 2 hidden); one product for all steps."""
        return masked(x, masks.inputs) @ self.first[: self.width]

    def matrices(self, masks: Masks) -> tuple[Tensor, dict[int, Tensor]]:
        """The part of W0 that reads h, and Wi by node; entries dropped where the masks say so."""
        first = self.first[self.width :]
        if masks.weights is None:
            return first, {int(name): weight for name, weight in self.nodes.items()}
        parts = masks.weights.chunk(1 + len(self.nodes), 1)
        nodes = {int(n): weight * parts[1 + i] for i, (n, weight) in enumerate(self.nodes.items())}
        return first * parts[0], nodes

    def start(self, begun: Tensor, h: Tensor, first: Tensor, mask: Tensor | None) -> Tensor:
        """s0 (rows, hidden), normalised if the cell is."""
        c, candidate = torch.addmm(begun, masked(h, mask), first).chunk(2, -1)
        return self.normalised(torch.lerp(h, torch.tanh(candidate), torch.sigmoid(c)))

    def normalised(self, state: Tensor) -> Tensor:
        """A state as other nodes see it."""
        return state if self.norm is None else self.norm(state)


class RecurrentCell(nn.Module):
    """A discrete cell over time.

    Args:
        genotype: of one input; a node with several edges is their sum, all with the node's matrix.
        width: of what the cell reads.
        hidden: units of a state.
        norm: normalise as the search does, for a network that takes over weights of a search as they are.

    Raises:
        SpaceError: an activation is unknown, or the cell has more inputs than one.
    """

    def __init__(self, genotype: CellGenotype, width: int, hidden: int, *, norm: bool = False) -> None:
        super().__init__()
        if genotype.inputs != 1:
            raise SpaceError(f"a recurrent cell has one input, this one has {genotype.inputs}")
        for name in genotype.operations:
            if name not in ACTIVATIONS and name != ZERO:
                raise SpaceError(
                    f"unknown activation {name!r} in a recurrent cell: known are {', '.join(ACTIVATIONS)}"
                )
        self.genotype = genotype
        used = [i for i, edges in enumerate(genotype.nodes) if any(name != ZERO for name, _ in edges)]
        self.weights = Weights(width, hidden, tuple(used), norm=norm)
        self.readers = readers(genotype, hidden)

    @property
    def columns(self) -> int:
        """Of all hidden-to-hidden matrices beside each other."""
        return self.weights.columns

    def forward(self, x: Tensor, h: Tensor, masks: Masks = NOTHING) -> tuple[Tensor, Tensor]:
        """Outputs of all steps (steps, rows, hidden), and the last (rows, hidden).

        Args:
            x: embedded words (steps, rows, width).
            h: the output of the step before (rows, hidden).
        """
        first, nodes = self.weights.matrices(masks)
        products = {
            source: torch.cat([nodes[read.node] for read in reads], 1)
            if len(reads) > 1
            else nodes[reads[0].node]
            for source, reads in self.readers.items()
        }
        outputs = []
        for begun in self.weights.begun(x, masks).unbind(0):
            h = self._step(self.weights.start(begun, h, first, masks.hidden), products, masks.hidden)
            outputs.append(h)
        return torch.stack(outputs), h

    def _step(self, start: Tensor, products: Mapping[int, Tensor], mask: Tensor | None) -> Tensor:
        """The cell's output from s0: nodes that read the same state share one product."""
        size, cell = self.weights.hidden, self.genotype
        sums: dict[int, Tensor] = {}
        states: list[Tensor] = []
        for index in range(1 + len(cell.nodes)):
            state = start if not index else self._state(sums.get(index - 1), start)
            states.append(state)
            if index not in products:
                continue
            product = masked(state, mask) @ products[index]
            for node, activation, begin in self.readers[index]:
                c, h = product[:, begin : begin + size], product[:, begin + size : begin + 2 * size]
                y = torch.lerp(state, ACTIVATIONS[activation](h), torch.sigmoid(c))
                sums[node] = sums[node] + y if node in sums else y
        return torch.stack([states[node] for node in cell.concat]).mean(0)

    def _state(self, total: Tensor | None, start: Tensor) -> Tensor:
        return self.weights.normalised(torch.zeros_like(start) if total is None else total)


def readers(genotype: CellGenotype, hidden: int) -> dict[int, tuple[Reads, ...]]:
    """By state, who reads it: what their matrices stand beside each other for."""
    found: dict[int, list[Reads]] = {}
    for node, edges in enumerate(genotype.nodes):
        for activation, source in edges:
            if activation != ZERO:
                reads = found.setdefault(source, [])
                reads.append(Reads(node, activation, 2 * hidden * len(reads)))
    return {source: tuple(reads) for source, reads in found.items()}
