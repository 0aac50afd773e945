"""A genetic algorithm in its steady state (Whitley 1989, The GENITOR Algorithm; Goldberg, Deb 1991).

The population is the best configurations so far. A child has two parents, each the winner of a tournament; it
takes each value from one of them (uniform crossover, Syswerda 1989) and is mutated. When its result comes it
enters, and the worst member leaves, so that the best is never lost. There are no generations: nothing waits
for a slow trial. With several objectives the order of members is that of NSGA-II (Deb et al. 2002).

What is left open there is done so:
- Crossover and mutation respect conditions (`rung.samplers.moves`): a parameter's value comes from a parent
  in which it is active, and a mutation is a move of the space's own.
- Members are compared as `rung.samplers.population` says; a failed trial is never one. A trial that left may
  come back with a result at a larger fidelity.
- Trials that others proposed (the user, a random draw) enter like children.
- The defaults are for hundreds of trials: on seven test functions, at 50 to 400 trials, a population of 10
  was better than 20 and 30 in the mean of ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rung.samplers.base import Request, Suggestion
from rung.samplers.moves import crossed, mutated
from rung.samplers.population import ranked
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.trials.events import Identity, JobStarted, Origin
from rung.trials.history import WORST, History, Result

_RANDOM: Final = Origin("genetic")


class Fittest:
    """The population, the best first.

    Attributes:
        members: each trial's latest result, in order.
        entered: trials that have had a result that is none of failure.
        waiting: trials that have no result yet.
    """

    __slots__ = ("entered", "members", "waiting")

    def __init__(self) -> None:
        self.members: list[Result] = []
        self.entered = 0
        self.waiting: set[int] = set()


@dataclass(frozen=True)
class GeneticSampler:
    """Tournaments, uniform crossover, mutation; the best survive.

    Args:
        population: how many configurations survive.
        tournament: how many compete to be a parent.
        crossover: the chance that a child has two parents; otherwise it is a mutated copy of one.
        mutation: the chance of each active parameter to be changed, of which one at least is; None for one
            over their number.

    Raises:
        ValueError: a setting outside its range.
    """

    population: int = 10
    tournament: int = 2
    crossover: float = 0.9
    mutation: float | None = None

    def __post_init__(self) -> None:
        for name, count in (("population", self.population), ("tournament", self.tournament)):
            if count < 1:
                raise ValueError(f"{name} must be at least 1, not {count!r}")
        for name, chance in (("crossover", self.crossover), ("mutation", self.mutation)):
            if chance is not None and not 0.0 <= chance <= 1.0:
                raise ValueError(f"{name} must be from 0 to 1, not {chance!r}")

    def initial(self, identity: Identity) -> Fittest:
        return Fittest()

    def fold(self, state: Fittest, item: JobStarted | Result) -> Fittest:
        if isinstance(item, JobStarted):
            if item.values is not None:
                state.waiting.add(item.trial)
            return state
        others = [member for member in state.members if member.trial != item.trial]
        if item.trial in state.waiting:
            state.waiting.remove(item.trial)
            state.entered += item.value < WORST
        if item.value < WORST:
            others.append(item)
        state.members = ranked(others)[: self.population]
        return state

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """A child of two members; a random configuration until there are enough of them."""
        state: Fittest = history.sampler
        if not state.members or state.entered + len(state.waiting) < self.population:
            return Suggestion(space.sample(rng.seed, rng.number), _RANDOM)
        generator = rng.generator()
        members = state.members
        first = members[self._winner(len(members), generator)]
        values = history.values[first.trial]
        fidelity = first.resource
        if generator.random() < self.crossover:
            second = members[self._winner(len(members), generator)]
            fidelity = max(fidelity, second.resource)
            values = crossed(space, values, history.values[second.trial], generator)
        values = mutated(space, values, generator, self.mutation)
        return Suggestion(values, Origin("genetic", True, fidelity, first.trial))

    def _winner(self, count: int, generator: np.random.Generator) -> int:
        """The place of the best of a tournament: members stand in order."""
        return int(generator.integers(count, size=self.tournament).min())
