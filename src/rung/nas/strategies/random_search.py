"""Random search with shared weights (Li and Talwalkar 2019): the baseline that any claim must beat."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import torch

from rung.errors import SpaceError
from rung.nas.choice import Chosen, one_hot, random_choice
from rung.nas.genotype import Genotype
from rung.nas.hearing import Heard
from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Space
from rung.nas.strategies.base import SCORED, Alphas, Ending, Passes, Turn, merit
from rung.nas.strategies.darts import FirstOrder
from rung.nas.task import Mixed

_ATTEMPTS: Final = 10_000  # to find an architecture within a limit


@dataclass(frozen=True)
class RandomSearch(FirstOrder):
    """A random architecture a step trains the shared weights; then many are judged, and the best is kept.

    Attributes:
        samples: architectures that are judged with the shared weights on the alphas' samples (the paper: 1000
            on few batches).
        seed: of `derive` before the end, where nothing has been judged: it gives an architecture at random.
    """

    name: str = "random"
    form: str = "plain"
    samples: int = 100
    seed: int = 0

    def begin(self, space: Space, seed: int) -> Alphas:
        """None: nothing is learnt but weights."""
        return {}

    def mixed(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """An architecture at random, a function of the moment."""
        return one_hot(space, random_choice(space, moment.generator("architecture"), alive))

    def settled(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """The architecture that `derive` gives."""
        return one_hot(space, self._first(space, alive))

    def step(self, turn: Turn) -> Passes:
        """None."""
        return Passes(0, 0)

    def derive(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> Genotype:
        """The architecture of the seed; `finish` gives the best of many."""
        return space.genotype(self._first(space, alive))

    def ahead(self, space: Space, steps: int) -> float:
        """That each of `samples` architectures is judged."""
        return SCORED * self.samples

    def finish(self, ending: Ending) -> Genotype:
        """The best of `samples` architectures with the shared weights: the earlier one in ties.

        Of fewer where there is no time for all, or Ctrl-C is heard; where there is none, one at random.
        """
        generator = ending.moment.generator("candidates")
        best: tuple[tuple[float, float], Chosen] | None = None
        chosen, judged = admitted(ending, generator), 0
        with suppress(Heard):
            while judged < self.samples and ending.more():
                ending.say(judging_words(judged, self.samples))
                found = merit(ending.score(one_hot(ending.space, chosen)))
                if best is None or found > best[0]:
                    best = found, chosen
                judged += 1
                chosen = admitted(ending, generator) if judged < self.samples else chosen
        if judged < self.samples:
            ending.tell(judged_words(judged, self.samples))
        return ending.space.genotype(chosen if best is None else best[1])

    def _first(self, space: Space, alive: Mapping[str, Mask]) -> Chosen:
        return random_choice(space, torch.Generator().manual_seed(self.seed), alive)


def judged_words(judged: int, wanted: int) -> str:
    """What to tell where there was no time for all candidates."""
    return f"there was time to judge {judged} of the {wanted} architectures that are candidates"


def judging_words(judged: int, wanted: int) -> str:
    """What to say while the next of the candidates is judged."""
    return f"judging {judged + 1} of {wanted} architectures"


def admitted(ending: Ending, generator: torch.Generator) -> Chosen:
    """One at random that may be derived.

    Raises:
        SpaceError: none is found.
    """
    for _ in range(_ATTEMPTS):
        chosen = random_choice(ending.space, generator, ending.net.alive)
        if ending.admits(chosen):
            return chosen
    raise SpaceError(f"none of {_ATTEMPTS} random architectures is within the limit: raise it")
