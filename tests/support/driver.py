"""A study in memory: scheduler and history, and jobs whose outcomes are chosen by a list of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from rung.schedulers.base import Decision, Done, Resume, Start, Stop, Wait
from rung.space import to_json
from rung.space.domains import Float, Integer, Space
from rung.trials import events as ev
from rung.trials.events import Constraint, Event, Failure, Goal, Identity, JobStarted, Limits, Resource, Spec
from rung.trials.history import History

SPACE = to_json(Space({"x": Float(0.0, 1.0), "n": Integer(1, 9)}))
OUTCOMES = ("value",) * 9 + ("nan", "inf", "missing", "error", "infeasible", "lost", "interrupted", "late")
_MODEL = {"drawn": 8, "samples": 16, "points": 12}
WITH_MODEL = {  # their decisions cost milliseconds: less work for each, and fewer of them
    "fabolas": Spec("fabolas", {**_MODEL, "compared": 3, "representers": 3, "first": 2}),
    "freeze-thaw": Spec("freeze-thaw", {**_MODEL, "old": 3, "new": 1, "basket": 5, "first": 4}),
}
GOALS = (Goal("loss"), Goal("speed", "max"), Goal("size"))


def few(name: str, n: int) -> int:
    """So many trials, fewer where each decision asks a model."""
    return n // 5 if name in WITH_MODEL else n


def identity(
    minimum: int = 1,
    maximum: int = 1,
    eta: int = 3,
    mode: str = "min",
    plain: bool = False,
    goals: int = 1,
    bounded: bool = False,
) -> Identity:
    """A study's; with several `goals` these are the objectives, with `bounded` memory must be at most 4."""
    resource = None if plain else Resource("epoch", minimum, maximum)
    return Identity(
        SPACE,
        "loss",
        mode,
        resource,
        eta,
        Spec("random"),
        Spec("asha"),
        0,
        goals=GOALS[:goals] if goals > 1 else (),
        constraints=(Constraint("memory", 4.0),) if bounded else (),
    )


def metrics_of(who: Identity, trial: int, resource: int, value: float) -> dict[str, float]:
    """All metrics of a trial at a resource whose "loss" is `value`."""
    number = trial * 7 + resource * 3 + int(value) * 5
    others = {goal.metric: float(number * place % 11) for place, goal in enumerate(who.goals[1:], 1)}
    bounds = {bound.metric: float(number % 6) for bound in who.constraints}
    return {"loss": value} | others | bounds


def is_done(decision: Decision) -> bool:
    return isinstance(decision, Done)


class Oracle:
    """What is told of a study beside its history; an oracle for a rule answers `next`."""

    def started(self, trial: int, bracket: int, until: int) -> None: ...

    def told(self, trial: int, resource: int, value: float) -> None: ...

    def failed(self, trial: int) -> None: ...  # its job ended without a value, which was told

    def next(self, may_start: bool, busy: bool) -> Decision | None: ...


