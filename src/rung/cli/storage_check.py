"""Checking one stored study: what lies there, what it folds into, what was decided, what it names."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from rung.errors import RungError, StorageError, StudyError
from rung.executors.checkpoint_files import check as check_folder
from rung.executors.remote import is_url, manifest_at
from rung.samplers import make_sampler
from rung.schedulers import make_scheduler
from rung.storage.copying import Part
from rung.storage.schema import KINDS
from rung.storage.sql import COPYING, SqlStorage
from rung.storage.stored import count, pages, row_of, sound_events
from rung.study.audit import audit
from rung.study.checkpoint_places import resolved
from rung.study.writer import summary_of
from rung.trials.codec import UNSOUND, decode
from rung.trials.events import StudyCreated
from rung.trials.history import History

if TYPE_CHECKING:
    from rung.storage.base import StudyRow, Summary
    from rung.trials.events import Event

_BATCH: Final = (
    512  # events of which one append consists at most: a summary is written before they are folded
)
_UNSOUND: Final = (RungError, *UNSOUND)


class Checked(msgspec.Struct):
    """What was found of one study; `differs` holds a sentence for each thing that is not as it should be."""

    study: str
    events: int = 0
    decisions: int = 0
    checkpoints: int = 0
    differs: list[str] = []
    notes: list[str] = []


def check_study(storage: SqlStorage, row: StudyRow, *, decisions: bool = True) -> Checked:
    """Read a study as it was when `row` was, and compare everything that is kept twice.

    Numbers run without a gap, each event decodes and is filed under its kind and trial, the log folds into a
    history, the row of the list says what that history says, every decision is derived again (`decisions`),
    and every checkpoint that a job may start from is there, with its hashes.
    """
    found = Checked(row.name)
    try:
        events = list(_events(storage, row, found))
        if not found.differs:
            history = _fold(events, row, found)
            _look_for_checkpoints(storage, history, row, found)
            if decisions:
                _derive(events, found)
    except StorageError as error:
        found.differs.append(str(error))
    except _UNSOUND as error:
        found.differs.append(f"the log cannot be replayed ({type(error).__name__}: {error})")
    return found


def sound_part(storage: SqlStorage, row: StudyRow) -> Part | None:
    """What a log has before its first damage; None if it has none."""
    stored = row_of(storage, row.key)
    assert stored is not None
    history = History()
    try:
        for event in sound_events(storage, stored):
            history.fold(event)
    except _UNSOUND as error:
        if history.length == 0:
            raise StorageError(f"nothing lies before the damage of study {row.name!r}") from error
    else:
        return None
    sound = islice(sound_events(storage, stored), history.length)  # once more: that event was half folded
    whole = History().fold_all(sound)
    return Part(whole.length, summary_of(whole, "interrupted", row.summary.updated))


def _events(storage: SqlStorage, row: StudyRow, found: Checked) -> Iterator[Event]:
    stored = row_of(storage, row.key)
    if stored is None:
        found.notes.append("it was deleted while it was checked")
        return
    if row.summary.state == COPYING:
        found.notes.append("it is the beginning of a copy: `rung storage copy` again completes it")
    there = count(storage, stored.id)
    if there < row.events or (stored.events == row.events and there != row.events):
        found.differs.append(f"the study has {row.events} events, and {there} are there")
    for page in pages(storage, stored.id, 0, row.events):
        for number, (kind, trial, body) in page:
            if number != found.events:
                found.differs.append(f"event {found.events} is missing: the next one is number {number}")
                return
            event = _event(number, body)
            if (kind, trial) != (KINDS[type(event)], getattr(event, "trial", None)):
                found.differs.append(
                    f"event {number} is filed as kind {kind} of trial {trial}, and is {event!r}"
                )
            found.events += 1
            yield event


def _event(number: int, body: bytes) -> Event:
    try:
        return decode(body)
    except StorageError as error:
        raise StorageError(f"event {number} cannot be read ({error.__cause__ or error})") from error


def _fold(events: Sequence[Event], row: StudyRow, found: Checked) -> History:
    """The history, after comparing the row of the list with it.

    The row is written with a batch of events and says what held before or after them: a death leaves it so.
    """
    if not events or not isinstance(events[0], StudyCreated):
        raise StudyError("it does not begin with the study's creation")
    history = History()
    late: deque[Summary] = deque(maxlen=_BATCH + 1)
    for number, event in enumerate(events, 1):
        history.fold(event)
        if number >= len(events) - _BATCH:
            late.append(summary_of(history, row.summary.state, row.summary.updated))
    if row.summary.state != COPYING and len(events) > 1 and row.summary not in late:
        for name in row.summary.__struct_fields__:
            said, true = getattr(row.summary, name), getattr(late[-1], name)
            if said != true:
                found.differs.append(f"the list says {name} {said!r}, and the log gives {true!r}")
    return history


def _derive(events: Sequence[Event], found: Checked) -> None:
    first = events[0]
    assert isinstance(first, StudyCreated)
    identity = first.identity
    try:
        make_scheduler(identity.scheduler), make_sampler(identity.sampler)
    except StudyError as error:  # of a class that the study's own code has
        found.notes.append(f"its decisions were not derived again: {error}")
        return
    derived = audit(events)
    found.decisions = derived.decisions
    for position, logged, other in derived.differences:
        found.differs.append(f"event {position} is {logged}, and the policies decide {other}")


def _look_for_checkpoints(storage: SqlStorage, history: History, row: StudyRow, found: Checked) -> None:
    """Look at those that are ours: who asks and tells may have told a text of their own."""
    folder = storage.db.files / row.key
    for trial, checkpoint in history.checkpoints.items():
        if not re.search(r"(^|/)trial-\d+/[^/]+$", checkpoint.path):
            continue
        where = resolved(folder, checkpoint.path)
        found.checkpoints += 1
        try:
            if is_url(where):
                manifest_at(where, checkpoint.digest)
            else:
                check_folder(where, checkpoint.digest)
        except RungError as error:
            found.differs.append(f"trial {trial}: {error}")
