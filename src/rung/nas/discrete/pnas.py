"""Progressive search (PNAS: Liu et al. 2018): cells grow node by node, a predictor chooses which to train.

Cells of one node are trained first. The best of b nodes by prediction are extended in many ways to b + 1, and
of these the predicted best are trained, a beam of them, until cells have all nodes of the space. Where there
are too few networks for so many stages, a stage adds several nodes. The ensemble is of linear models where
the paper has networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rung.nas.choice import random_choice
from rung.nas.discrete.history import History, Scored, at_random
from rung.nas.discrete.predictor import predict
from rung.nas.genotype import CellGenotype, Genotype
from rung.nas.space import Space


@dataclass(frozen=True)
class Pnas:
    """Settings.

    Attributes:
        beam: architectures that are trained of each number of nodes (the paper's K = 256), and that are
            extended; of the last number, all that there are queries for.
        extensions: of each, drawn at random.
        step: nodes that a stage adds; the paper's is 1.
    """

    beam: int = 10
    extensions: int = 10
    step: int = 1

    def suggest(self, space: Space, history: History, generator: torch.Generator) -> Genotype:
        """The predicted best among the extensions of the beam; at random among the smallest cells."""
        nodes = self.nodes(space, history)
        stage = space.shortened(nodes)
        before = [size for size in self.sizes(_most(space)) if size < nodes]
        if not before:
            return at_random(stage, history, generator)
        beam = sorted(_of(history, before[-1]), key=lambda scored: scored.score)[: self.beam]
        known = {scored.genotype for scored in history}
        candidates = [
            extended(stage, parent.genotype, generator) for parent in beam for _ in range(self.extensions)
        ]
        fresh = [genotype for genotype in dict.fromkeys(candidates) if genotype not in known]
        if not fresh:
            return at_random(stage, history, generator)
        return fresh[int(predict(history, fresh, generator).mean.argmin())]

    def nodes(self, space: Space, history: History) -> int:
        """How many nodes the next architecture has."""
        *growing, most = self.sizes(_most(space))
        return next((size for size in growing if len(_of(history, size)) < self.beam), most)

    def sizes(self, most: int) -> tuple[int, ...]:
        """Nodes of the cells of each stage, the last with all.

        Args:
            most: nodes of the space's largest cell.
        """
        return tuple(range(most - (most - 1) // self.step * self.step, most + 1, self.step))

    def needed(self, most: int, workers: int) -> int:
        """How many networks it takes until one has all nodes.

        Args:
            workers: how many are trained at a time: the next is chosen without so many but one.
        """
        return (self.beam + workers - 1) * (len(self.sizes(most)) - 1) + 1


def extended(space: Space, genotype: Genotype, generator: torch.Generator) -> Genotype:
    """A genotype with the nodes of this space: its own first, those that it lacks drawn at random."""
    fresh = space.genotype(random_choice(space, generator))
    cells = []
    for cell in space.cells:
        own, new = genotype[cell.name].nodes, fresh[cell.name].nodes
        cells.append((cell.name, CellGenotype((*own, *new[len(own) :]), cell.concat, cell.inputs)))
    return Genotype(tuple(cells))


def _most(space: Space) -> int:
    return max(cell.nodes for cell in space.cells)


def _of(history: History, nodes: int) -> list[Scored]:
    """What was tried with so many nodes in its largest cell."""
    return [s for s in history if max(len(cell.nodes) for _, cell in s.genotype.cells) == nodes]
