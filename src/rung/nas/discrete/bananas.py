"""Bayesian optimisation with a predictor (after BANANAS: White, Neiswanger, Savani 2021).

Mutations of the best are candidates; the next is chosen by independent Thompson sampling from an ensemble's
predictions on the path encoding. The ensemble is of linear models where the paper has neural networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rung.nas.choice import choice_of, mutated
from rung.nas.discrete.history import History, at_random, unseen
from rung.nas.discrete.predictor import predict
from rung.nas.genotype import Genotype
from rung.nas.space import Space


@dataclass(frozen=True)
class Bananas:
    """Settings.

    Attributes:
        first: architectures at random before the first prediction.
        parents: of the best, how many are mutated.
        candidates: mutations, and as many architectures at random in a tenth of their number.
    """

    first: int = 10
    parents: int = 5
    candidates: int = 50

    def suggest(self, space: Space, history: History, generator: torch.Generator) -> Genotype:
        """The candidate with the least sample of its predicted score."""
        if len(history) < max(self.first, 2):
            return at_random(space, history, generator)
        parents = sorted(history, key=lambda scored: scored.score)[: self.parents]
        chosen = [choice_of(space, parent.genotype) for parent in parents]
        found = []
        for number in range(self.candidates):
            parent = chosen[number % len(chosen)]
            found.append(unseen(history, lambda p=parent: space.genotype(mutated(space, p, generator))))  # type: ignore[misc]
        found += [at_random(space, history, generator) for _ in range(max(self.candidates // 10, 1))]
        mean, deviation = predict(history, found, generator)
        noise = torch.randn(len(found), generator=generator, dtype=torch.float64).numpy()
        return found[int((mean + deviation * noise).argmin())]
