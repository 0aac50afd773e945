"""DARTS-PT (Wang et al. 2021): an operation is chosen by what its removal costs, not by its alpha."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from rung.nas.choice import allowed
from rung.nas.genotype import Genotype
from rung.nas.hearing import Heard
from rung.nas.plain import Mask
from rung.nas.space import Cell, Space
from rung.nas.strategies.base import SCORED, Ending, Removal, merit, softmax
from rung.nas.strategies.darts import FirstOrder
from rung.nas.task import Mixed


@dataclass(frozen=True)
class DartsPt(FirstOrder):
    """A search as first-order DARTS; then perturbation-based selection (algorithm 1).

    What is chosen is pruned to on the supernet itself, so that the derived network is what was tuned last.
    While something is left out to see what it is worth, what stays keeps its weight. The authors' code judges
    by the batches' statistics, decides an edge of either cell before it tunes, and lets the alphas learn
    while the weights are tuned; here nothing but weights and statistics learns after the search.

    Attributes:
        tune: epochs of the weights after each edge that is decided, and after each node; the paper's are 5.
    """

    name: str = "darts_pt"
    tune: int = 1

    def ahead(self, space: Space, steps: int) -> float:
        """That operations and inputs are left out one by one, and the weights tuned after each decision."""
        operations = [int(n) for cell in space.cells for n in allowed(cell).sum(1) if n > 1]
        inputs = [
            len(cell.entering(target))
            for cell in space.cells
            for target in cell.targets
            if cell.keep is not None and len(cell.entering(target)) > cell.keep
        ]
        left = len(operations) / max(sum(operations), 1)  # of the supernet, with one operation an edge
        tuned = self.tune * (1 - SCORED) / 2  # an epoch is a pass for the alphas and one for the weights
        by_edges = (SCORED * sum(operations) + tuned * len(operations)) * (1 + left) / 2
        return by_edges + (SCORED * sum(inputs) + tuned * len(inputs)) * left

    def finish(self, ending: Ending) -> Genotype:
        """Decide operations edge by edge, then inputs node by node, each in an order at random.

        What there is no time for, and what Ctrl-C finds undecided, is decided by the alphas.
        """
        generator = ending.moment.generator("order")
        edges = [(cell, edge) for cell in ending.space.cells for edge in range(len(cell.edges))]
        nodes = [(cell, target) for cell in ending.space.cells for target in cell.targets]
        edges = [edges[at] for at in torch.randperm(len(edges), generator=generator).tolist()]
        nodes = [nodes[at] for at in torch.randperm(len(nodes), generator=generator).tolist()]
        decisions = [partial(self._decide, cell=cell, edge=edge) for cell, edge in edges]
        decisions += [partial(self._inputs, cell=cell, target=target) for cell, target in nodes]
        count, decided = len(decisions), 0
        with suppress(Heard):
            while decided < count and ending.more():
                decisions[decided](_numbered(ending, f"decision {decided + 1} of {count}"))
                decided += 1
        if decided < count:
            ending.tell(
                f"there was time for {decided} of {count} decisions by what a removal costs: the others are "
                "by alphas"
            )
        return self.derive(ending.space, ending.alphas, ending.net.alive)

    def _decide(self, ending: Ending, cell: Cell, edge: int) -> None:
        """Keep one operation of an edge."""
        if ending.net.alive[cell.name][edge].sum() > 1:
            self._keep(ending, cell, edge, self._operation(ending, cell, edge))

    def _operation(self, ending: Ending, cell: Cell, edge: int) -> int:
        """The operation without which the supernet is worst; the earlier in ties."""
        alive = ending.net.alive
        columns = np.flatnonzero(alive[cell.name][edge] & allowed(cell)[edge]).tolist()
        if len(columns) == 1:
            return int(columns[0])
        merits = [self._without(ending, cell, edge, column) for column in columns]
        return int(columns[merits.index(min(merits))])

    def _keep(self, ending: Ending, cell: Cell, edge: int, column: int) -> None:
        others = [int(c) for c in np.flatnonzero(ending.net.alive[cell.name][edge]) if c != column]
        self._prune(ending, [Removal(cell.name, edge, other) for other in others])

    def _inputs(self, ending: Ending, cell: Cell, target: int) -> None:
        """Keep the inputs of a node without which the supernet is worst."""
        alive = ending.net.alive
        edges = [edge for edge in cell.entering(target) if alive[cell.name][edge].any()]
        if cell.keep is None or len(edges) <= cell.keep:
            return
        merits = {}
        for edge in edges:
            merits[edge] = self._without(ending, cell, edge, slice(None))
        dropped = sorted(edges, key=lambda edge: (merits[edge], edge))[cell.keep :]
        self._prune(
            ending,
            [
                Removal(cell.name, edge, int(column))
                for edge in sorted(dropped)
                for column in np.flatnonzero(alive[cell.name][edge])
            ],
        )

    def _prune(self, ending: Ending, removals: list[Removal]) -> None:
        """Leave out for good; after Ctrl-C, which ends the tuning, this stays decided."""
        if removals:
            ending.prune(removals)
            with suppress(Heard):
                for epoch in range(self.tune):
                    ending.say(f"tuning, epoch {epoch + 1} of {self.tune}")
                    ending.tune(lambda moment: self._masked(ending, ending.net.alive), 1)

    def _without(self, ending: Ending, cell: Cell, edge: int, columns: int | slice) -> tuple[float, float]:
        """How good the supernet is without some operations of an edge."""
        left_out = cell.operations[columns] if isinstance(columns, int) else "any operation"
        ending.say(f"without {left_out} from {cell.edges[edge][0]} to {cell.edges[edge][1]} of {cell.name}")
        alive = ending.net.alive
        mask = alive[cell.name].copy()
        mask[edge, columns] = False
        whole = self._masked(ending, alive)
        there = torch.from_numpy(mask).to(whole.mixtures[cell.name].device)
        mixtures = {**whole.mixtures, cell.name: whole.mixtures[cell.name] * there}
        return merit(ending.score(Mixed(mixtures, {**alive, cell.name: mask})))

    def _masked(self, ending: Ending, alive: Mapping[str, Mask]) -> Mixed:
        with torch.no_grad():
            return Mixed(
                {c.name: softmax(ending.alphas[c.name], alive[c.name]) for c in ending.space.cells},
                alive,
            )


def _numbered(ending: Ending, which: str) -> Ending:
    """The same, which says for what decision something is tried."""
    return ending._replace(say=lambda text: ending.say(f"{which}, {text}"))
