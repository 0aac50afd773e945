"""What the sharing of workers is told, and what it decides: frozen values."""

from __future__ import annotations

import math

import msgspec

from rung.errors import StudyError


class Node(msgspec.Struct, frozen=True):
    """A machine that lends slots; a job's slots are all on one node."""

    name: str
    slots: int

    def __post_init__(self) -> None:
        if self.slots < 0:
            raise StudyError(f"worker {self.name!r} has {self.slots} slots: give a whole number, 0 or more")


class Claim(msgspec.Struct, frozen=True):
    """What a study wants now.

    Args:
        study: its name.
        weight: its share among the studies of its class, relative to theirs; above 0.
        priority: its class; a higher class is served first.
        minimum: slots that it is given before anybody gets more than their minimum.
        maximum: slots that it never exceeds; None for no bound.
        waiting: jobs that it could start now.
        gang: slots that one job takes at once, on one node.
        nodes: names of the nodes that can run its jobs; None for all.
        preemptible: whether its jobs can be stopped, and may so fill a gang's reservation meanwhile.

    Raises:
        StudyError: a number that is out of its range.
    """

    study: str
    weight: float = 1.0
    priority: int = 0
    minimum: int = 0
    maximum: int | None = None
    waiting: int = 0
    gang: int = 1
    nodes: tuple[str, ...] | None = None
    preemptible: bool = True

    def __post_init__(self) -> None:
        if not (0.0 < self.weight < math.inf):
            raise StudyError(f"study {self.study!r}: weight must be a number above 0, not {self.weight!r}")
        if self.minimum < 0 or self.waiting < 0:
            raise StudyError(f"study {self.study!r}: min_slots and waiting jobs must be 0 or more")
        if self.gang < 1:
            raise StudyError(f"study {self.study!r}: a job takes 1 slot or more, not {self.gang}")
        if self.maximum is not None and self.maximum < max(1, self.minimum):
            raise StudyError(
                f"study {self.study!r}: max_slots is {self.maximum}: "
                f"give at least {max(1, self.minimum)} (1, or min_slots), or leave it out"
            )


class Task(msgspec.Struct, frozen=True):
    """A running job.

    Args:
        study: whose it is.
        trial: its trial's number; a trial has at most one running job.
        node: where it runs.
        slots: how many it takes there.
        level: resource up to which it runs: of two jobs, the one with the smaller is stopped first.
        saved: time to which its work is safe: when it was started, or its last checkpoint.
        preemptible: whether it may be asked to stop.
    """

    study: str
    trial: int
    node: str
    slots: int = 1
    level: int = 0
    saved: float = 0.0
    preemptible: bool = True


class Policy(msgspec.Struct, frozen=True):
    """Settings of the sharing; times in seconds.

    Args:
        horizon: what a study is owed is made up for over this time: a debt of `horizon` slot-seconds is
            one slot more. Two studies that take turns on one slot change after about this time.
        memory: at most as much is remembered as if the study had got nothing (or double) for this time.
        floor: part of its ideal below which a study that pays back is not pushed.
        patience: a study must have started nothing, or lacked a whole job of its ideal, for this time before
            others' jobs are stopped for it.
        cooldown: a job runs at least this long before it is stopped for another study's share.
        reserve_after: a gang that fits nowhere waits this long before a node is kept for it.
        grace: a job that was asked to stop gets this long until its executor kills it (its matter, not
            decided here).

    Raises:
        StudyError: a number that is out of its range.
    """

    horizon: float = 600.0
    memory: float = 7200.0
    floor: float = 0.5
    patience: float = 15.0
    cooldown: float = 60.0
    reserve_after: float = 30.0
    grace: float = 120.0

    def __post_init__(self) -> None:
        if not (self.horizon > 0.0 and self.memory >= self.horizon):
            raise StudyError("sharing: horizon must be above 0 seconds, and memory at least as long")
        if not 0.0 <= self.floor <= 1.0:
            raise StudyError(f"sharing: floor must be between 0 and 1, not {self.floor}")
        if min(self.patience, self.cooldown, self.reserve_after, self.grace) < 0.0:
            raise StudyError("sharing: patience, cooldown, reserve_after and grace must be 0 seconds or more")


class SharingEvent(msgspec.Struct, frozen=True, tag_field="kind", tag=True):
    """Something that happened at `time`, in seconds; a time before the last one's counts as that."""

    time: float


class NodeJoined(SharingEvent, frozen=True):
    """A node lends its slots; one that is known already has as many as it says now."""

    node: Node


class NodeLeft(SharingEvent, frozen=True):
    """A node takes no more jobs; those that it ran count until `TaskEnded`."""

    name: str


class ClaimChanged(SharingEvent, frozen=True):
    """A study came, or wants something else now."""

    claim: Claim


class Remembered(SharingEvent, frozen=True):
    """What became of a study's share before these events began, in slot-seconds; see `Account`."""

    study: str
    got: float
    due: float
    owed: float


class StudyLeft(SharingEvent, frozen=True):
    """A study wants nothing any more; it is forgotten with its last job's end."""

    study: str


class TaskStarted(SharingEvent, frozen=True):
    """A job runs: one less waits, until `ClaimChanged` says how many wait now."""

    task: Task


class TaskSaved(SharingEvent, frozen=True):
    """A job's work is safe up to now."""

    study: str
    trial: int


class TaskEnded(SharingEvent, frozen=True):
    """A job's slots are free again, however it ended."""

    study: str
    trial: int


class PreemptionAsked(SharingEvent, frozen=True):
    """A job was asked to save and stop: it is leaving until it has ended."""

    study: str
    trial: int


class Passed(SharingEvent, frozen=True):
    """Nothing but time."""


class Launch(msgspec.Struct, frozen=True):
    """Start a job of `study` that takes `slots` on `node`."""

    study: str
    node: str
    slots: int


class Preempt(msgspec.Struct, frozen=True):
    """Ask a job to save and stop for the study `taker`, which `why`, such as "has a higher priority"."""

    study: str
    trial: int
    taker: str
    why: str
