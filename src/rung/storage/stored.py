"""The rows themselves, below what a log decodes: for copying and for checking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from rung.storage.database import StoredEvent
from rung.storage.schema import events, studies
from rung.storage.sql import SqlStorage

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
            yield [(seq, (kind, trial, bytes(body))) for seq, kind, trial, body in found]
        if len(found) < PAGE:
            return
        start = found[-1].seq + 1


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
