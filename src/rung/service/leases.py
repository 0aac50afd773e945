"""Who runs which job of a study, until when, and what was told of it: a fold of the study's own log.

A lease is the pair (trial, attempt): every job of a trial has a larger attempt than the one before, so that
it is a fencing token too. Nothing of it needs a table of its own, and a service that restarts goes on with
the jobs that its log says are running.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rung.errors import ConflictError
from rung.service.lives import Life
from rung.trials import events as ev
from rung.trials.events import Event, Failure

ASKED: Final = "asked"  # the topic of the record beside a `JobStarted`: who asked for it, and by which key
LATE: Final = "late"  # the topic of what came of a job whose lease was lost

Job = tuple[int, int]  # (trial, attempt)

_NOBODYS: Final = (Failure.LOST, Failure.INTERRUPTED)  # how a job ends of which nobody told


class Lease:
    """A job that somebody runs.

    Attributes:
        worker: its name, as it called itself; "" if the log does not say.
        life: which process of a worker that lends slots; None for all others.
        key: the idempotency key of the request that asked for it.
        expires: when it is lost unless renewed, seconds since the epoch.
        last: what it reported last, (resource, metrics).
        began: when it was asked for.
        saved: when its last checkpoint was saved, or it began; `checkpoint` is that one's path.
        leaving: why it is told to stop though its study goes on ("preempted"); None as long as it isn't.
    """

    __slots__ = (
        "attempt",
        "began",
        "checkpoint",
        "expires",
        "key",
        "last",
        "leaving",
        "life",
        "saved",
        "trial",
        "worker",
    )

    def __init__(self, trial: int, attempt: int, began: float, expires: float) -> None:
        self.trial = trial
        self.attempt = attempt
        self.worker = ""
        self.life: Life | None = None
        self.key = ""
        self.began = self.saved = began
        self.expires = expires
        self.last: tuple[int, Mapping[str, Any]] | None = None
        self.leaving: str | None = None
        self.checkpoint: str | None = None

    def has_said(self, resource: int, metrics: Mapping[str, Any]) -> bool:
        """Whether this is what it reported last; a NaN is the same as another."""
        if self.last is None:
            return False
        at, before = self.last
        if at != resource or before.keys() != metrics.keys():
            return False
        return all(_same(before[name], value) for name, value in metrics.items())


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or (one != one and other != other)


class Leases:
    """All leases of one study.

    Args:
        seconds: how long a lease lasts without a sign of life.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.running: dict[int, Lease] = {}  # by trial
        self.lost = 0
        self._told: set[Job] = set()  # jobs whose end their worker told
        self._keys: dict[str, Job] = {}

    def fold(self, events: Iterable[Event], now: float) -> None:
        """Take in what was logged; leases begun or renewed by it last from `now`."""
        for event in events:
            match event:
                case ev.JobStarted():
                    self.running[event.trial] = Lease(
                        event.trial, event.attempt, event.time, now + self.seconds
                    )
                case ev.Recorded(topic=topic) if topic == ASKED:
                    self._asked(event)
                case ev.Reported() | ev.CheckpointSaved():
                    self._alive(event, now)
                case ev.JobFinished() | ev.JobStopped():
                    self._ended(event.trial, event.attempt, told=True)
                case ev.JobFailed():
                    self._ended(event.trial, event.attempt, told=event.failure not in _NOBODYS)

    def _asked(self, event: ev.Recorded) -> None:
        lease = self.running.get(event.trial) if event.trial is not None else None
        if lease is not None:
            lease.worker, lease.key = str(event.data.get("worker", "")), str(event.data.get("key", ""))
            if run := str(event.data.get("run", "")):
                lease.life = Life(str(event.data.get("owner", "")), lease.worker, run)
            if lease.key:
                self._keys[lease.key] = (lease.trial, lease.attempt)

    def _alive(self, event: ev.Reported | ev.CheckpointSaved, now: float) -> None:
        lease = self.holder(event.trial, event.attempt)
        if lease is None:
            return
        lease.expires = now + self.seconds
        if isinstance(event, ev.Reported):
            lease.last = (event.resource, event.metrics)
        else:
            lease.saved, lease.checkpoint = event.time, event.path

    def _ended(self, trial: int, attempt: int, *, told: bool) -> None:
        lease = self.holder(trial, attempt)
        if lease is None:
            return
        del self.running[trial]
        self._keys.pop(lease.key, None)
        if told:
            self._told.add((trial, attempt))
        else:
            self.lost += 1

    # -- questions ------------------------------------------------------------------------------------

    def holder(self, trial: int, attempt: int) -> Lease | None:
        """The lease of this very job, if it runs."""
        lease = self.running.get(trial)
        return lease if lease is not None and lease.attempt == attempt else None

    def was_told(self, trial: int, attempt: int) -> bool:
        """Whether its worker told how it ended."""
        return (trial, attempt) in self._told

    def by_key(self, key: str, worker: str = "") -> Lease | None:
        """The running job that a request of this key was given.

        Raises:
            ConflictError: it was another worker's; "" is any.
        """
        trial, attempt = self._keys.get(key, (-1, -1))
        found = self.holder(trial, attempt)
        if found is not None and worker not in ("", found.worker) and found.worker:
            raise ConflictError(
                f"the Idempotency-Key {key!r} is that of worker {found.worker!r}, which has a job for it: "
                "give each request for a job a key of its own"
            )
        return found

    def expired(self, now: float) -> list[Lease]:
        """Leases that are lost by now."""
        return [lease for lease in self.running.values() if lease.expires < now]

    def before(self, life: Life) -> list[Lease]:
        """Leases of earlier processes of the same worker, of whose jobs nothing more will be heard."""
        return [one for one in self.running.values() if one.life is not None and life.follows(one.life)]


def asked(worker: str, key: str, life: Life | None) -> dict[str, Any]:
    """What the log says of whoever asked for a job; its attempt is to be added."""
    said = {"worker": worker, "key": key}
    return said if life is None or not life.run else {**said, "owner": life.owner, "run": life.run}


def was_told(log: Iterable[Event], trial: int, attempt: int) -> bool:
    """Whether a log says that this job's worker told how it ended."""
    leases = Leases(0.0)
    leases.fold(log, 0.0)
    return leases.was_told(trial, attempt)
