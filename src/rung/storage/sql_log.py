"""One study's log in an SQL database, open for writing: the fast way in, and the pages that lead out."""

from __future__ import annotations

import os
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select

from rung.errors import LeaseError, StorageError
from rung.storage.base import Request, Summary
from rung.storage.database import Batch, Channel, Database, Lease, StoredEvent, encoded_rows
from rung.storage.lease import Holder
from rung.storage.reading import read_events
from rung.storage.requests import folded_ids, unpack
from rung.storage.schema import studies
from rung.trials.events import Event

_RENEWALS: Final = 4  # heartbeats that write, in the time of one lease


class Terms(NamedTuple):
    """How leases are held: for how long, by which clock of this process, and by whom."""

    seconds: float
    clock: Callable[[], float]
    process: Callable[[float], Holder]


class SqlLog:
    """One study's log, open for writing by the holder of a lease. See `rung.storage.base.Log`.

    May be used from several threads. A log that is left without `close` gives its lease back when it is
    collected, or at the process's end.
    """

    def __init__(self, db: Database, terms: Terms, lease: Lease) -> None:
        self._db = db
        self._terms = terms
        self._lease = lease
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._handed = 0  # id of the last request handed out
        self._next: int | None = None  # number of the next event; None: to be looked up
        self._renewed = terms.clock()
        self._channel = db.channel(lease.name)
        self._give_back = weakref.finalize(self, _give_back, self._channel, lease, self._pid)
        _live[lease.key].add(self)

    @property
    def key(self) -> str:
        return self._lease.key

    @property
    def folder(self) -> Path:
        folder = self._db.files / self._lease.key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def append(self, events: Sequence[Event], summary: Summary) -> None:
        def batch(start: int) -> Batch:
            rows = encoded_rows(self._lease.study, start, events)
            return Batch(start, rows, folded_ids(events, start), summary)

        self._put(batch)

    def append_copied(self, rows: Sequence[StoredEvent], summary: Summary) -> None:
        """Append events of another storage as they lie there; what they took up there is nothing to us."""
        study = self._lease.study
        self._put(
            lambda start: Batch(start, [(study, start + i, *row) for i, row in enumerate(rows)], [], summary)
        )

    def _put(self, make: Callable[[int], Batch]) -> None:
        self._usable()
        with self._lock:
            batch = make(self._next if self._next is not None else self._count())
            self._next = None  # whatever interrupts the commit, the next append looks
            now = self._terms.clock()
            if not self._channel.append(self._lease, batch):
                raise self._lost()
            self._next = batch.start + len(batch.rows)
            self._renewed = now

    def read(self, start: int = 0) -> Iterator[Event]:
        row = self._db.read(self._look)  # not by the channel: also once it is closed
        return iter(()) if row is None else read_events(self._db, row, start)

    def requests(self) -> list[Request]:
        self._usable()
        with self._lock:
            rows = self._channel.requests(self._lease.study, self._handed)
            if rows:
                self._handed = rows[-1].id
        return [Request(row.id, row.request, unpack(row.data), row.time) for row in rows]

    def heartbeat(self) -> None:
        self._usable()
        now = self._terms.clock()
        if abs(now - self._renewed) < self._lease.seconds / _RENEWALS:
            return
        with self._lock:
            if not self._channel.renew(self._lease):
                raise self._lost()
        self._renewed = now

    def close(self) -> None:
        with self._lock:
            _live[self._lease.key].discard(self)
            self._give_back()

    @property
    def live(self) -> bool:
        """Whether it is open, in this very process."""
        return self._give_back.alive and os.getpid() == self._pid

    @staticmethod
    def close_all(db: Database) -> None:
        """Close the logs of this database that are open in this process."""
        for log in [log for logs in list(_live.values()) for log in logs if log._db is db]:
            log.close()

    def _usable(self) -> None:
        name = self._lease.name
        if not self._give_back.alive:
            raise StorageError(f"the log of study {name!r} is closed: open the study again")
        if os.getpid() != self._pid:
            raise StorageError(f"study {name!r} was opened before this process was forked: open it here")

    def _row(self) -> Row[Any] | None:
        return self._channel.read(self._look)

    def _look(self, connection: Connection) -> Row[Any] | None:
        return connection.execute(select(studies).where(studies.c.id == self._lease.study)).one_or_none()

    def _count(self) -> int:
        row = self._row()
        return 0 if row is None else int(row.events)

    def _lost(self) -> LeaseError:
        """Why the lease's token is no longer good."""
        row, name = self._row(), self._lease.name
        if row is None:
            return LeaseError(f"study {name!r} was deleted by another process: nothing was written")
        by = "another process, which has ended"
        if row.host is not None:
            by = str(Holder(row.host, row.space, row.pid, row.started, row.since))
        return LeaseError(f"study {name!r} was taken over by {by}: nothing was written")


_live: defaultdict[str, weakref.WeakSet[SqlLog]] = defaultdict(weakref.WeakSet)  # by the study's key


def is_live(key: str, token: int) -> bool:
    """Whether this process has the log open that holds this lease."""
    return key in _live and any(log.live and log._lease.token == token for log in _live[key])


def _give_back(channel: Channel, lease: Lease, owner: int) -> None:
    """Free the lease, unless this is a fork of the process that holds it."""
    if os.getpid() == owner:
        channel.give_back(lease)
