"""What an executor is: it runs jobs and tells what happened; it never decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from rung.trials.events import Event


class Job(NamedTuple):
    """Run `trial` from resource `start` up to `until`.

    Attributes:
        config: the flat mapping that the objective gets.
        seed: the trial's own, below 2**31.
        checkpoint: folder that brings the trial to `start`, or None.
        gates: resources at which the report waits until the next `poll` (or is stopped by a `cancel` before).
        plain: the study has no resource: the objective sees None as its budget.
        devices: how many it gets; it takes as many slots.
        digest: of the checkpoint, as `CheckpointSaved` has it; "" where it is unknown.
    """

    trial: int
    until: int
    config: Mapping[str, Any]
    start: int = 0
    attempt: int = 0
    seed: int = 0
    checkpoint: str | None = None
    gates: tuple[int, ...] = ()
    plain: bool = False
    devices: int = 1
    digest: str = ""


class Executor(Protocol):
    """Runs jobs. Results come back as the events of the log (`Reported`, `CheckpointSaved`,
    `CheckpointFailed`, `CheckpointDamaged`, `JobFinished`, `JobFailed`, `JobStopped`), in the order of each
    trial, every submitted job ending in exactly one of the last three. A worker that dies is
    `JobFailed(LOST)`; the executor replaces the worker, only the study decides on another try.

    One whose clock is virtual says so by an attribute `virtual = True`: waiting costs it nothing.
    """

    name: str
    workers: int

    @property
    def free_slots(self) -> int:
        """How many more jobs can be submitted now."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Start these jobs, at most `free_slots` of them."""

    def poll(self, timeout: float | None) -> list[Event]:
        """What has happened since the last call. While jobs run it waits for something, up to `timeout`
        seconds (None: for ever).

        A report at a gate that an earlier call returned goes on, unless its trial was cancelled in between.
        """

    def cancel(self, trial: int) -> None:
        """Tell the trial's job to stop: it does at its next report, saves, and ends in `JobStopped`."""

    def now(self) -> float:
        """Seconds since the epoch by this executor's clock."""

    def close(self, *, grace: float = 0.0) -> None:
        """End all workers: jobs still running after `grace` seconds are killed, their processes with them."""
