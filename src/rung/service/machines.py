"""A machine that lends slots as the service knows it, and what all of them together make of a study."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from rung.cluster.sharing import Claim
from rung.errors import StorageError
from rung.service import room
from rung.service.hosting import Grant, HostedStudy
from rung.service.hub import Hub
from rung.service.lives import Life
from rung.service.register import Hosted
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

    __slots__ = ("given", "id", "labels", "life", "polls", "refused", "seen", "slots", "usable")

    def __init__(self, life: Life, slots: int, labels: Mapping[str, str], now: float) -> None:
        self.id = secrets.token_hex(8)
        self.life = life
        self.slots = slots
        self.usable = slots  # of them now, see `Workers.poll`
        self.labels = dict(labels)
        self.seen = now
        self.polls = 0
        self.refused: dict[str, str] = {}  # keys of studies that it does not run, and why
        self.given: dict[tuple[str, int], Grant] = {}  # by study's key and trial


class Fleet:
    """The machines that lend slots now, and which studies each of them does not run.

    What a study may run on is asked for at every poll, and changes seldom: it is kept.
    """

    def __init__(self) -> None:
        self._machines: dict[str, Machine] = {}
        self._refusing: dict[str, int] = {}  # machines, by key of the study that they refuse
        self._takers: dict[str, tuple[str, ...]] = {}  # by key, of studies that some refuse

    def all(self) -> list[Machine]:
        """All of them, in the order in which they came."""
        return list(self._machines.values())

    def get(self, number: str) -> Machine | None:
        """The one of this id."""
        return self._machines.get(number)

    def named(self, life: Life) -> list[Machine]:
        """Those of this user and name."""
        return [one for one in self.all() if one.life[:2] == life[:2]]

    def add(self, machine: Machine) -> None:
        """It lends its slots from now on."""
        self._machines[machine.id] = machine
        self._takers.clear()

    def drop(self, number: str) -> None:
        """It is gone."""
        machine = self._machines.pop(number, None)
        for key in () if machine is None else machine.refused:
            self._accepted(key)
        self._takers.clear()

    def refuse(self, machine: Machine, key: str, why: str) -> None:
        """It does not run this study."""
        if key not in machine.refused:
            self._refusing[key] = self._refusing.get(key, 0) + 1
            self._takers.pop(key, None)
        machine.refused[key] = why

    def forget(self, key: str) -> None:
        """A study left: should it come again, it is tried anew."""
        if self._refusing.pop(key, 0):
            self._takers.pop(key, None)
            for machine in self._machines.values():
                machine.refused.pop(key, None)

    def takers(self, key: str) -> tuple[str, ...] | None:
        """Ids of those that run a study, as far as is known; None: all."""
        if key not in self._refusing:
            return None
        if key not in self._takers:
            self._takers[key] = tuple(at for at, each in self._machines.items() if key not in each.refused)
        return self._takers[key]

    def _accepted(self, key: str) -> None:
        self._refusing[key] -= 1
        if not self._refusing[key]:
            del self._refusing[key]


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
        Lender(one.id, one.life.name, one.slots, one.labels, one.seen, running[one.id], busy[one.id])
        for one in workers
    ]
    return sorted(found, key=lambda lender: (lender.name, lender.id))


def give_up_before(life: Life, hub: Hub, now: float) -> None:
    """A worker is begun anew: what its earlier processes ran is to be given out again."""
    for study in hub.active:
        with suppress(StorageError):  # it is to be taken up anew: there its leases end in time
            study.begun_anew(life, now)


def lacks(hosted: Hosted | None, study: HostedStudy | None, fleet: Fleet) -> str | None:
    """Why no worker can start a study's jobs; None if one can, or it needs none."""
    if hosted is None or hosted.objective is None or study is None:
        return None
    key, workers = study.key, fleet.all()
    takers = [one.slots for one in workers if key not in one.refused]
    refusals = {one.life.name: one.refused[key] for one in workers if key in one.refused}
    return lacking(hosted, takers, refusals)


def waiting(study: HostedStudy) -> int:
    """Jobs that a study could start now if it had slots for all of them."""
    return study.ready if not study.closed and study.writer.ended is None else 0


def claim_of(study: HostedStudy, hosted: Hosted, fleet: Fleet) -> Claim:
    """What a study wants now."""
    return Claim(
        study.key,
        weight=hosted.weight,
        priority=hosted.priority,
        minimum=hosted.min_slots,
        maximum=hosted.max_slots,
        waiting=waiting(study),
        gang=hosted.devices,
        nodes=fleet.takers(study.key),
    )
