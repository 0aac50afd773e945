"""The rows themselves, below what a log decodes: for copying and for checking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from rung.errors import StorageError
from rung.storage.database import StoredEvent
from rung.storage.schema import KINDS, events, studies
from rung.storage.sql import SqlStorage
from rung.trials.codec import damaged, decode
from rung.trials.events import Event

PAGE: Final = 4096  # events at once


def row_of(storage: SqlStorage, key: str) -> Row[Any] | None:
    """The row of the study with this key."""
    if not storage.db.ready():
        return None
    query = select(studies).where(studies.c.key == key)
    return storage.db.read(lambda connection: connection.execute(query).one_or_none())


def pages(storage: SqlStorage, study: int, start: int, stop: int) -> Iterator[list[tuple[int, StoredEvent]]]:
    """The events that lie under the numbers from `start` to before `stop`, with their numbers, in order."""
    while start < stop:
        found = storage.db.read(_page(study, start, stop))
        if found:
            yield [(seq, (kind, trial, _bytes(body))) for seq, kind, trial, body in found]
        if len(found) < PAGE:
            return
        start = found[-1].seq + 1


def _bytes(body: bytes | memoryview | str) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)  # SQLite lets a text be there


def sound_events(storage: SqlStorage, row: Any, start: int = 0) -> Iterator[Event]:
    """The events from number `start` on that a study's row counts, decoded.

    Raises:
        StorageError: at the first one that is missing, is none, or is filed as another.
    """
    number = start
    for page in pages(storage, row.id, start, row.events):
        for found, (kind, trial, body) in page:
            if found != number:
                raise damaged(f"event {number} is missing: the next one is number {found}")
            yield _sound(number, kind, trial, body)
            number += 1
    if number < row.events:
        raise damaged(f"{row.events} events should be there, and those from number {number} on are missing")


def _sound(number: int, kind: int, trial: int | None, body: bytes) -> Event:
    try:
        event = decode(body)
    except StorageError as error:
        raise damaged(f"event {number} cannot be read ({error.__cause__ or error})") from error
    if (kind, trial) != (KINDS[type(event)], getattr(event, "trial", None)):
        raise damaged(
            f"event {number} is filed as kind {kind} of trial {trial}, and is {type(event).__name__} "
            f"of trial {getattr(event, 'trial', None)}"
        )
    return event


def _page(study: int, start: int, stop: int) -> Callable[[Connection], Sequence[Any]]:
    query = (
        select(events.c.seq, events.c.kind, events.c.trial, events.c.body)
        .where(events.c.study_id == study, events.c.seq >= start, events.c.seq < stop)
        .order_by(events.c.seq)
        .limit(PAGE)
    )
    return lambda connection: connection.execute(query).all()


def count(storage: SqlStorage, study: int) -> int:
    """How many events lie there, whatever the study's row says."""
    query = select(func.count()).select_from(events).where(events.c.study_id == study)
    return int(storage.db.read(lambda connection: connection.execute(query).scalar_one()))
