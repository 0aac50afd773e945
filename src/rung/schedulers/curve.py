"""Stopping by learning-curve extrapolation: Domhan, Springenberg & Hutter 2015 (IJCAI), section 4.

Each trial has one job, straight to R, with gates on the way. At a gate the trial's own values so far are
extrapolated, and it is stopped when its probability to be better at R than the best result there is below
`threshold` (5 %, as in the paper). As in the authors' code a trial that is already better goes on unasked.

Two models say how likely that is:
- "fast" (default), rung's own: `rung.models.curves`, in closed form, less than a millisecond; it learns from
  the latest `MEMORY` curves that ran to their end.
- "ensemble", the paper's: `rung.models.curve_ensemble`, eleven families by MCMC, some tenths of a second.

Results are known at gates only, so these stand densely: from r on, each 30 % further than the last, but at
most a twelfth of the way to R: (1, 2, ..., 7, 9, 11, 14, 18, 23, 29, 37, 45, ...) for R = 100; or, with
`interval`, evenly.

What happens when:
- fewer than `min_complete` trials ended at R with a value, or a trial has fewer than `min_points` values: it
  goes on. So the only sound trial is never stopped;
- a value is `inf` (NaN, infinite, missing): the trial diverged and is stopped, as in `asha-stopping`;
- a curve rises: it is predicted to go on rising, or to return to what it was, as far as curves of this study
  do; it has no rule of its own;
- a result breaks a constraint: it is left out of the curve, and at R it is no result to be beaten;
- a report skips gates: it counts at each of them, as a flat piece of the curve;
- no family of the ensemble fits: the trial goes on;
- a job reaches its end before it obeys: its result counts.

A trial is judged once for each of its results, by what was known when it came: a better incumbent later on,
while no new result of its own has come, changes nothing.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from rung.models.curves import Curve, Experience, Lesson, lesson
from rung.schedulers.base import DONE, WAIT, Decision, Start, Stop
from rung.schedulers.ladder import ladder_of
from rung.space.draws import Rng, key
from rung.trials.events import Identity, JobStarted, TrialStopped
from rung.trials.history import BEHIND, WORST, History, Result

MEMORY: Final = 32  # complete curves from which the fast model learns, the latest
STEP: Final = 4  # complete curves more, beyond `MEMORY`, before it learns again
_LARGEST: Final = 1e300  # of a value: differences of larger ones are no numbers
_STREAM: Final = 31  # apart from other keys made of a study's seed


def gates_of(minimum: int, maximum: int, interval: int | None) -> tuple[int, ...]:
    """Resources below `maximum` at which trials are judged, from `minimum` on."""
    gates = []
    at = minimum
    while at < maximum:
        gates.append(at)
        at += interval or max(1, min(3 * at // 10, (maximum - minimum) // 12))
    return tuple(gates)


class Case(NamedTuple):
    """A running trial's curve as of its latest result, and what was known when that came.

    Attributes:
        place: its number among all cases; a later one of the same trial takes its place.
        seen: values of the trial by then.
        bar: the best value at R.
        complete: how many curves had come to their end; None for a trial that diverged.
    """

    place: int
    seen: int
    bar: float
    complete: int | None


class Curves:
    """The curves of the trials that run, and of all that came to their end with a value."""

    __slots__ = ("bar", "cases", "complete", "ends", "gates", "growing", "largest", "order")

    def __init__(self, gates: tuple[int, ...], largest: int) -> None:
        self.gates, self.largest = frozenset(gates), largest
        self.growing: dict[int, list[tuple[int, float]]] = {}
        self.complete: list[Curve] = []
        self.ends = array("d")  # of the complete ones
        self.bar = WORST
        self.cases: dict[int, Case] = {}
        self.order = array("q")  # the trial of each case

    def take(self, result: Result, least: int, complete: int) -> None:
        """Take a result in; `least` values and as many complete curves as given make a case of it."""
        trial, value = result.trial, max(-_LARGEST, min(result.value, _LARGEST))
        curve = self.growing.setdefault(trial, [])
        if result.value < BEHIND:
            curve.append((result.resource, value))
        if result.resource == self.largest and result.value < BEHIND:
            self._end(curve, value)
        if result.ended:
            self.drop(trial)
        elif result.value == WORST:
            self._open(trial, len(curve), None)
        elif result.resource in self.gates and len(curve) >= least and len(self.ends) >= complete:
            self._open(trial, len(curve), len(self.complete))

    def drop(self, trial: int) -> None:
        """The trial runs no more."""
        self.growing.pop(trial, None)
        self.cases.pop(trial, None)

    def _open(self, trial: int, seen: int, complete: int | None) -> None:
        self.cases[trial] = Case(len(self.order), seen, self.bar, complete)
        self.order.append(trial)

    def _end(self, points: list[tuple[int, float]], value: float) -> None:
        self.bar = min(self.bar, value)
        self.ends.append(value)
        if len(points) >= 2:
            self.complete.append(curve_of(points))


def curve_of(points: list[tuple[int, float]]) -> Curve:
    """The curve through these (resource, value), in increasing order."""
    times, values = np.array(points, dtype=np.float64).T
    return Curve(times, values)


@dataclass(frozen=True)
class CurveStopping:
    """Stops trials whose learning curve will hardly beat the incumbent.

    Args:
        model: "fast" or "ensemble".
        threshold: a trial is stopped if its probability to beat the incumbent is below.
        min_points: values of a trial from which it is extrapolated; at least 4 for the ensemble's families.
        min_complete: results at R before the first trial is stopped.
        interval: resource between gates; None for gates that stand denser at the beginning.

    Raises:
        ValueError: a setting outside its range.
    """

    model: Literal["fast", "ensemble"] = "fast"
    threshold: float = 0.05
    min_points: int = 4
    min_complete: int = 5
    interval: int | None = None

    def __post_init__(self) -> None:
        if self.model not in ("fast", "ensemble"):
            raise ValueError(f"model must be 'fast' or 'ensemble', not {self.model!r}")
        if not 0.0 < self.threshold < 1.0:
            raise ValueError(f"threshold must be between 0 and 1, not {self.threshold!r}")
        if self.min_points < 2:
            raise ValueError(f"min_points must be at least 2, not {self.min_points!r}")
        if self.min_complete < 1:
            raise ValueError(f"min_complete must be at least 1, not {self.min_complete!r}")
        if self.interval is not None and self.interval < 1:
            raise ValueError(f"interval must be at least 1, not {self.interval!r}")

    def initial(self, identity: Identity) -> Curves:
        ladder = ladder_of(identity)
        return Curves(gates_of(ladder[0], ladder[-1], self.interval), ladder[-1])

    def fold(self, state: Curves, item: JobStarted | Result | TrialStopped) -> Curves:
        if type(item) is Result:
            state.take(item, self.min_points, self.min_complete)
        elif type(item) is TrialStopped:
            state.drop(item.trial)
        return state

    def next(self, history: History) -> Decision:
        """Stop what is to be stopped, else start, else wait or be done."""
        trial = _judge_of(self, history).doomed(history)
        if trial is not None:
            return Stop(trial)
        if history.may_start:
            state: Curves = history.scheduler
            return Start(state.largest, gates=tuple(sorted(state.gates)))
        return WAIT if history.running or history.retry else DONE

    def may_resume(self, history: History, trial: int) -> bool:
        """Never: a trial has one job."""
        return False


class Judge:
    """The verdicts on one history's cases, each found once; they follow from the history."""

    def __init__(self, scheduler: CurveStopping) -> None:
        self.scheduler = scheduler
        self._looked = 0  # cases before this one were judged
        self._doomed: dict[int, int] = {}  # trial to the place of its case
        self._lessons: dict[int, Lesson] = {}
        self._taught: tuple[int, Experience] = (0, Experience())

    def doomed(self, history: History) -> int | None:
        """The first trial that is to be stopped, of those that still run."""
        state: Curves = history.scheduler
        for place in range(self._looked, len(state.order)):
            trial = state.order[place]
            case = state.cases.get(trial)
            if case is not None and case.place == place:
                self._doomed.pop(trial, None)
                if self._stops(history, trial, case):
                    self._doomed[trial] = place
        self._looked = len(state.order)
        while self._doomed:
            trial, place = next(iter(self._doomed.items()))
            case = state.cases.get(trial)
            if case is not None and case.place == place:
                return trial
            del self._doomed[trial]  # it was stopped, has ended, or was judged again
        return None

    def _stops(self, history: History, trial: int, case: Case) -> bool:
        if case.complete is None:
            return True
        state: Curves = history.scheduler
        curve = curve_of(state.growing[trial][: case.seen])
        if curve.values.min() < case.bar:
            return False
        if self.scheduler.model == "fast":
            found = self._experience(state, case.complete).forecast(curve, state.largest)
            return found.below(case.bar) < self.scheduler.threshold
        return self._ensemble(history, trial, case, curve) < self.scheduler.threshold

    def _experience(self, state: Curves, complete: int) -> Experience:
        """What the latest of so many complete curves teach."""
        known = complete if complete <= MEMORY else complete - complete % STEP
        if self._taught[0] != known:
            for i in range(max(0, known - MEMORY), known):
                if i not in self._lessons:
                    self._lessons[i] = lesson(state.complete[i])
            lessons = [self._lessons[i] for i in range(max(0, known - MEMORY), known)]
            self._taught = known, Experience(lessons)
        return self._taught[1]

    def _ensemble(self, history: History, trial: int, case: Case, curve: Curve) -> float:
        from rung.models.curve_ensemble import forecast  # SciPy's optimisers, only where they are asked for

        state: Curves = history.scheduler
        known = case.complete or 0
        ends = [each.values[-1] for each in state.complete[max(0, known - MEMORY) : known]]
        others = np.array([case.bar, *ends])
        rng = Rng(key(history.identity.seed, _STREAM, trial) >> 1, case.seen)
        found = forecast(curve, state.largest, others, rng.generator())
        return 1.0 if found is None else found.below(case.bar)


_kept: WeakKeyDictionary[History, Judge] = WeakKeyDictionary()  # a cache: it follows from the history


def _judge_of(scheduler: CurveStopping, history: History) -> Judge:
    judge = _kept.get(history)
    if judge is None or judge.scheduler != scheduler:
        judge = _kept[history] = Judge(scheduler)
    return judge
