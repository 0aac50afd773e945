"""Regularised evolution (Real et al. 2019, Regularized Evolution for Image Classifier Architecture Search).

Algorithm 1: the first P configurations are random. From then on a sample of S members is drawn from the
population, with replacement; the best of the sample is the parent; the child is the parent with one change;
it enters the population, and the oldest member dies, however good it is.

What the paper leaves open is done so:
- The change is a move of the space's own: one active parameter, see `rung.space.neighbours`.
- A child enters when its first result comes, as with the paper's many workers, and ages from then on. Later
  results at larger fidelities change how it stands (`rung.samplers.population`), not its age. (That a trial
  becomes the youngest with each of them, tried under ASHA, was neither better nor worse.)
- A trial that fails does not enter, and one that fails later leaves.
- Trials that others proposed (the user, a random draw) enter like children.
- The paper's sizes are 100 and 25, for 20,000 models. The defaults are for hundreds of trials: on seven test
  functions, at 50 to 400 trials, 20 and 10 were the best of five pairs in the mean of ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rung.samplers.base import Request, Suggestion
from rung.samplers.moves import neighbour
from rung.samplers.population import ranked
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.trials.events import Identity, JobStarted, Origin
from rung.trials.history import WORST, History, Result

_RANDOM: Final = Origin("evolution")


class Living:
    """The population by age.

    Attributes:
        members: by trial, its latest result; the oldest first.
        entered: trials that have entered so far.
        waiting: trials that have no result yet.
    """

    __slots__ = ("entered", "members", "waiting")

    def __init__(self) -> None:
        self.members: dict[int, Result] = {}
        self.entered = 0
        self.waiting: set[int] = set()


@dataclass(frozen=True)
class EvolutionSampler:
    """Ageing evolution by mutation.

    Args:
        population: P, how many members live at a time.
        sample: S, how many of them compete to be a parent.

    Raises:
        ValueError: a setting outside its range.
    """

    population: int = 20
    sample: int = 10

    def __post_init__(self) -> None:
        if self.population < 1:
            raise ValueError(f"population must be at least 1, not {self.population!r}")
        if self.sample < 1:
            raise ValueError(f"sample must be at least 1, not {self.sample!r}")

    def initial(self, identity: Identity) -> Living:
        return Living()

    def fold(self, state: Living, item: JobStarted | Result) -> Living:
        """Let a trial enter with its first result, and the oldest die."""
        if isinstance(item, JobStarted):
            if item.values is not None:
                state.waiting.add(item.trial)
            return state
        members, first = state.members, item.trial in state.waiting
        state.waiting.discard(item.trial)
        if item.value == WORST:
            members.pop(item.trial, None)
        elif first:
            members[item.trial] = item
            state.entered += 1
            if len(members) > self.population:
                del members[next(iter(members))]
        elif item.trial in members and item.resource >= members[item.trial].resource:
            members[item.trial] = item
        return state

    def suggest(self, space: CompiledSpace, history: History, request: Request, rng: Rng) -> Suggestion:
        """A mutated member of the population; a random configuration until there are enough of them."""
        state: Living = history.sampler
        if not state.members or state.entered + len(state.waiting) < self.population:
            return Suggestion(space.sample(rng.seed, rng.number), _RANDOM)
        generator = rng.generator()
        members = list(state.members.values())
        drawn = generator.integers(len(members), size=self.sample).tolist()
        parent = ranked({members[i] for i in drawn})[0]
        values = neighbour(space, history.values[parent.trial], generator)
        return Suggestion(values, Origin("evolution", True, parent.resource, parent.trial))
