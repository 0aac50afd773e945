"""Deriving every decision of a log again, and saying where one differs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from rung.samplers import make_sampler
from rung.schedulers import make_scheduler
from rung.study.decide import Decider
from rung.trials.events import Event, JobStarted, StopDecided, StudyCreated, TrialStopped
from rung.trials.history import EXHAUSTED, History


class Difference(NamedTuple):
    """Event number `position` of the log is not what the policies decide at that point."""

    position: int
    logged: str
    derived: str


class Audit(NamedTuple):
    events: int
    decisions: int
    differences: tuple[Difference, ...]


def audit(events: Iterable[Event], most: int = 20) -> Audit:
    """Fold the log event by event, deciding anew wherever it holds a decision.

    Args:
        most: differences to collect at most; the first one is the one that matters.
    """
    stream = iter(events)
    first = next(stream)
    assert isinstance(first, StudyCreated)
    identity = first.identity
    scheduler, sampler = make_scheduler(identity.scheduler), make_sampler(identity.sampler)
    decider = Decider(sampler, scheduler)
    history = History(scheduler, sampler)
    history.fold(first)
    decisions = 0
    differences: list[Difference] = []
    for event in stream:
        if _is_decision(event):
            decisions += 1
            derived = decider.next(history, event.time)  # type: ignore[attr-defined]  # every event has one
            if derived != event and not _same_bits(derived, event) and len(differences) < most:
                differences.append(Difference(history.length, repr(event), repr(derived)))
        history.fold(event)
    return Audit(history.length, decisions, tuple(differences))


def _is_decision(event: Event) -> bool:
    return isinstance(event, JobStarted | TrialStopped) or (
        isinstance(event, StopDecided) and event.reason == EXHAUSTED
    )


def _same_bits(one: object, other: object) -> bool:
    return msgspec.msgpack.encode(one) == msgspec.msgpack.encode(other)
