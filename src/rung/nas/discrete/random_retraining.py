"""Random search with retraining (Li and Talwalkar 2019): each architecture is trained on its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rung.nas.discrete.history import History, at_random
from rung.nas.genotype import Genotype
from rung.nas.space import Space


@dataclass(frozen=True)
class RandomRetraining:
    """No memory but of what was tried."""

    def suggest(self, space: Space, history: History, generator: torch.Generator) -> Genotype:
        """An architecture at random that has not been tried."""
        return at_random(space, history, generator)
