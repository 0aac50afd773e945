"""How a job ended that was told to stop only after it had told all that it was run for."""

from __future__ import annotations

from rung.trials.events import Event, Failure, JobFailed, JobFinished, JobStopped
from rung.trials.history import History


def ending(history: History, event: Event) -> Event:
    """The event to be logged: a job that had reported at its very end has finished, however it was ended.

    A study that ends (budget, target, Ctrl-C) tells its jobs to stop at their next report, which may be the
    last one, and kills those that clean up for too long after it. To run them again would bring the same
    value. A trial that its scheduler stopped is none of these.

    Args:
        history: before `event` is folded.
    """
    match event:
        case JobStopped() | JobFailed(failure=Failure.INTERRUPTED):
            running = history.running.get(event.trial)
            if running is None or running.job.attempt != event.attempt:
                return event
            if running.final is not None and not running.stopping:
                return JobFinished(event.trial, event.attempt, None, event.time)
    return event
