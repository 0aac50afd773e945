"""The cost of one decision by each scheduler, its fold included, in a plain driver in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.rows import Row
from benchmarks.samplers.subject import measured, space_of_ten
from rung.schedulers import SCHEDULERS, make_scheduler
from rung.schedulers.base import Decision, Done, Resume, Start, Stop, Wait
from rung.space import to_json
from rung.space.draws import key
from rung.trials.events import (
    Goal,
    Identity,
    JobFinished,
    JobStarted,
    JobStopped,
    Origin,
    Reported,
    Resource,
    Spec,
    StudyCreated,
    TrialStopped,
)
from rung.trials.history import History, Running

SIZES: Final = (1_000, 10_000, 100_000)
MODELS: Final = ("fabolas", "freeze-thaw")  # fit a model: measured at 100 and 500 results
WORKERS: Final = 8
_CHUNK: Final = 64  # decisions of which the mean is one measurement: a single one is too short for the clock


class Timed:
    """A scheduler whose seconds and decisions are counted, its fold's seconds, too."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler, self.seconds, self.decisions = scheduler, 0.0, 0
        if hasattr(scheduler, "fold"):
            self.initial, self.fold = scheduler.initial, self._fold

    def _fold(self, state: Any, item: Any) -> Any:
        start = time.perf_counter()
        state = self.scheduler.fold(state, item)
        self.seconds += time.perf_counter() - start
        return state

    def next(self, history: History) -> Decision:
        start = time.perf_counter()
        decision: Decision = self.scheduler.next(history)
        self.seconds += time.perf_counter() - start
        self.decisions += 1
        return decision


class Driver:
    """Eight workers whose jobs go on to their next gate in turn; values are noise that fades."""

    def __init__(self, name: str) -> None:
        self.space = space_of_ten()
        self.timed = Timed(make_scheduler(name))
        goals = (Goal("loss"), Goal("size")) if name == "mo-asha" else ()
        identity = Identity(
            to_json(self.space.space),
            "loss",
            "min",
            Resource("epoch", 1, 81),
            3,
            Spec("random"),
            Spec(name),
            0,
            goals=goals,
        )
        self.history = History(self.timed).fold_all([StudyCreated(identity, "benchmark")])
        self.results = 0

    def grow(self, results: int) -> None:
        """Until there are so many results."""
        while self.results < results:
            self.advance()

    def step(self) -> float:
        """Seconds of one decision: the mean over some, with the results that come between them."""
        self.timed.seconds, self.timed.decisions = 0.0, 0
        while self.timed.decisions < _CHUNK:
            self.advance()
        return self.timed.seconds / self.timed.decisions

    def advance(self) -> None:
        """One decision, and a result if nobody is free, or nothing is to be done."""
        decision = self.timed.next(self.history)
        if isinstance(decision, Stop):
            attempt = self.history.running[decision.trial].job.attempt
            self.history.fold(TrialStopped(decision.trial))
            self.history.fold(JobStopped(decision.trial, attempt))
        elif isinstance(decision, Start | Resume) and len(self.history.running) < WORKERS:
            self._begin(decision)
        elif isinstance(decision, Done):
            raise AssertionError("a study without limits is never done")
        else:
            assert isinstance(decision, Wait | Start | Resume)
            self._report(next(iter(self.history.running.values())))

    def _begin(self, decision: Start | Resume) -> None:
        if isinstance(decision, Start):
            number = len(self.history)
            values = decision.values or self.space.sample(0, number)
            origin = decision.origin or Origin("random", parent=decision.parent)
            bracket, attempt = decision.bracket, 0
        else:
            number, values, origin = decision.trial, None, None
            bracket, attempt = self.history.brackets[number], self.history.attempts[number]
        self.history.fold(
            JobStarted(
                number,
                decision.until,
                attempt=attempt,
                values=values,
                origin=origin,
                bracket=bracket,
                gates=decision.gates,
            )
        )

    def _report(self, running: Running) -> None:
        job, resource = running.job, running.next_gate
        noise = key(1, job.trial, resource) / 2**64
        value = key(0, job.trial) / 2**64 + (1.0 + 0.3 * noise) / resource
        metrics = {"loss": value, "size": key(2, job.trial) / 2**64}
        self.results += 1
        self.history.fold(Reported(job.trial, resource, metrics, job.attempt))
        if resource >= job.until:
            self.history.fold(JobFinished(job.trial, job.attempt))
        else:  # it waits in the queue of those that run
            self.history.running[job.trial] = self.history.running.pop(job.trial)


def decision_rows(name: str, quick: bool = False) -> Iterator[Row]:
    """A scheduler's rows: microseconds at each number of results."""
    driver = Driver(name)
    sizes = (100, 500) if name in MODELS else SIZES
    first = last = 0.0
    for size in sizes[: 2 if quick else 3]:
        driver.grow(size)
        cost = measured(driver.step, 0.2 if quick else 1.5, 3 if name in MODELS else 5)
        first, last = first or cost.median, cost.median
        yield Row(f"{name}, {size:,} results", 1e3 * cost.median, "us a decision")
    if not quick and name not in MODELS:
        yield Row(f"  the same: {sizes[-1]:,} against {sizes[0]:,}", last / first, "times", 3.0)


NAMES: Final = tuple(SCHEDULERS)
