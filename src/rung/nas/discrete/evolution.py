"""Regularised evolution (Real et al. 2019, AmoebaNet, algorithm 1): the oldest dies, not the worst."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rung.nas.choice import choice_of, mutated
from rung.nas.discrete.history import History, Scored, at_random, best
from rung.nas.genotype import Genotype
from rung.nas.space import Space


@dataclass(frozen=True)
class Evolution:
    """Tournament selection in a population of the youngest, one mutation a child.

    Attributes:
        population: how many live (the paper's P = 100; 10 for some hundred queries).
        sample: how many of them compete to be the parent (S = 25; 3).
    """

    population: int = 10
    sample: int = 3

    def alive(self, history: History) -> History:
        """The population: with each child the oldest dies, so that it is the last ones."""
        return history[-self.population :]

    def suggest(self, space: Space, history: History, generator: torch.Generator) -> Genotype:
        """At random until there is a population; then a mutation of the best of a sample of it."""
        if len(history) < self.population:
            return at_random(space, history, generator)
        parent = self.parent(history, generator)
        return space.genotype(mutated(space, choice_of(space, parent.genotype), generator))

    def parent(self, history: History, generator: torch.Generator) -> Scored:
        """The best of `sample` of the population, drawn with replacement."""
        living = self.alive(history)
        drawn = torch.randint(len(living), (self.sample,), generator=generator).tolist()
        return best([living[at] for at in sorted(drawn)])
