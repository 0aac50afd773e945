"""What a study does next: a pure function of its history, from which every decision can be derived again."""

from __future__ import annotations

from rung.samplers.base import Request, Sampler, Suggestion
from rung.schedulers.base import Decision, Done, Resume, Scheduler, Start, Stop, Wait
from rung.space.compiled import CompiledSpace
from rung.space.draws import Rng
from rung.trials.events import JobStarted, Origin, StopDecided, TrialStopped
from rung.trials.history import ENQUEUED, EXHAUSTED, History, Running

_WAIT, _DONE = Wait(), Done()
_ENQUEUED = Origin(ENQUEUED)


class Again(Decision, frozen=True):
    """Run the job at the head of `history.retry` once more: its worker or its study was lost."""

    job: JobStarted


def ended(history: History) -> str | None:
    """Why no further job starts, whatever the scheduler wants; None while jobs may start."""
    if history.stopping is not None:
        return history.stopping
    target, best = history.limits.target, history.incumbent
    if target is not None and best is not None:
        reached = best.value >= target if history.identity.mode == "max" else best.value <= target
        if reached:
            return "target"
    return None


def decide(history: History, scheduler: Scheduler) -> Decision:
    """The next decision within the limits: whom to stop, what must run again, what the scheduler wants.

    When the next job would exceed `total_resource` nothing more starts: a cheaper one would not be the
    scheduler's choice.
    """
    if history.stopping is not None or (history.limits.target is not None and ended(history) is not None):
        return _idle(history)
    decision = scheduler.next(history)
    if history.retry and not isinstance(decision, Stop):
        return Again(history.retry[0].job)
    return decision if history.may_spend(_cost(history, decision)) else _idle(history)


def out_of_resource(history: History, scheduler: Scheduler) -> bool:
    """Whether the scheduler's next job is one that `total_resource` has no room for."""
    return not history.may_spend(_cost(history, scheduler.next(history)))


def _cost(history: History, decision: Decision) -> int:
    match decision:
        case Start():
            return decision.until - _start(history, decision)
        case Resume():
            return decision.until - history.start_of(decision.trial)
    return 0


def _idle(history: History) -> Decision:
    return _WAIT if history.running else _DONE


def _start(history: History, decision: Start) -> int:
    return 0 if decision.parent is None else history.start_of(decision.parent)


class Decider:
    """Turns decisions into the events that say them: scheduler, sampler and space of one study together."""

    def __init__(self, space: CompiledSpace, sampler: Sampler, scheduler: Scheduler) -> None:
        self.space = space
        self.sampler = sampler
        self.scheduler = scheduler

    def next(
        self, history: History, now: float, *, only_stops: bool = False
    ) -> JobStarted | TrialStopped | StopDecided | Wait | Done:
        """The event that comes next, or Wait or Done.

        Reads the history only; `now` merely stamps the event. With `only_stops`, where no slot is free, a
        decision to run something is not worked out.
        """
        decision = decide(history, self.scheduler)
        if only_stops and not isinstance(decision, Stop):
            return _WAIT
        match decision:
            case Start():
                return self._started(history, decision, now)
            case Resume():
                return self._resumed(history, decision, now)
            case Again(job=job):
                return _again(history, job, now)
            case Stop(trial=trial):
                return TrialStopped(trial, now)
            case Wait() | Done():
                return decision
        raise TypeError(f"{type(self.scheduler).__name__}.next returned {decision!r}, which is no decision")

    def _started(self, history: History, decision: Start, now: float) -> JobStarted | StopDecided:
        number = len(history.values)
        suggestion = self._suggest(history, decision, number)
        if suggestion is None:
            return StopDecided(EXHAUSTED, now)
        parent = decision.parent
        checkpoint = history.checkpoints.get(parent) if parent is not None else None
        return JobStarted(
            trial=number,
            until=decision.until,
            start=checkpoint.resource if checkpoint else 0,
            values=suggestion.values,
            origin=suggestion.origin,
            bracket=decision.bracket,
            gates=decision.gates,
            checkpoint=checkpoint.path if checkpoint else None,
            time=now,
        )

    def _suggest(self, history: History, decision: Start, number: int) -> Suggestion | None:
        if history.enqueued:
            return Suggestion(self.space.from_mapping(history.enqueued[0]), _ENQUEUED)
        request = Request(decision.until, decision.bracket, decision.parent)
        return self.sampler.suggest(self.space, history, request, Rng(history.identity.seed, number))

    def _resumed(self, history: History, decision: Resume, now: float) -> JobStarted:
        checkpoint = history.checkpoints.get(decision.trial)
        return JobStarted(
            trial=decision.trial,
            until=decision.until,
            start=checkpoint.resource if checkpoint else 0,
            attempt=history.attempts[decision.trial],  # counted over all its jobs: a late answer is known
            bracket=history.brackets[decision.trial],
            gates=decision.gates,
            checkpoint=checkpoint.path if checkpoint else None,
            time=now,
        )


def _again(history: History, job: JobStarted, now: float) -> JobStarted:
    """The same job, from where the trial's checkpoint brings it by now."""
    checkpoint = history.checkpoints.get(job.trial)
    own = checkpoint is not None and checkpoint.resource >= job.start
    return JobStarted(
        trial=job.trial,
        until=job.until,
        start=checkpoint.resource if checkpoint and own else job.start,
        attempt=history.attempts[job.trial],
        bracket=job.bracket,
        gates=job.gates,
        checkpoint=checkpoint.path if checkpoint and own else job.checkpoint,
        time=now,
    )


def unfinished(history: History) -> list[Running]:
    """Jobs that the log says are running, oldest first: after a crash nobody runs them any more."""
    return list(history.running.values())
