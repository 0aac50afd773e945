"""How many devices a job gets: a fixed number, or more as its trial climbs.

With "auto" a trial's first job runs on one device. At rung k of the ladder (k = 0 at the smallest resource) a
job gets the largest number n of devices

- whose predicted efficiency, speed-up(n) / n, is at least the wanted one;
- that is at most eta^k: so many trials of the lowest rung stand behind each that came so far, so that every
  rung holds about as many slots as any other, and promoted trials do not crowd out new configurations;
- that is free, when a slot is set aside for each job that waits to run again and each enqueued
  configuration.

A job that runs again gets no more than it had. The rule is a function of the history: what it reads of the
world (how many slots there are, how well training scales) is in the log first, under the topics below.
"""

from __future__ import annotations

import json
import math
import os
from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from rung.errors import StudyError
from rung.trials.events import Event, JobStarted, Recorded
from rung.trials.history import History
from rung.trials.ladder import ladder_of

TOPIC: Final = "devices"  # what the user wants: devices, efficiency, scaling
SLOTS: Final = "slots"  # how many slots the executor has, when that is first known and when it changes
AUTO: Final = "auto"

Scaling = Mapping[int, float] | str | os.PathLike[str]


class Allotment(NamedTuple):
    """What the user wants of devices.

    Attributes:
        devices: of each job, or "auto".
        efficiency: the least speed-up for each device, above 0 and at most 1.
        scaling: speed-up by number of devices, ascending, 1 among them; empty for a fixed number.
    """

    devices: int | str = 1
    efficiency: float = 0.75
    scaling: tuple[tuple[int, float], ...] = ()


def make_allotment(devices: Any, efficiency: float = 0.75, scaling: Scaling | None = None) -> Allotment:
    """What these settings say.

    Args:
        devices: a whole number of at least 1, or "auto".
        scaling: with "auto", speed-ups such as {1: 1.0, 2: 1.9, 4: 3.5}, or a file that `rung plan --json`
            wrote.

    Raises:
        StudyError: one that makes no sense, or "auto" without a curve.
    """
    if devices != AUTO:
        if isinstance(devices, bool) or not isinstance(devices, int) or devices < 1:
            raise StudyError(f"devices must be a whole number of at least 1 or 'auto', not {devices!r}")
        if scaling is not None:
            raise StudyError("scaling says how many devices are worth it: give it with devices='auto'")
        return Allotment(devices)
    if isinstance(efficiency, bool) or not isinstance(efficiency, int | float) or not 0 < efficiency <= 1:
        raise StudyError(f"efficiency must be above 0 and at most 1, not {efficiency!r}")
    if scaling is None:
        raise StudyError(
            "devices='auto' needs to know how training scales: scaling={1: 1.0, 2: 1.9, 4: 3.5}, the "
            "speed-up by number of devices, or a file (--scaling FILE), as `rung plan ... --json > FILE` "
            "writes it"
        )
    rows = scaling if isinstance(scaling, Mapping) else _read(Path(scaling))
    return Allotment(AUTO, float(efficiency), _curve(rows))


