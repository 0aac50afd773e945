"""One study's log in a SQLite file, open for writing: the fast way in, and the pages that lead out."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import DBAPIError

from rung.errors import LeaseError, StorageError
from rung.storage.base import Request, Summary
from rung.storage.database import Database
from rung.storage.lease import Holder
from rung.storage.requests import folded_ids, unpack
from rung.storage.schema import KINDS, studies
from rung.storage.schema import events as event_table
from rung.storage.schema import requests as request_table
from rung.trials.codec import decode_all, encode
from rung.trials.events import Event

_PAGE: Final = 4096  # events read at once; a reader holds no snapshot between pages
_RENEWALS: Final = 4  # heartbeats that write, in the time of one lease

INSERT_EVENT: Final = (
    f"INSERT INTO {event_table.name} ({', '.join(event_table.c.keys())}) VALUES (?, ?, ?, ?, ?)"
)
_UPDATE: Final = (
    f"UPDATE {studies.name} SET {', '.join(f'{field} = ?' for field in Summary.__struct_fields__)},"
    " events = ?, expires = ? WHERE id = ? AND token = ?"
)
_FOLDED: Final = f"UPDATE {request_table.name} SET seq = ? WHERE id = ? AND study_id = ?"
_OPEN: Final = (
    f"SELECT id, request, data, time FROM {request_table.name}"
    " WHERE study_id = ? AND id > ? AND seq IS NULL ORDER BY id"
)
_READ: Final = (
    f"SELECT body FROM {event_table.name} WHERE study_id = ? AND seq >= ? ORDER BY seq LIMIT {_PAGE}"
)

_Row = tuple[int, int, int, int | None, bytes]

_NOBODY: Final = dict.fromkeys(("host", "space", "pid", "started", "since", "expires"))


class Terms(NamedTuple):
    """How leases are held: for how long, by which clock, and by whom."""

    seconds: float
    clock: Callable[[], float]
    process: Callable[[float], Holder]

    def lease(self, now: float) -> dict[str, Any]:
        """The columns of a lease taken now by this process."""
        return {**self.process(now)._asdict(), "expires": now + self.seconds}


class SqliteLog:
    """One study's log, open for writing by the holder of lease `token`. See `rung.storage.base.Log`.

    May be used from several threads. A log that is left without `close` gives its lease back when it is
    collected, or at the process's end.
    """

    def __init__(self, db: Database, terms: Terms, study: int, key: str, name: str, token: int) -> None:
        self.key = key
        self._db = db
        self._terms = terms
        self._study = study
        self._name = name
        self._token = token
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._handed = 0  # id of the last request handed out
        self._next: int | None = None  # number of the next event; None: to be looked up
        self._renewed = terms.clock()
        self._reader = db.reader()
        self._writer = db.writer()
        self._give_back = weakref.finalize(
            self, _give_back, self._reader, self._writer, study, token, self._pid
        )
        _live[key, token] = self

    @property
    def folder(self) -> Path:
        folder = folder_of(self._db, self.key)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def append(self, events: Sequence[Event], summary: Summary) -> None:
        self._usable()
        with self._lock, self._db.explained(self._name):
            start = self._next if self._next is not None else self._count()
            rows = encoded_rows(self._study, start, events)
            self._next = None  # whatever interrupts the commit, the next append looks
            self._write(rows, start, events, summary)
            self._next = start + len(rows)

    def _write(self, rows: list[_Row], start: int, events: Sequence[Event], summary: Summary) -> None:
        now = self._terms.clock()
        run = self._writer.exec_driver_sql
        with self._writer.begin():
            fields = msgspec.structs.astuple(summary)
            changed = run(
                _UPDATE, (*fields, start + len(rows), now + self._terms.seconds, self._study, self._token)
            )
            if changed.rowcount == 0:
                raise self._lost()
            if rows:
                run(INSERT_EVENT, rows)
            if folded := [(seq, number, self._study) for seq, number in folded_ids(events, start)]:
                run(_FOLDED, folded)
        self._renewed = now

    def read(self, start: int = 0) -> Iterator[Event]:
        return read_events(self._db, self._study, start)

    def requests(self) -> list[Request]:
        self._usable()
        with self._lock, self._db.explained(self._name):
            rows = self._reader.exec_driver_sql(_OPEN, (self._study, self._handed)).all()
        if rows:
            self._handed = rows[-1].id
        return [Request(row.id, row.request, unpack(row.data), row.time) for row in rows]

    def heartbeat(self) -> None:
        self._usable()
        now = self._terms.clock()
        if abs(now - self._renewed) < self._terms.seconds / _RENEWALS:
            return
        lease = update(studies).where(studies.c.id == self._study, studies.c.token == self._token)
        with self._lock, self._db.explained(self._name), self._writer.begin():
            if self._writer.execute(lease.values(expires=now + self._terms.seconds)).rowcount == 0:
                raise self._lost()
        self._renewed = now

    def close(self) -> None:
        with self._lock:
            _live.pop((self.key, self._token), None)
            self._give_back()

    @property
    def live(self) -> bool:
        """Whether it is open, in this very process."""
        return self._give_back.alive and os.getpid() == self._pid

    @staticmethod
    def close_all(db: Database) -> None:
        """Close the logs of this database that are open in this process."""
        for log in list(_live.values()):
            if log._db is db:
                log.close()

    def _usable(self) -> None:
        if not self._give_back.alive:
            raise StorageError(f"the log of study {self._name!r} is closed: open the study again")
        if os.getpid() != self._pid:
            raise StorageError(
                f"study {self._name!r} was opened before this process was forked: open it here"
            )

    def _count(self) -> int:
        row = self._writer.execute(select(studies.c.events).where(studies.c.id == self._study)).one_or_none()
        self._writer.rollback()
        return 0 if row is None else row.events

    def _lost(self) -> LeaseError:
        """Why the lease's token is no longer good."""
        row = self._writer.execute(select(studies).where(studies.c.id == self._study)).one_or_none()
        if row is None:
            return LeaseError(f"study {self._name!r} was deleted by another process: nothing was written")
        by = "another process, which has ended"
        if row.host is not None:
            by = str(Holder(row.host, row.space, row.pid, row.started, row.since))
        return LeaseError(f"study {self._name!r} was taken over by {by}: nothing was written")


