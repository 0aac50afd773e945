"""How an open log writes to SQLite: one transaction an append, on a connection that it keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, update
from sqlalchemy.exc import DBAPIError

from rung.storage.base import Summary
from rung.storage.database import Batch, Lease, OpenRequest, T, placeholders
from rung.storage.schema import events as event_table
from rung.storage.schema import requests as request_table
from rung.storage.schema import studies

_EVENTS: Final = event_table.c.keys()
_INSERT: Final = (
    f"INSERT INTO {event_table.name} ({', '.join(_EVENTS)}) VALUES ({placeholders(_EVENTS, '?')})"
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
NOBODY: Final = dict.fromkeys(("host", "space", "pid", "started", "since", "expires"))
"""The columns of a lease that nobody holds."""


class SqliteChannel:
    """Two connections to one file. See `rung.storage.database.Channel`.

    Args:
        reader: a connection that only reads.
        writer: a connection that begins each transaction with the right to write.
        clock: seconds since the epoch.
        explained: turns SQLite's errors into sentences.
    """

    def __init__(
        self,
        reader: Connection,
        writer: Connection,
        clock: Callable[[], float],
        explained: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._clock = clock
        self._explained = explained

    def append(self, lease: Lease, batch: Batch) -> bool:
        run = self.writer.exec_driver_sql
        count, expires = batch.start + len(batch.rows), self._clock() + lease.seconds
        fields = msgspec.structs.astuple(batch.summary)
        self._afresh()
        with self._explained(), self.writer.begin():
            changed = run(_UPDATE, (*fields, count, expires, lease.study, lease.token))
            if changed.rowcount == 0:
                return False
            if batch.rows:
                run(_INSERT, batch.rows)
            if batch.folded:
                run(_FOLDED, [(seq, number, lease.study) for seq, number in batch.folded])
        return True

    def _afresh(self) -> None:
        """End a transaction that an interrupt has cut short."""
        if self.writer.in_transaction():
            self.writer.rollback()

    def renew(self, lease: Lease) -> bool:
        self._afresh()
        with self._explained():
            return self._set(lease, {"expires": self._clock() + lease.seconds}) > 0

    def requests(self, study: int, after: int) -> Sequence[OpenRequest]:
        with self._explained():
            return [OpenRequest(*row) for row in self.reader.exec_driver_sql(_OPEN, (study, after))]

    def read(self, work: Callable[[Connection], T]) -> T:
        with self._explained():
            return work(self.reader)

    def give_back(self, lease: Lease) -> None:
        """The writer's goes last: if nobody else has the file open, SQLite then moves the WAL into it."""
        try:
            self._set(lease, NOBODY)
        except DBAPIError:
            pass  # a full disk, a file that is gone: the lease then ends with this process
        finally:
            self.reader.close()
            self.writer.close()

    def _set(self, lease: Lease, values: dict[str, Any]) -> int:
        """Change the study's row, if the lease is good; returns how many rows that were."""
        mine = (studies.c.id == lease.study) & (studies.c.token == lease.token)
        with self.writer.begin():
            return self.writer.execute(update(studies).where(mine).values(values)).rowcount
