"""What the API answers, as values: the same fields, read by the client, the worker and the commands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer; fields that a later service adds are passed over."""


class Job(Answered, frozen=True, kw_only=True):
    """A job that was handed out; `resource` is None in a study without one, see `rung.executors.base.Job`.

    `key` is the study's, which no other study ever has; its name another may have later. `trial_seconds` and
    `trial_memory` (bytes) are what it may take. Workers alone are told which function runs it (`objective`,
    `metric`), and which parameters the study's space has (`parameters`), active or not.
    """

    study: str
    key: str = ""
    trial: int
    attempt: int
    config: dict[str, Any]
    start: int
    until: int
    resource: int | None
    seed: int
    checkpoint: str | None = None
    gates: tuple[int, ...] = ()
    devices: int = 1
    digest: str = ""
    objective: str | None = None
    metric: str = "loss"
    trial_seconds: float | None = None
    trial_memory: int | None = None
    checkpoints: str | None = None
    parameters: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, int, int]:
        """What names the job: study, trial, attempt."""
        return self.study, self.trial, self.attempt

    def named(self) -> dict[str, Any]:
        """What names it to its service: a worker's sign of life for it."""
        names = {"study": self.study, "trial": self.trial, "attempt": self.attempt}
        return {**names, "key": self.key} if self.key else names

    @property
    def fence(self) -> dict[str, str]:
        """The header of all that is said of it: not to be taken for a job of another study of that name."""
        return {"Rung-Study": self.key} if self.key else {}

    @property
    def path(self) -> str:
        """Its address below the API's prefix."""
        from urllib.parse import quote

        return f"/studies/{quote(self.study, safe='')}/jobs/{self.trial}/{self.attempt}"


class Asked(Answered, frozen=True, kw_only=True):
    """The answer to an ask: a job; or none now, ask again after `retry_after` seconds; or none any more."""

    job: Job | None
    done: bool
    retry_after: float | None = None
    lease_seconds: float = 60.0


class Word(Answered, frozen=True, kw_only=True):
    """Whether a job is to go on; if not, why: "stopped", "preempted", "lost", or why its study ends."""

    go_on: bool = True
    why: str | None = None


class Stop(Answered, frozen=True, kw_only=True):
    """A job that a worker is to stop."""

    study: str
    trial: int
    attempt: int
    why: str

    @property
    def place(self) -> tuple[str, int, int]:
        return self.study, self.trial, self.attempt


class Polled(Answered, frozen=True, kw_only=True):
    """The answer to a worker's poll."""

    jobs: tuple[Job, ...] = ()
    stop: tuple[Stop, ...] = ()


class Joined(Answered, frozen=True, kw_only=True):
    """The answer to a worker that registers."""

    id: str
    lease_seconds: float


class StudyInfo(Answered, frozen=True, kw_only=True):
    """A study as the service shows it; what follows `sharing` is there where one study was asked for.

    Attributes:
        state: created, running, waiting, pausing, stopping, paused, done, idle or interrupted.
        spent: resource spent so far, in the study's unit; `seconds` of wall time.
        elsewhere: the process that runs it, if it is not this service.
        running: jobs that run now; `lost_leases`: jobs of which nothing was heard for too long.
        devices: slots of each job, or "auto": more as its trial climbs, by `efficiency` and `scaling`.
        checkpoints: place (a URL, or None: the service's own keeping), limit in bytes, number, size.
        share: slots that it has of the workers, its ideal now, and got and due over its life (slot-seconds).
        lacks: why no worker can start its jobs, a sentence.
        limits: when it ends, as `rung.trials.events.Limits`.
        begun: trials that `limits` count: not results that were told, nor repeats of the best.
        incumbent: the best so far: trial, resource, value, config.
    """

    name: str
    key: str
    state: str
    door: str = "tune"
    owner: str | None = None
    objective: str | None = None
    metric: str = "loss"
    trials: int = 0
    finished: int = 0
    best: float | None = None
    spent: int = 0
    seconds: float = 0.0
    created: float = 0.0
    updated: float = 0.0
    events: int = 0
    elsewhere: str | None = None
    running: int = 0
    lost_leases: int = 0
    devices: int | str = 1
    sharing: dict[str, Any] = {}
    share: dict[str, float] = {}
    lacks: str | None = None
    space: dict[str, Any] = {}
    mode: str = "min"
    resource: dict[str, Any] | None = None
    eta: int = 3
    sampler: str = ""
    scheduler: str = ""
    seed: int = 0
    limits: dict[str, Any] = {}
    begun: int = 0
    checkpoints: dict[str, Any] = {}
    efficiency: float | None = None
    scaling: dict[str, float] | None = None
    incumbent: dict[str, Any] | None = None


def sent(metrics: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Metrics as JSON has them: what is no finite number becomes null."""
    if metrics is None:
        return None
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in metrics.items()
    }