_live: weakref.WeakValueDictionary[tuple[str, int], SqliteLog] = weakref.WeakValueDictionary()


def is_live(key: str, token: int) -> bool:
    """Whether this process has the log open that holds this lease."""
    log = _live.get((key, token))
    return log is not None and log.live


def folder_of(db: Database, key: str) -> Path:
    """Where a study's files lie."""
    return db.path.with_name(f"{db.path.name}.files") / key


def encoded_rows(study: int, start: int, events: Sequence[Event]) -> list[_Row]:
    """The events as rows of the table, the first of them number `start`."""
    return [
        (study, seq, KINDS[type(event)], getattr(event, "trial", None), encode(event))
        for seq, event in enumerate(events, start)
    ]


def read_events(db: Database, study: int, start: int) -> Iterator[Event]:
    """The events from number `start` on, a page at a time: no reader holds the log up."""
    while True:
        with db.reading() as connection:
            bodies = connection.exec_driver_sql(_READ, (study, start)).scalars().all()
        yield from decode_all(len(bodies), b"".join(bodies))
        if len(bodies) < _PAGE:
            return
        start += _PAGE


def _give_back(reader: Connection, writer: Connection, study: int, token: int, owner: int) -> None:
    """Free the lease and close the connections, unless this is a fork of the process that owns them.

    The writer's goes last: if nobody else has the file open, SQLite then moves the WAL into it.
    """
    if os.getpid() != owner:
        return
    try:
        with writer.begin():
            mine = (studies.c.id == study) & (studies.c.token == token)
            writer.execute(update(studies).where(mine).values(_NOBODY))
    except DBAPIError:
        pass  # a full disk, a file that is gone: the lease then ends with this process
    finally:
        reader.close()
        writer.close()
