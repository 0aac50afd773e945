"""What has been tried, in order, and the loop that tries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import torch

from rung.nas.choice import random_choice
from rung.nas.genotype import Genotype
from rung.nas.space import Space

_FRESH: Final = 50  # attempts to find an architecture that is not in the history


class Scored(NamedTuple):
    """An architecture and how bad it is: its error or loss, which is made small."""

    genotype: Genotype
    score: float


History = Sequence[Scored]


class Suggests(Protocol):
    """A discrete strategy: a frozen value with one pure function of the history."""

    def suggest(self, space: Space, history: History, generator: torch.Generator) -> Genotype:
        """The architecture that is to be tried next.

        Args:
            history: all that was tried, in order.
            generator: of this suggestion alone.
        """
        ...


def explore(  # a search, all that it depends on
    strategy: Suggests,
    space: Space,
    score: Callable[[Genotype], float],
    queries: int,
    seed: int,
    history: History = (),
) -> list[Scored]:
    """Try so many architectures in all, going on from a history: the same for the same seed."""
    tried = list(history)
    while len(tried) < queries:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + len(tried))
        genotype = strategy.suggest(space, tried, generator)
        tried.append(Scored(genotype, score(genotype)))
    return tried


def best(history: History) -> Scored:
    """The least score; the earlier in ties."""
    return min(history, key=lambda scored: scored.score)


def unseen(history: History, draw: Callable[[], Genotype]) -> Genotype:
    """What `draw` gives that is not in the history, as far as fifty attempts find it."""
    known = {scored.genotype for scored in history}
    genotype = draw()
    for _ in range(_FRESH):
        if genotype not in known:
            break
        genotype = draw()
    return genotype


def at_random(space: Space, history: History, generator: torch.Generator) -> Genotype:
    """An architecture at random that has not been tried."""
    return unseen(history, lambda: space.genotype(random_choice(space, generator)))
