"""What a study does next: a pure function of its history, from which every decision can be derived again."""

from __future__ import annotations

import msgspec

from rung.samplers.base import Sampler
from rung.schedulers.base import Decision, Done, Resume, Scheduler, Start, Stop, Wait
from rung.space.changes import completed
from rung.study.confirm import Repeat, confirmation, resource_to_confirm
from rung.study.devices import with_devices
from rung.study.propose import Proposals
from rung.trials.events import JobStarted, Origin, StopDecided, TrialStopped
from rung.trials.history import CONFIRM, ENQUEUED, EXHAUSTED, History, Running

_WAIT, _DONE = Wait(), Done()
_ENQUEUED = Origin(ENQUEUED)


class Again(Decision, frozen=True):
    """Run the job at the head of `history.retry` once more: its worker or its study was lost."""

    job: JobStarted


def ended(history: History) -> str | None:
    """Why no further job starts, whatever the scheduler wants; None while jobs may start."""
    if history.stopping is not None:
        return history.stopping
    if _target_reached(history):
        repeats = history.identity.confirm and not isinstance(_confirmed(history), Done)
        return None if repeats else "target"
    return None


def _target_reached(history: History) -> bool:
    target, best = history.limits.target, history.incumbent
    if target is None or best is None:
        return False
    return best.value >= target if history.identity.mode == "max" else best.value <= target


def decide(history: History, scheduler: Scheduler) -> Decision:
    """The next decision within the limits: whom to stop, what must run again, what the scheduler wants.

    When the next job would exceed `total_resource` nothing more starts: a cheaper one would not be the
    scheduler's choice. When nothing more is to start, the incumbent is confirmed, if the study asks for it:
    the repeats' resource is kept back, and a target that is reached ends the study once they are there. What
    runs by then goes on, as it may be better still.
    """
    reached = _target_reached(history)
    if history.stopping is not None or (reached and not history.identity.confirm):
        return _idle(history)
    decision = scheduler.next(history)
    if history.retry and not isinstance(decision, Stop):
        return Again(history.retry[0].job)
    if (history.confirming or reached) and not isinstance(decision, Stop):
        decision = _DONE
    if not _affordable(history, decision):
        decision = _idle(history)
    if isinstance(decision, Done) and history.identity.confirm:
        return _confirmed(history)
    return decision


def _confirmed(history: History) -> Decision:
    """The next repeat of a configuration that may be the best; it has to fit into the budget, too."""
    decision = confirmation(history)
    fits = not isinstance(decision, Repeat) or history.may_spend(decision.until)
    return decision if fits else _idle(history)


def out_of_resource(history: History, scheduler: Scheduler) -> bool:
    """Whether the scheduler's next job is one that `total_resource` has no room for."""
    return not _affordable(history, scheduler.next(history))


def why_over(history: History, scheduler: Scheduler) -> str:
    """Why a study whose last job has ended is over: a limit, a request, or "done"."""
    return ended(history) or ("total_resource" if out_of_resource(history, scheduler) else "done")


def _affordable(history: History, decision: Decision) -> bool:
    """Whether `total_resource` has room for the job, and for the repeats of what may be the best after it."""
    if not isinstance(decision, Start | Resume):
        return history.may_spend(0)
    return history.may_spend(_cost(history, decision) + resource_to_confirm(history, decision.until))


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
    """Turns decisions into the events that say them: scheduler and sampler of one study together."""

    def __init__(self, sampler: Sampler, scheduler: Scheduler) -> None:
        self.sampler = sampler
        self.scheduler = scheduler
        self._proposals = Proposals(sampler)

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
        event = self._event(history, decision, now)
        if isinstance(event, JobStarted):
            return with_devices(history, event, decision.job.devices if isinstance(decision, Again) else None)
        return event

    def _event(
        self, history: History, decision: Decision, now: float
    ) -> JobStarted | TrialStopped | StopDecided | Wait | Done:
        match decision:
            case Start():
                return self._started(history, decision, now)
            case Resume():
                return _resumed(history, decision, now)
            case Again(job=job):
                return _again(history, job, now)
            case Repeat():
                return _repeated(history, decision, now)
            case Stop(trial=trial):
                return TrialStopped(trial, now)
            case Wait() | Done():
                return decision
        raise TypeError(f"{type(self.scheduler).__name__}.next returned {decision!r}, which is no decision")

    def _started(self, history: History, decision: Start, now: float) -> JobStarted | StopDecided:
        number, parent = len(history.values), decision.parent
        if history.enqueued and parent is None:
            values, origin = completed(history.space, history.enqueued[0]).values, _ENQUEUED
        else:
            suggestion = self._proposals.next(history, decision, number)
            if suggestion is None:
                return StopDecided(EXHAUSTED, now)
            values, origin = suggestion
        if parent is not None:
            origin = msgspec.structs.replace(origin, parent=parent)
        checkpoint = history.checkpoints.get(parent) if parent is not None else None
        return JobStarted(
            trial=number,
            until=decision.until,
            start=checkpoint.resource if checkpoint else 0,
            values=values,
            origin=origin,
            bracket=decision.bracket,
            gates=decision.gates,
            checkpoint=checkpoint.path if checkpoint else None,
            time=now,
        )


def _resumed(history: History, decision: Resume, now: float) -> JobStarted:
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


def _repeated(history: History, decision: Repeat, now: float) -> JobStarted:
    return JobStarted(
        trial=len(history.values),
        until=decision.until,
        values=history.values[decision.trial],
        origin=Origin(CONFIRM, parent=decision.trial),
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
