"""What became of the studies, read from the store alone: what was lost, what was doubled, what was killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rung.storage.base import Storage
from rung.study.audit import audit
from rung.study.records import trials
from rung.trials import events as ev
from rung.trials.events import Event, Failure

_SAME_DEATH = 20.0  # seconds: leases of one worker that end so close to each other ended by one death


class Verdict(NamedTuple):
    """Of one study.

    Attributes:
        done: it ended by itself.
        lost: resources that a job reached by its log, without an observation.
        doubled: observations that are there twice, and jobs that ended twice.
        differences: decisions that the policies do not derive again.
    """

    name: str
    done: bool
    trials: int
    best: float | None
    lost: int
    doubled: int
    differences: int


def verdict(storage: Storage, name: str) -> Verdict:
    """Fold the study's log anew, and look."""
    events = list(storage.read(name))
    row = storage.find(name)
    records = trials(events)
    lost = doubled = 0
    for record in records:
        seen = Counter(each.resource for each in record.observations)
        doubled += sum(count - 1 for count in seen.values())
        reached = record.resource or 0
        lost += sum(resource not in seen for resource in range(1, reached + 1))
    lost += _unfinished(events)
    doubled += _ended_twice(events)
    return Verdict(
        name,
        row is not None and row.summary.state == "done",
        len(records),
        None if row is None else row.summary.best,
        lost,
        doubled,
        len(audit(events).differences),
    )


def _unfinished(events: Iterable[Event]) -> int:
    """Jobs that began and never ended: their results, if there were any, are lost."""
    running: set[tuple[int, int]] = set()
    for event in events:
        if isinstance(event, ev.JobStarted):
            running.add((event.trial, event.attempt))
        elif isinstance(event, ev.JobFinished | ev.JobFailed | ev.JobStopped):
            running.discard((event.trial, event.attempt))
    return len(running)


def _ended_twice(events: Iterable[Event]) -> int:
    ended = Counter(
        (event.trial, event.attempt)
        for event in events
        if isinstance(event, ev.JobFinished | ev.JobFailed | ev.JobStopped)
    )
    return sum(count - 1 for count in ended.values())


def deaths(logs: Sequence[Sequence[Event]]) -> dict[str, int]:
    """Deaths that the logs show: services that were followed by another without having let go, and workers of
    which nothing was heard any more."""
    services: Counter[Any] = Counter()
    workers: list[tuple[str, float]] = []
    for events in logs:
        running = False
        for event in events:
            match event:
                case ev.SessionStarted():
                    services[event.host, event.pid] += running
                    running = True
                case ev.SessionEnded():
                    running = False
                case ev.JobFailed(failure=Failure.LOST):
                    workers.append((_worker_of(event.message), event.time))
    return {"services": sum(count > 0 for count in services.values()), "workers": _apart(workers)}


def _worker_of(message: str) -> str:
    """The worker that the message of a lost lease names."""
    return message.removeprefix("nothing was heard of ").partition(" for ")[0]


def _apart(found: Sequence[tuple[str, float]]) -> int:
    """How many deaths: one worker's losses close to each other are one."""
    last: dict[str, float] = {}
    count = 0
    for name, time in sorted(found, key=lambda pair: pair[1]):
        count += time - last.get(name, -1e18) > _SAME_DEATH
        last[name] = time
    return count
