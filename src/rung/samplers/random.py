"""Random search (Bergstra and Bengio 2012): a configuration is drawn from the prior, by its number alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rung.samplers.base import Request, Suggestion
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.trials.events import Origin
from rung.trials.history import History

_ORIGIN: Final = Origin("random")


@dataclass(frozen=True)
class RandomSampler:
    """Draws from the prior; reads nothing of the history."""

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """The random configuration that belongs to the trial's number."""
        return Suggestion(space.sample(rng.seed, rng.number), _ORIGIN)
