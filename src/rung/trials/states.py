"""The states of a trial."""

from __future__ import annotations

from enum import StrEnum


class TrialState(StrEnum):
    """Where a trial stands. A paused trial needs no message to go on: it gets a further job, or none."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"  # its job was lost with its worker or its study, and runs again
    PAUSED = "paused"  # its job is done; it may be promoted
    COMPLETE = "complete"  # it reached the largest resource
    STOPPED = "stopped"  # by its scheduler, on the way
    FAILED = "failed"
    INFEASIBLE = "infeasible"
