"""A controller that draws an architecture, one decision after the other, from an LSTM.

Of NASNet (Zoph et al. 2018, section 3 and appendix A.1) and ENAS (Pham et al. 2018, section 2.4): cell after
cell and node after node it draws an input, the operation on it, the next input; what it drew is what it reads
next, so that each decision depends on all before it, those of the cell before among them. Here the inputs of
a node are different ones, as genotypes have them, and come by source: of those after the last, each that
leaves enough for the rest. So an architecture is drawn in one way alone, and the product of its decisions'
probabilities is its own, whatever is known of how it came about. In how many ways the rest can be taken is
counted for an input, without which those of later sources would be rare before anything is learnt. A
controller is its weights, a dictionary; what it does are functions of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rung.nas.choice import Chosen, allowed
from rung.nas.plain import Mask
from rung.nas.space import Cell, Space

Weights = Mapping[str, Tensor]
Pick = Callable[["Place", Tensor], int]

_UNIFORM: Final = 0.1  # weights begin between minus and plus this (ENAS, section 3.2)


class Place(NamedTuple):
    """A decision that is to be made.

    Attributes:
        cell, target: the node of which cell.
        edge: whose operation is drawn; None where an input is.
        options: edges, or columns of operations.
    """

    cell: Cell
    target: int
    edge: int | None
    options: tuple[int, ...]


class Drawn(NamedTuple):
    """An architecture, and how probable it was.

    Attributes:
        chosen: it.
        log_probability: of its decisions in their order, in nats; differentiable in the weights.
        decisions: how many there were.
    """

    chosen: Chosen
    log_probability: Tensor
    decisions: int


@dataclass(frozen=True)
class Controller:
    """How a controller draws; the defaults are ENAS' (section 3.2).

    Attributes:
        hidden: units of the LSTM, and width of what it reads.
        temperature, bound: logits are `bound` tanh(l / `temperature`), so that no decision is ever certain:
            of two options none is more than e^(2 `bound`) times as probable, or, of inputs, that times the
            ways to go on with it by those with the other.
    """

    hidden: int = 64
    temperature: float = 5.0
    bound: float = 2.5

    def begin(self, space: Space, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Weights before the first step, uniform between -0.1 and 0.1: leaves that require gradients."""
        generator = torch.Generator().manual_seed(seed)
        inputs, operations, hidden = _most_sources(space), len(_operations(space)), self.hidden
        shapes = {
            "read": (1 + inputs + operations, hidden),  # nothing yet, an input, an operation
            "from_read": (4 * hidden, hidden),
            "from_state": (4 * hidden, hidden),
            "gates": (4 * hidden,),
            "inputs": (inputs, hidden),
            "operations": (operations, hidden),
        }
        return {
            name: (
                _UNIFORM * (2.0 * torch.rand(shape, generator=generator, dtype=dtype) - 1.0)
            ).requires_grad_()
            for name, shape in shapes.items()
        }

    def draw(
        self, weights: Weights, space: Space, pick: Pick, alive: Mapping[str, Mask] | None = None
    ) -> Drawn:
        """An architecture.

        Args:
            weights: as `begin` gives them.
            pick: which option of a place is taken, given their log-probabilities (n,): its position.
            alive: by cell, (E, O): what there is to choose from.
        """
        walk = _Walk(self, weights, space, pick)
        chosen = {
            cell.name: walk.through(
                cell, allowed(cell) if alive is None else allowed(cell) & alive[cell.name]
            )
            for cell in space.cells
        }
        return Drawn(
            chosen, torch.stack(walk.taken).sum() if walk.taken else torch.zeros(()), len(walk.taken)
        )