def _read(path: Path) -> Mapping[Any, Any]:
    """The speed-ups in a file that `rung plan --json` wrote."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["speedups"]
    except OSError as error:
        raise StudyError(f"scaling: {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(f"scaling: {path} holds no speedups: write it with `rung plan --json`") from error
    if not isinstance(rows, Mapping):
        raise StudyError(f"scaling: {path}: speedups must map numbers of devices to speed-ups")
    return rows


def _curve(rows: Mapping[Any, Any]) -> tuple[tuple[int, float], ...]:
    found = {1: 1.0}
    for devices, speedup in rows.items():
        whole = int(devices) if str(devices).isdecimal() else 0
        number = isinstance(speedup, int | float) and not isinstance(speedup, bool)
        if whole < 1 or not number or not 0 < speedup < math.inf:
            raise StudyError(
                f"scaling: {devices!r}: {speedup!r} is not understood: write the speed-up by number of "
                "devices, as in {1: 1.0, 2: 1.9, 4: 3.5}"
            )
        found[whole] = float(speedup)
    return tuple(sorted(found.items()))


def devices_for(
    rung: int, free: int, curve: Mapping[int, float], efficiency: float, share: int | None = None
) -> int:
    """How many devices a job at this rung gets (0 is the lowest); at least 1.

    Args:
        free: slots that it may take.
        curve: speed-up by number of devices.
        efficiency: the least speed-up for each device.
        share: what is fair to others; None: no such bound.
    """
    if rung == 0:
        return 1
    most = free if share is None else min(free, share)
    worth = (count for count, speedup in curve.items() if speedup >= efficiency * count and count <= most)
    return max(worth, default=1)


# -- in a study -------------------------------------------------------------------------------------------


def allotted(history: History) -> Allotment | None:
    """What the study was told last; None: nothing, each job gets one device."""
    told = history.records.get(TOPIC)
    if not told:
        return None
    data = told[-1].data
    curve = tuple((int(count), float(speedup)) for count, speedup in data.get("scaling", ()))
    return Allotment(data["devices"], data.get("efficiency", 0.75), curve)


def allotment_events(history: History, wanted: Allotment, now: float) -> list[Event]:
    """The event that says what is wanted from now on; none if it is so already.

    Raises:
        StudyError: "auto" in a study in which no trial climbs.
    """
    if wanted == (allotted(history) or Allotment()):
        return []
    if wanted.devices == AUTO and len(ladder_of(history.identity)) == 1:
        raise StudyError(
            "devices='auto' gives more devices to trials that climb, and in this study none does: give it a "
            "resource, or a fixed number of devices"
        )
    return [Recorded(TOPIC, wanted._asdict(), None, now)]


def least(history: History) -> int:
    """The fewest slots that the next job takes."""
    wanted = allotted(history)
    return wanted.devices if wanted is not None and isinstance(wanted.devices, int) else 1


def check_slots(history: History, slots: int) -> None:
    """Refuse a number of devices that no job can ever get.

    Raises:
        StudyError: saying how many there are.
    """
    if least(history) > slots:
        raise StudyError(
            f"a job with devices={least(history)} takes as many workers, and there are {slots}: "
            f"give at least workers={least(history)}"
        )


def slots_event(history: History, free: int, now: float) -> Event | None:
    """The event of how many slots there are, if that is read by a decision and not what the log says."""
    wanted = allotted(history)
    if wanted is None or wanted.devices != AUTO or history.stopping is not None:
        return None
    slots, told = free + history.devices, history.records.get(SLOTS)
    return None if told and told[-1].data["slots"] == slots else Recorded(SLOTS, {"slots": slots}, None, now)


def with_devices(history: History, event: JobStarted, had: int | None = None) -> JobStarted:
    """The job with the number of devices that it gets.

    Args:
        had: how many it had, if it runs again.
    """
    wanted = allotted(history)
    if wanted is None:
        return event if had in (None, 1) else msgspec.structs.replace(event, devices=had)
    devices = _chosen(history, event, wanted, had)
    return event if devices == 1 else msgspec.structs.replace(event, devices=devices)


def _chosen(history: History, event: JobStarted, wanted: Allotment, had: int | None) -> int:
    if isinstance(wanted.devices, int):
        return wanted.devices
    rung = 0 if event.values is not None else _rung(history, event.until)
    told = history.records.get(SLOTS)
    share: int = history.identity.eta**rung if had is None else had
    if not told:  # asked from outside: whoever asks has the slots
        return devices_for(rung, share, dict(wanted.scaling), wanted.efficiency)
    waiting = len(history.retry) - (had is not None) + len(history.enqueued)
    free = int(told[-1].data["slots"]) - history.devices - waiting
    return devices_for(rung, free, dict(wanted.scaling), wanted.efficiency, share)


def _rung(history: History, until: int) -> int:
    """The number of rungs below the one at `until`."""
    return max(0, bisect_right(ladder_of(history.identity), until) - 1)