class Driver:
    """Runs a scheduler; every number of `choices` says which running job goes on, and how.

    Attributes:
        log: every event so far.
        decisions: (length of the log before it, decision), each as the scheduler took it.
        within: takes the decision, from history and scheduler: the scheduler itself, or within limits.
    """

    def __init__(
        self,
        scheduler: Any,
        who: Identity,
        limits: Limits,
        *,
        workers: int = 1,
        choices: Sequence[int] = (),
        oracle: Oracle | None = None,
        check: Callable[[Driver, Decision], None] | None = None,
        values: int = 6,
        within: Callable[[History, Any], Decision] | None = None,
    ) -> None:
        self.scheduler, self.workers, self.oracle, self.check = scheduler, workers, oracle, check
        self.within = within or (lambda history, scheduler: scheduler.next(history))
        self.identity, self.limits, self.values = who, limits, values
        self.history = History(scheduler)
        self.log: list[Event] = []
        self.decisions: list[tuple[int, Decision]] = []
        self.losses: dict[int, int] = {}
        self.again: list[JobStarted] = []
        self.stopped: set[int] = set()
        self._choices = iter(choices)
        self._state = 88172645463325252
        self.fold(ev.StudyCreated(who, "test"))
        self.fold(ev.LimitsChanged(limits))

    def fold(self, event: Event) -> None:
        self.log.append(event)
        self.history.fold(event)

    def choose(self) -> int:
        """The next of the choices; after them, numbers that only let jobs finish with a value."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return next(self._choices, (self._state >> 40) * len(OUTCOMES))

    def run(self, steps: int = 100_000) -> Driver:
        """Until the scheduler is done."""
        for _ in range(steps):
            if self.decide():
                return self
            self.outcome()
        raise AssertionError("it never ends")

    def decide(self) -> bool:
        """Take decisions while workers are free; returns whether it is done."""
        while True:
            decision = self.ask()
            free = len(self.history.running) < self.workers
            if isinstance(decision, Stop):
                assert decision.trial not in self.stopped, "stopped twice"
                self.stopped.add(decision.trial)
                self.again = [job for job in self.again if job.trial != decision.trial]
                self.fold(ev.TrialStopped(decision.trial))
            elif self.again and free:
                self.run_again()
            elif isinstance(decision, Wait | Done):
                return is_done(decision)
            elif free:
                self.start(decision)
            else:
                return False

    def ask(self) -> Decision:
        decision = self.within(self.history, self.scheduler)
        assert decision == self.within(self.history, self.scheduler)
        if self.oracle is not None and not isinstance(decision, Stop):
            expected = self.oracle.next(self.history.may_start, bool(self.history.running or self.again))
            assert decision == expected, (decision, expected)
        if self.check is not None:
            self.check(self, decision)
        self.decisions.append((len(self.log), decision))
        return decision

    def start(self, decision: Decision) -> None:
        if isinstance(decision, Start):
            trial = len(self.history)
            job = JobStarted(
                trial,
                decision.until,
                values=decision.values or (trial * 0.618033988749895 % 1.0, 1 + trial * 5 % 9),
                origin=decision.origin,
                bracket=decision.bracket,
                gates=decision.gates,
            )
        else:
            assert isinstance(decision, Resume)
            trial = decision.trial
            bracket, attempt = self.history.brackets[trial], self.history.attempts[trial]
            job = JobStarted(trial, decision.until, attempt=attempt, bracket=bracket, gates=decision.gates)
        if self.oracle is not None:
            self.oracle.started(trial, job.bracket, job.until)
        self.losses.pop(trial, None)
        self.fold(job)

    def run_again(self) -> None:
        job = self.again.pop(0)
        self.fold(
            JobStarted(job.trial, job.until, attempt=job.attempt + 1, bracket=job.bracket, gates=job.gates)
        )

    def outcome(self) -> None:
        """One running job goes on to its next gate or its end."""
        choice = self.choose()
        running = list(self.history.running.values())
        kind = OUTCOMES[choice % len(OUTCOMES)]
        choice //= len(OUTCOMES)
        chosen = running[choice % len(running)]
        value = float(choice // len(running) % self.values)
        if chosen.stopping and value % 2 == 0:
            self.fold(ev.JobStopped(chosen.job.trial, chosen.job.attempt))
        elif kind == "late":
            self.fold(ev.Reported(chosen.job.trial, chosen.job.until, {"loss": -1e9}, chosen.job.attempt + 7))
            self.fold(ev.JobFailed(chosen.job.trial, Failure.ERROR, "", chosen.job.attempt + 7))
        elif kind in ("error", "infeasible", "lost", "interrupted"):
            self.fails(chosen.job, Failure(kind), chosen.next_gate, chosen.stopping)
        else:
            self.reports(chosen.job, chosen.next_gate, kind, value)

    def fails(self, job: JobStarted, failure: Failure, due: int, stopping: bool) -> None:
        self.fold(ev.JobFailed(job.trial, failure, "", job.attempt))
        if failure is Failure.LOST:
            self.losses[job.trial] = self.losses.get(job.trial, 0) + 1
        again = failure is Failure.INTERRUPTED or (
            failure is Failure.LOST and self.losses[job.trial] <= self.limits.retries
        )
        if again and not stopping:
            self.again.append(job)
        elif self.oracle is not None and not stopping:
            self.oracle.told(job.trial, due, math.inf)
            self.oracle.failed(job.trial)

    def reports(self, job: JobStarted, resource: int, kind: str, value: float) -> None:
        sent = {"value": value, "nan": math.nan, "inf": -math.inf}.get(kind)
        metrics = metrics_of(self.identity, job.trial, resource, value) | {"loss": sent}
        stopping = self.history.running[job.trial].stopping
        if kind == "missing":  # another metric alone is no result
            self.fold(ev.Reported(job.trial, resource, {"other": 1.0}, job.attempt))
            if resource < job.until and not stopping:
                return
        else:
            self.fold(ev.Reported(job.trial, resource, metrics, job.attempt))
            self.fold(ev.Reported(job.trial, resource, {"loss": -1e9}, job.attempt))  # doubled: ignored
        if self.oracle is not None and not (stopping and resource < job.until):
            sound = kind == "value"
            if sound or not stopping:
                self.oracle.told(job.trial, resource, value if sound else math.inf)
                if not sound and resource == job.until:
                    self.oracle.failed(job.trial)
        if resource == job.until or stopping:
            self.fold(ev.JobFinished(job.trial, job.attempt))


def replayed(log: Sequence[Event], scheduler: Any) -> History:
    """The history that a log gives."""
    return History(scheduler).fold_all(log)
