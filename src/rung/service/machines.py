"""A machine that lends slots as the service knows it, and what all of them together make of a study."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from rung.cluster.sharing import Claim
from rung.service import room
from rung.service.hosting import Grant, HostedStudy
from rung.service.hub import Hub
from rung.service.shared import Hosted
from rung.service.standing import lacking


class Lender(NamedTuple):
    """A worker as others see it."""

    id: str
    name: str
    slots: int
    labels: Mapping[str, str]
    seen: float
    running: int
    busy: int  # slots that its jobs take


class Machine:
    """A worker: what it lends, what it was given, what it does not run."""

    __slots__ = ("given", "id", "labels", "name", "owner", "polls", "refused", "seen", "slots")

    def __init__(self, name: str, slots: int, labels: Mapping[str, str], owner: str, now: float) -> None:
        self.id = secrets.token_hex(8)
        self.name = name
        self.slots = slots
        self.labels = dict(labels)
        self.owner = owner
        self.seen = now
        self.polls = 0
        self.refused: dict[str, str] = {}  # keys of studies that it does not run, and why
        self.given: dict[tuple[str, int], Grant] = {}  # by study's key and trial


def lenders(
    workers: Iterable[Machine], tasks: Mapping[tuple[str, int], tuple[str, float]], hub: Hub
) -> list[Lender]:
    """Workers as others see them, by name."""
    running: Counter[str] = Counter()
    busy: Counter[str] = Counter()
    for (key, trial), (node, _) in tasks.items():
        running[node] += 1
        busy[node] += room.taken(hub.hosted(key), hub.running(key), trial)
    found = [
        Lender(one.id, one.name, one.slots, one.labels, one.seen, running[one.id], busy[one.id])
        for one in workers
    ]
    return sorted(found, key=lambda lender: (lender.name, lender.id))


def lacks(hosted: Hosted | None, study: HostedStudy | None, workers: Collection[Machine]) -> str | None:
    """Why no worker can start a study's jobs; None if one can, or it needs none."""
    if hosted is None or hosted.objective is None or study is None:
        return None
    takers = [one.slots for one in workers if study.key not in one.refused]
    refusals = {one.name: one.refused[study.key] for one in workers if study.key in one.refused}
    return lacking(hosted, takers, refusals)


def claim_of(study: HostedStudy, hosted: Hosted, workers: Mapping[str, Machine]) -> Claim:
    """What a study wants now."""
    takers = tuple(number for number, each in workers.items() if study.key not in each.refused)
    wants = not study.closed and study.writer.ended is None
    return Claim(
        study.key,
        weight=hosted.weight,
        priority=hosted.priority,
        minimum=hosted.min_slots,
        maximum=hosted.max_slots,
        waiting=study.ready if wants else 0,
        gang=hosted.devices,
        nodes=takers if len(takers) < len(workers) else None,
    )