class _Walk:
    """A controller on its way through the cells of a space."""

    def __init__(self, controller: Controller, weights: Weights, space: Space, pick: Pick) -> None:
        self.controller, self.weights, self.pick = controller, weights, pick
        self.numbers = {name: number for number, name in enumerate(_operations(space))}
        self.first_operation = 1 + len(weights["inputs"])
        zero = weights["gates"].new_zeros(1, controller.hidden)
        self.state = (zero, zero)
        self.read = 0
        self.taken: list[Tensor] = []  # log-probabilities of what was decided

    def through(self, cell: Cell, mask: Mask) -> tuple[tuple[int, int], ...]:
        """(edge, column) of what is kept of a cell."""
        kept = []
        for target in cell.targets:
            left = [edge for edge in cell.entering(target) if mask[edge].any()]
            count = len(left) if cell.keep is None else min(cell.keep, len(left))
            for taken in range(count):
                edge = self._edge(cell, target, left, count - taken)
                left = left[left.index(edge) + 1 :]
                columns = tuple(np.flatnonzero(mask[edge]).tolist())
                kept.append((edge, self._operation(Place(cell, target, edge, columns))))
        return tuple(sorted(kept))

    def _edge(self, cell: Cell, target: int, left: Sequence[int], wanted: int) -> int:
        """The next input; the first that is left where all of them are wanted.

        Of all sets of inputs each is as probable as any other where the logits are equal.
        """
        if len(left) == wanted:
            edge = left[0]
        else:
            options = tuple(left[: len(left) - wanted + 1])
            sources = [cell.edges[edge][0] for edge in options]
            ways = [math.comb(len(left) - 1 - at, wanted - 1) for at in range(len(options))]
            edge = self._decided(Place(cell, target, None, options), "inputs", sources, ways)
        self.read = 1 + cell.edges[edge][0]
        return edge

    def _operation(self, place: Place) -> int:
        numbers = [self.numbers[place.cell.operations[column]] for column in place.options]
        if len(numbers) == 1:
            column = place.options[0]
        else:
            column = self._decided(place, "operations", numbers)
        self.read = self.first_operation + self.numbers[place.cell.operations[column]]
        return column

    def _decided(
        self, place: Place, head: str, rows: Sequence[int], ways: Sequence[int] | None = None
    ) -> int:
        """One step of the LSTM, and what is picked by its softmax over some rows of a head.

        Args:
            ways: how often each counts; once unless told.
        """
        weights, controller = self.weights, self.controller
        x = weights["read"][self.read : self.read + 1]  # (1, hidden)
        gates = weights["gates"]
        self.state = torch.lstm_cell(
            x, self.state, weights["from_read"], weights["from_state"], gates, torch.zeros_like(gates)
        )
        logits = weights[head][list(rows)] @ self.state[0][0]  # (options,)
        bounded = controller.bound * torch.tanh(logits / controller.temperature)
        if ways is not None:
            bounded = bounded + bounded.new_tensor(ways).log()
        probable = torch.log_softmax(bounded, 0)
        at = self.pick(place, probable.detach())
        self.taken.append(probable[at])
        return place.options[at]


def sampled(generator: torch.Generator) -> Pick:
    """Picks by the probabilities."""
    return lambda _, probable: int(torch.multinomial(probable.exp(), 1, generator=generator))


def greedy(_: Place, probable: Tensor) -> int:
    """Picks the most probable option; the earlier one in ties."""
    return int(probable.argmax())


def following(chosen: Chosen) -> Pick:
    """Picks what leads to an architecture: to ask how probable it is."""
    kept = {name: dict(edges) for name, edges in chosen.items()}

    def pick(place: Place, _: Tensor) -> int:
        mine = kept[place.cell.name]
        if place.edge is None:
            return next(at for at, edge in enumerate(place.options) if edge in mine)
        return place.options.index(mine[place.edge])

    return pick


def _most_sources(space: Space) -> int:
    return max(cell.inputs + cell.nodes for cell in space.cells)


def _operations(space: Space) -> tuple[str, ...]:
    """Of all cells, each once."""
    return tuple(dict.fromkeys(name for cell in space.cells for name in cell.operations))
