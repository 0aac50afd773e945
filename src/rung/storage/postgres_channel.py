"""How an open log writes to PostgreSQL: one statement an append, and what becomes of a lost connection.

An append is a single statement that commits by itself: one way to the server and back, and no transaction
is ever left open. It names the lease's token and the number of events that the log has, so that whatever
arrives late or twice changes nothing. Where the connection breaks before the server has answered, nobody
knows whether the statement was committed. The log then takes its own lease anew, with a token one higher:
from there on what was sent under the earlier token can do nothing any more, and the count of events says
what it did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec
import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from rung.errors import StorageError
from rung.storage.base import Summary
from rung.storage.database import Batch, Lease, OpenRequest, T
from rung.storage.postgres_session import NOW
from rung.storage.schema import events as event_table
from rung.storage.schema import requests as request_table
from rung.storage.schema import studies

_APPEND: Final = f"""
WITH held AS (
  UPDATE {studies.name} SET {", ".join(f"{field} = %s" for field in Summary.__struct_fields__)},
    events = %s, expires = {NOW} + %s
  WHERE id = %s AND token = %s AND events = %s RETURNING id
), put AS (
  INSERT INTO {event_table.name} (study_id, seq, kind, trial, body)
  SELECT held.id, new.* FROM held, unnest(%b::bigint[], %b::smallint[], %b::bigint[], %b::bytea[]) AS new
), folded AS (
  UPDATE {request_table.name} SET seq = taken.seq
  FROM held, unnest(%b::bigint[], %b::bigint[]) AS taken(seq, id)
  WHERE {request_table.name}.id = taken.id AND study_id = held.id
)
SELECT count(*) FROM held
"""
_RENEW: Final = f"UPDATE {studies.name} SET expires = {NOW} + %s WHERE id = %s AND token = %s"
_AGAIN: Final = f"""
UPDATE {studies.name} SET token = token + 1, expires = {NOW} + %s
WHERE id = %s AND token >= %s AND (host, space, pid, started, since) = (%s, %s, %s, %s, %s)
RETURNING token, events
"""
_FREE: Final = f"""
UPDATE {studies.name} SET host = NULL, space = NULL, pid = NULL, started = NULL, since = NULL, expires = NULL
WHERE id = %s AND token = %s
"""
_OPEN: Final = f"""
SELECT id, request, data, %s - ({NOW} - time) FROM {request_table.name}
WHERE study_id = %s AND id > %s AND seq IS NULL ORDER BY id
"""


class Server(Protocol):
    """What a channel needs of the database."""

    def patiently(self, work: Callable[[Connection], T], study: str | None = None) -> T:
        """Run `work` on a connection that commits each statement, again where a connection was lost."""

    def at_once(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, one try, whatever it raises."""

    def clock(self) -> float:
        """This process's seconds since the epoch."""


class PostgresChannel:
    """See `rung.storage.database.Channel`. Connections are borrowed for each call: a study holds none."""

    def __init__(self, server: Server, study: str) -> None:
        self._server = server
        self._study = study

    def append(self, lease: Lease, batch: Batch) -> bool:
        if lease.unsure is not None:
            self._find_out(lease)
        sent = False

        def write(connection: Connection) -> bool:
            nonlocal sent
            if sent and (settled := self._settle(connection, lease, batch)) is not None:
                return settled
            sent = True
            return _append(connection, lease, batch)

        try:
            return self._server.patiently(write, self._study)
        except BaseException:  # an interrupt, too, leaves it open whether the commit came about
            lease.unsure = (batch.start, len(batch.rows)) if sent and batch.rows else None
            raise

    def _settle(self, connection: Connection, lease: Lease, batch: Batch) -> bool | None:
        """What became of a batch that was sent before the connection broke; None: send it again."""
        count = _take_again(connection, lease)
        if count is None:
            return False
        return True if batch.rows and count == batch.start + len(batch.rows) else None

    def _find_out(self, lease: Lease) -> None:
        """Refuse to go on behind events that arrived without anybody's knowing: nobody has folded them.

        Raises:
            StorageError: they did arrive.
        """
        count = self._server.patiently(lambda connection: _take_again(connection, lease), self._study)
        assert lease.unsure is not None
        start, size = lease.unsure
        if count == start + size:
            raise StorageError(
                f"study {lease.name!r}: the connection was lost while {size} events were written, and they "
                "did arrive: open the study again to go on behind them"
            )
        lease.unsure = None

    def renew(self, lease: Lease) -> bool:
        values = (lease.seconds, lease.study, lease.token)
        return self._run(_RENEW, values).rowcount > 0

    def requests(self, study: int, after: int) -> Sequence[OpenRequest]:
        values = (self._server.clock(), study, after)
        return [OpenRequest(*row) for row in self._run(_OPEN, values)]

    def read(self, work: Callable[[Connection], T]) -> T:
        return self._server.patiently(work, self._study)

    def give_back(self, lease: Lease) -> None:
        values = (lease.study, lease.token)
        with suppress(DBAPIError, psycopg.Error):  # the server is away: the lease ends with this process
            self._server.at_once(lambda connection: run(connection, _FREE, values))

    def _run(self, statement: str, values: Sequence[Any]) -> psycopg.Cursor[Any]:
        return self._server.patiently(lambda connection: run(connection, statement, values), self._study)


def run(
    connection: Connection, statement: str, values: Sequence[Any], *, binary: bool = False
) -> psycopg.Cursor[Any]:
    """A statement in the driver's own words, and its cursor."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver.execute(statement, values, binary=binary)


def _append(connection: Connection, lease: Lease, batch: Batch) -> bool:
    rows, count = batch.rows, batch.start + len(batch.rows)
    values = (
        *msgspec.structs.astuple(batch.summary),
        *(count, lease.seconds, lease.study, lease.token, batch.start),
        *([row[column] for row in rows] for column in (1, 2, 3, 4)),
        *([pair[column] for pair in batch.folded] for column in (0, 1)),
    )
    return any(held for (held,) in run(connection, _APPEND, values))


def _take_again(connection: Connection, lease: Lease) -> int | None:
    """Give the lease that we hold the next token, and count the events; None if it is ours no more."""
    row = run(connection, _AGAIN, (lease.seconds, lease.study, lease.token, *lease.holder)).fetchone()
    if row is None:
        return None
    lease.token = row[0]
    return int(row[1])
