"""P-DARTS (Chen et al. 2019): stages in which candidates become fewer and networks deeper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

from rung.nas.genotype import Genotype
from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Cell, Space
from rung.nas.strategies.base import Alphas, Passes, Removal, Turn
from rung.nas.strategies.bilevel import first_order
from rung.nas.strategies.darts import FirstOrder
from rung.nas.strategies.remedies import set_skip_dropout
from rung.nas.strategies.selection import Limits, fewest_skips, select

_FADING: Final = 0.2 * 25


@dataclass(frozen=True)
class PDarts(FirstOrder):
    """The stages of one search: fewer candidates, dropout behind skips, a cap on them in the derivation.

    A search of this loop has one supernet, whose depth is the recipe's: with the stages' growing depth (5, 11
    and 17 cells in the paper) there is one search a stage, see `rung.nas.progressive`.

    Attributes:
        keep: candidates of an edge in each stage (the paper: 8, 5, 3); stages are of equal length.
        dropout: behind skips at the beginning of each stage, and again when the alphas begin to learn; it
            falls linearly before and exponentially after that, as in the authors' code (section 3.3 says
            that it decays).
        warmup: share of a stage in which the weights alone learn (10 of 25 epochs).
        max_skips: of the normal cell (2).
    """

    name: str = "p_darts"
    keep: tuple[int, ...] = (8, 5, 3)
    dropout: tuple[float, ...] = (0.0, 0.4, 0.7)
    warmup: float = 0.4
    max_skips: int = 2

    def stage(self, moment: Moment) -> tuple[int, float]:
        """Which stage, and how much of it is done."""
        at = moment.epoch * len(self.keep) / max(moment.epochs, 1)
        number = min(int(at), len(self.keep) - 1)
        return number, min(at - number, 1.0)

    def step(self, turn: Turn) -> Passes:
        """One pass over the alphas' batch, after the stage's warm-up."""
        number, done = self.stage(turn.moment)
        first = self.dropout[min(number, len(self.dropout) - 1)]
        set_skip_dropout(turn.net, first * self.fading(done))
        return Passes(0, 0) if done < self.warmup else first_order(self, turn)

    def fading(self, done: float) -> float:
        """What is left of a stage's dropout when so much of it is done: by exp(-0.2) in each of 25 epochs."""
        return 1.0 - done if done < self.warmup else math.exp(-_FADING * (done - self.warmup))

    def removals(
        self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment
    ) -> Sequence[Removal]:
        """At the beginning of a stage, all but the strongest candidates of each edge."""
        number, _ = self.stage(moment)
        gone = []
        for cell in space.cells:
            for edge, column in weakest(cell, alphas[cell.name], alive[cell.name], self.keep[number]):
                gone.append(Removal(cell.name, edge, column))
        return tuple(gone)

    def derive(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> Genotype:
        """The best edges with at most `max_skips` skips in a normal cell (section 3.3).

        Where pruning has left more on it than that, with as few as there can be.
        """
        with torch.no_grad():
            weights = self.settled(space, alphas, alive, Moment(0, 0, 1)).mixtures
        cap = max(self.max_skips, fewest_skips(space, alive))
        return space.genotype(select(space, weights, alive, Limits(cap)))


def weakest(cell: Cell, alphas: torch.Tensor, alive: Mask, keep: int) -> list[tuple[int, int]]:
    """(edge, column) of all but the `keep` strongest candidates of each edge; ties keep the earlier.

    The zero operation competes, but one other candidate stays.
    """
    values = alphas.detach().cpu().double().numpy()
    gone = []
    for edge in range(len(cell.edges)):
        columns = sorted(np.flatnonzero(alive[edge]).tolist(), key=lambda c: (-values[edge, c], c))
        kept = columns[:keep]
        others = [c for c in columns if cell.operations[c] != "none"]
        if others and not set(kept) & set(others):
            kept = [*kept[: keep - 1], others[0]]
        gone += [(edge, c) for c in sorted(set(columns) - set(kept))]
    return gone


def narrowed(space: Space, alphas: Alphas, alive: Mapping[str, Mask], keep: int) -> Space:
    """The space of the next stage: on each edge the `keep` strongest candidates (section 3.2)."""
    cells = []
    for cell in space.cells:
        gone = set(weakest(cell, alphas[cell.name], alive[cell.name], keep))
        only = tuple(
            (
                edge,
                tuple(
                    name
                    for column, name in enumerate(cell.operations)
                    if alive[cell.name][edge, column] and (edge, column) not in gone
                ),
            )
            for edge in range(len(cell.edges))
        )
        cells.append(replace(cell, only=only))
    return replace(space, name=f"{space.name}-{keep}", cells=tuple(cells))
