"""How a job can end, as workers tell it, and as the log has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rung.trials.events import Event, Failure, JobFailed, JobFinished, JobStopped

_FAILURES: Final = {
    "error": Failure.ERROR,
    "infeasible": Failure.INFEASIBLE,
    "timeout": Failure.TIMEOUT,
    "memory": Failure.MEMORY,
    "lost": Failure.LOST,
    "damaged": Failure.INTERRUPTED,  # the checkpoint that it was to start from
}
OUTCOMES: Final = ("finished", "stopped", *_FAILURES)


def event(
    job: tuple[int, int], outcome: str, metrics: Mapping[str, Any] | None, message: str, now: float
) -> Event:
    """The event that the outcome of a job (trial, attempt) is."""
    trial, attempt = job
    if outcome == "finished":
        return JobFinished(trial, attempt, metrics, now)
    if outcome == "stopped":
        return JobStopped(trial, attempt, now)
    return JobFailed(trial, _FAILURES[outcome], message, attempt, now)
