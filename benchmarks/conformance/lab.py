"""A study in memory, driven by hand: what the rules' runs of rung are made from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from rung.samplers.base import Request, Suggestion
from rung.schedulers.base import Decision, Resume, Start, Stop
from rung.space import to_json
from rung.space.compiled import CompiledSpace, compile_space
from rung.space.domains import Float
from rung.space.draws import Rng
from rung.space.values import Values
from rung.trials import events as ev
from rung.trials.history import History

RANDOM = ev.Origin("random")
LINE = compile_space({"x": Float(0.0, 1.0)})


class Lab:
    """A history, and what happens to it.

    Args:
        scheduler, sampler: objects, whose states the history keeps.
        resource: smallest and largest; None for a study without.
        trials: a limit on how many are started.
        more: further fields of the study's identity.

    Attributes:
        jobs: (trial, until) of every job so far.
        stopped: trials that the scheduler stopped, in order.
    """

    def __init__(
        self,
        scheduler: Any = None,
        sampler: Any = None,
        space: CompiledSpace = LINE,
        resource: tuple[int, int] | None = (1, 81),
        trials: int | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        self.scheduler, self.sampler, self.space = scheduler, sampler, space
        fidelity = ev.Resource("epoch", *resource) if resource else None
        identity = ev.Identity(
            to_json(space.space), "loss", "min", fidelity, 3, ev.Spec("random"), ev.Spec("asha"), 0
        )
        identity = msgspec.structs.replace(identity, **(more or {}))
        self.history = History(scheduler, sampler).fold_all([ev.StudyCreated(identity, "0")])
        self.history.fold(ev.LimitsChanged(ev.Limits(trials=trials)))
        self.jobs: list[tuple[int, int]] = []
        self.stopped: list[int] = []

    # -- schedulers --------------------------------------------------------------------------------------

    def decide(self) -> Decision:
        """What the scheduler says now."""
        decision: Decision = self.scheduler.next(self.history)
        return decision

    def act(self) -> int:
        """Do what the scheduler says, a start or a resumption; returns the trial."""
        decision = self.decide()
        assert isinstance(decision, Start | Resume), decision
        if isinstance(decision, Start):
            trial = len(self.history)
            values, origin = decision.values or self.space.sample(0, trial), decision.origin or RANDOM
            if decision.parent is not None:
                origin = ev.Origin("pbt", parent=decision.parent)
            bracket, attempt = decision.bracket, 0
        else:
            trial, values, origin = decision.trial, None, None
            bracket, attempt = self.history.brackets[trial], self.history.attempts[trial]
        self.jobs.append((trial, decision.until))
        self.history.fold(
            ev.JobStarted(trial, decision.until, 0, attempt, values, origin, bracket, decision.gates)
        )
        return trial

    def report(self, trial: int, value: float | None, resource: int | None = None) -> None:
        """A trial's value at a resource, or at its next gate or end; None if it is missing. It may end it."""
        running = self.history.running[trial]
        resource = resource or running.next_gate
        metrics = {} if value is None else {"loss": value}
        self.history.fold(ev.Reported(trial, resource, metrics, running.job.attempt))
        if resource >= running.job.until:
            self.history.fold(ev.JobFinished(trial, running.job.attempt))

    def vector(self, trial: int, metrics: dict[str, float]) -> None:
        """A trial ends with these metrics."""
        job = self.history.running[trial].job
        self.history.fold(ev.Reported(trial, job.until, metrics, job.attempt))
        self.history.fold(ev.JobFinished(trial, job.attempt))

    def crash(self, trial: int) -> None:
        """The trial's job raises."""
        attempt = self.history.running[trial].job.attempt
        self.history.fold(ev.JobFailed(trial, ev.Failure.ERROR, "", attempt))

    def obey(self) -> list[int]:
        """Carry out the stops that the scheduler asks for; returns the trials."""
        found = []
        while isinstance(decision := self.decide(), Stop):
            found.append(decision.trial)
            self.history.fold(ev.TrialStopped(decision.trial))
            self.history.fold(ev.JobStopped(decision.trial, self.history.running[decision.trial].job.attempt))
        self.stopped += found
        return found

    def run(self, value: Callable[[int, int], float], jobs: int = 10_000) -> Lab:
        """One job at a time, to the study's end or so many jobs; values by trial and resource."""
        while len(self.jobs) < jobs and isinstance(self.decide(), Start | Resume):
            trial = self.act()
            while trial in self.history.running:
                result = value(trial, self.history.running[trial].next_gate)
                if math.isinf(result):
                    self.crash(trial)
                else:
                    self.report(trial, result)
                self.obey()
        return self

    def starts(self, values: Sequence[float | None]) -> Lab:
        """Trials that run at the same time and then end with these values; None, and it crashes."""
        for trial in [self.act() for _ in values]:
            value = values[trial]
            if value is None:
                self.crash(trial)
            else:
                self.report(trial, value)
        return self

    def starts_again(self, values: Sequence[float]) -> Lab:
        """New trials, whatever else could be resumed, that end with these values."""
        for value in values:
            trial = len(self.history)
            self.jobs.append((trial, 1))
            self.history.fold(ev.JobStarted(trial, 1, values=self.space.sample(0, trial), origin=RANDOM))
            self.report(trial, value)
        return self

    def promoted(self) -> list[int]:
        """The trials that the scheduler resumes now, one after the other; they run on."""
        found = []
        while isinstance(self.decide(), Resume):
            found.append(self.act())
        return found

    def counts(self) -> list[int]:
        """How many jobs ran to each resource, the smallest first."""
        return [count for _, count in sorted(Counter(until for _, until in self.jobs).items())]

    # -- samplers ----------------------------------------------------------------------------------------

    def trial(self, values: Values, value: float | None, until: int = 1, origin: ev.Origin = RANDOM) -> int:
        """A whole trial of this configuration; None if it has no value."""
        number = len(self.history)
        self.history.fold(ev.JobStarted(number, until, values=values, origin=origin))
        metrics = {} if value is None else {"loss": value}
        self.history.fold(ev.JobFinished(number, metrics=metrics))
        return number

    def starts_with(self, values: Values, origin: ev.Origin, until: int = 1) -> int:
        """A trial of this configuration starts, and is pending."""
        number = len(self.history)
        self.history.fold(ev.JobStarted(number, until, values=values, origin=origin))
        return number

    def random(self, count: int, value: Callable[[dict[str, Any]], float], until: int = 1) -> Lab:
        """So many random trials."""
        for number in range(len(self.history), len(self.history) + count):
            values = self.space.sample(0, number)
            self.trial(values, value(self.space.to_mapping(values)), until)
        return self

    def suggest(self, number: int | None = None, resource: int = 1) -> Suggestion:
        """What the sampler suggests for a trial, the next one if none is named."""
        number = len(self.history) if number is None else number
        found: Suggestion = self.sampler.suggest(
            self.space, self.history, Request(resource), Rng(self.history.identity.seed, number)
        )
        return found

    def follow(self, count: int, value: Callable[[dict[str, Any]], float], until: int = 1) -> Lab:
        """So many trials that the sampler suggests."""
        for _ in range(count):
            values, origin = self.suggest(resource=until)
            self.trial(values, value(self.space.to_mapping(values)), until, origin)
        return self
