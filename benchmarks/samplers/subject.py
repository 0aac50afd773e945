"""The studies whose next suggestion or decision is measured, and how it is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rung.samplers import make_sampler
from rung.samplers.base import Request, Suggestion
from rung.space import to_json
from rung.space.compiled import CompiledSpace, compile_space
from rung.space.domains import Categorical, Float, Normal
from rung.space.draws import Rng
from rung.space.values import Values
from rung.trials.events import Event, Identity, JobFinished, JobStarted, Origin, Resource, Spec, StudyCreated
from rung.trials.history import History

RUNGS = (1, 3, 9, 27, 81)


class Cost(NamedTuple):
    """Milliseconds of the median step, and of the mean one, which tells where few do the work of many."""

    median: float
    mean: float
    steps: int


def space_of_ten(believed: bool = False) -> CompiledSpace:
    """Seven continuous parameters and three categorical ones; `believed`: with priors."""
    prior = Normal(0.4, 0.2) if believed else None
    numbers = {f"x{i}": Float(0.0, 1.0, prior=prior) for i in range(7)}
    return compile_space(numbers | {f"c{i}": Categorical(["a", "b", "c"]) for i in range(3)})


def loss(config: Mapping[str, Any]) -> float:
    """Smooth in the numbers; one category is best in each of the others."""
    return sum((config[f"x{i}"] - 0.3) ** 2 for i in range(7)) + sum(config[f"c{i}"] != "a" for i in range(3))


def measured(step: Callable[[], float], seconds: float, least: int = 5, most: int = 200) -> Cost:
    """What `step`, which returns its seconds, costs: as many as fit into `seconds`, after two to warm up."""
    for _ in range(2):
        step()
    costs: list[float] = []
    began = time.perf_counter()
    while len(costs) < least or (len(costs) < most and time.perf_counter() - began < seconds):
        costs.append(1e3 * step())
    return Cost(statistics.median(costs), statistics.fmean(costs), len(costs))


class Timed:
    """A sampler whose seconds are counted, those of its fold, too."""

    def __init__(self, sampler: Any) -> None:
        self.sampler, self.seconds = sampler, 0.0
        if hasattr(sampler, "fold"):  # only then does a history keep a state for it
            self.initial, self.fold = sampler.initial, self._fold

    def _fold(self, state: Any, item: Any) -> Any:
        start = time.perf_counter()
        state = self.sampler.fold(state, item)
        self.seconds += time.perf_counter() - start
        return state

    def suggest(self, *arguments: Any) -> Suggestion:
        start = time.perf_counter()
        found: Suggestion = self.sampler.suggest(*arguments)
        self.seconds += time.perf_counter() - start
        return found


class Study:
    """A study in memory that grows by one trial at a time.

    Args:
        own: its configurations come from the sampler; else they are random until the first `step`.
        ladder: trials end at the rungs from 1 to 81, every third one a rung higher.
        before: events that the log has before the first trial.
    """

    def __init__(
        self, spec: Spec, own: bool, ladder: bool, believed: bool, before: tuple[Event, ...] = ()
    ) -> None:
        self.space = space_of_ten(believed)
        self.timed = Timed(make_sampler(spec))
        self.own, self.ladder = own, ladder
        resource = Resource("epoch", 1, 81) if ladder else None
        identity = Identity(to_json(self.space.space), "loss", "min", resource, 3, spec, Spec("hyperband"), 0)
        self.history = History(sampler=self.timed).fold_all([StudyCreated(identity, "benchmark"), *before])

    def grow(self, observations: int) -> None:
        """Up to so many trials with results."""
        while len(self.history) < observations:
            number = len(self.history)
            if self.own:
                self._trial(*self._suggested())
            else:
                self._trial(self.space.sample(0, number), Origin("random"))

    def step(self) -> float:
        """A suggestion, and its result; the sampler's seconds, its fold's included."""
        self.timed.seconds = 0.0
        self._trial(*self._suggested())
        return self.timed.seconds

    def _suggested(self) -> Suggestion:
        request = Request(self._until())
        return self.timed.suggest(self.space, self.history, request, Rng(0, len(self.history)))

    def _trial(self, values: Values, origin: Origin) -> None:
        number = len(self.history)
        self.history.fold(JobStarted(number, self._until(), values=values, origin=origin))
        self.history.fold(JobFinished(number, metrics={"loss": loss(self.space.to_mapping(values))}))

    def _until(self) -> int:
        if not self.ladder:
            return 1
        number = len(self.history)
        return max(rung for rung in RUNGS if number % rung == 0)
