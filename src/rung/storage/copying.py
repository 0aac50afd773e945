"""Copying a study from one storage to another: its log byte for byte, its requests, its files.

A copy keeps the study's key. So a second run finds what the first one left, goes on behind it, and brings an
older copy up to date; a copy that went on by itself is never written over. Until everything has arrived the
copy's state is "copying", and nobody can open it for writing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, insert, select

from rung.errors import StorageError, StudyError
from rung.storage.base import Summary
from rung.storage.copying_files import Tree, copy_tree
from rung.storage.names import taken
from rung.storage.schema import requests as request_table
from rung.storage.sql import COPYING, SqlStorage
from rung.storage.sql_log import SqlLog
from rung.storage.stored import count, pages, row_of, sound_events

Told = Callable[[int], None]
"""Called with the number of events, or bytes of files, that arrived since the last call."""

_COLUMNS: Final = ("request", "data", "time", "seq")


class Part(NamedTuple):
    """What a damaged log has before the damage, and what a list says of a study that has that much."""

    events: int
    summary: Summary


class Copied(NamedTuple):
    """What of a study arrived in this run, and what the copy has in all."""

    name: str
    events: int
    requests: int
    files: Tree
    total: int

    @property
    def new(self) -> bool:
        return bool(self.events or self.requests or self.files.copied)


def copy_study(
    source: SqlStorage,
    target: SqlStorage,
    key: str,
    told: Told = lambda _: None,
    part: Part | None = None,
) -> Copied:
    """Bring the copy of a study up to what it is now.

    Args:
        key: the study's, in `source`.
        told: called with each number of events that arrived.
        part: only this much of it, where the rest is damaged.

    Raises:
        StudyError: `target` has another study of this name, or a copy that went on by itself.
        LeaseError: somebody writes the copy.
        StorageError: something cannot be read or written, or did not arrive as it was sent; the log is
            damaged.
    """
    row = row_of(source, key)
    if row is None:
        raise StudyError(f"a study was deleted from {source.url} while it was copied")
    if row.state == COPYING:
        raise StudyError(
            f"study {row.name!r} in {source.url} is itself the beginning of a copy: complete it first"
        )
    stop, summary = part or Part(row.events, _summary(row))
    begun = _beginning(source, row, target, stop)
    if part is None:
        _look_for_damage(source, target, row)
    log = target.open_copy(begun) if begun else _create(row, target)
    try:
        copy = row_of(target, key)
        assert copy is not None
        arrived = _events(source, row, log, (copy.events, stop), told)
        requests = target.db.write(
            lambda connection: _requests(_open_requests(source, row), connection, copy.id)
        )
        files = copy_tree(source.db.files / key, target.db.files / key)
        log.append_copied([], summary)
    finally:
        log.close()
    if (there := count(target, copy.id)) != stop:
        raise StorageError(
            f"study {copy.name!r}: {there} of {stop} events are in {target.url}: copy it again"
        )
    return Copied(copy.name, arrived, requests, files, stop)


def _look_for_damage(source: SqlStorage, target: SqlStorage, row: Row[Any]) -> None:
    """Refuse a log that cannot be read, before any of it is written."""
    copy = row_of(target, row.key)
    for _ in sound_events(source, row, 0 if copy is None else copy.events):
        pass


def _create(row: Row[Any], target: SqlStorage) -> SqlLog:
    if target.find(row.name) is not None:
        raise taken(row.name, target.url)
    return target.create(row.name, [], _summary(row, COPYING), key=row.key)


def _beginning(source: SqlStorage, row: Row[Any], target: SqlStorage, stop: int) -> str | None:
    """What the copy that is there is called; None if there is none.

    Raises:
        StudyError: it is not a beginning of what is to be copied.
    """
    copy = row_of(target, row.key)
    if copy is None:
        return None
    if stop < copy.events <= row.events:
        raise StudyError(
            f"study {copy.name!r} in {target.url} has {copy.events} events, {stop} lie before the damage: "
            "go on with the copy"
        )
    same = copy.events <= row.events and all(
        ours == theirs
        for ours, theirs in zip(
            pages(source, row.id, 0, copy.events), pages(target, copy.id, 0, copy.events), strict=True
        )
    )
    if not same:
        raise StudyError(
            f"study {copy.name!r} in {target.url} was a copy of {row.name!r} and has gone on by itself: "
            "delete it, or keep it and leave this one out"
        )
    return str(copy.name)


def _events(source: SqlStorage, row: Row[Any], log: SqlLog, between: tuple[int, int], told: Told) -> int:
    """Append what the copy has not yet, page by page; returns how many events that were."""
    start, stop = between
    summary, expected = _summary(row, COPYING), start
    for page in pages(source, row.id, start, stop):
        for number, _ in page:
            if number != expected:
                raise StorageError(
                    f"study {row.name!r} in {source.url} lacks event {expected}: see `rung storage check`"
                )
            expected += 1
        log.append_copied([event for _, event in page], summary)
        told(len(page))
    return expected - start


def _open_requests(source: SqlStorage, row: Row[Any]) -> list[dict[str, Any]]:
    columns = [request_table.c[name] for name in _COLUMNS]
    query = select(*columns).where(request_table.c.study_id == row.id, request_table.c.seq.is_(None))
    found = source.db.read(lambda connection: connection.execute(query.order_by(request_table.c.id)).all())
    return [dict(zip(_COLUMNS, values, strict=True)) for values in found]


def _requests(wanted: list[dict[str, Any]], connection: Connection, study: int) -> int:
    """Write down the open requests that the copy has not yet; returns how many."""
    new = []
    for values in wanted:
        same = select(request_table.c.id).where(
            request_table.c.study_id == study,
            *(request_table.c[name] == values[name] for name in ("request", "data", "time")),
        )
        if connection.execute(same).first() is None:
            new.append({**values, "study_id": study})
    if new:
        connection.execute(insert(request_table), new)
    return len(new)


def _summary(row: Row[Any], state: str | None = None) -> Summary:
    summary = Summary(*(getattr(row, field) for field in Summary.__struct_fields__))
    return msgspec.structs.replace(summary, state=state) if state else summary
