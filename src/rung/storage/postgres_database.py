"""One namespace of a PostgreSQL database: connections with their settings, and patience with the server.

Connections are pooled, and each commits every statement by itself unless it is asked for a transaction. Where
the server is lost (restarted, failed over, a cable), everything is tried again for some seconds: reading is
harmless, and what is written bears being written twice.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event, literal_column
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from rung.errors import StorageError
from rung.storage import postgres_schema
from rung.storage.database import T
from rung.storage.postgres_channel import PostgresChannel, run
from rung.storage.postgres_errors import Around, explain, is_lost, passes
from rung.storage.postgres_session import NOW, READ, SETTINGS, prepare
from rung.storage.postgres_url import Place

_PAUSES: Final = (0.05, 1.0)  # seconds before the first try anew, and at most before any
_POOL: Final = {"pool_size": 4, "max_overflow": 12, "pool_timeout": 60.0, "pool_use_lifo": True}


class PostgresDatabase:
    """See `rung.storage.database.Database`.

    Args:
        place: the server, the namespace, the files.
        patience: seconds in which a server that was there before may come back.
        clock: this process's clock, seconds since the epoch; leases are judged by the server's.
        checked: False to look at the tables later.
        met: the server has let this process in before, so that it is waited for.

    Raises:
        StorageError: it cannot be reached, does not let us in, or has others' tables there.
    """

    def __init__(
        self,
        place: Place,
        patience: float,
        clock: Callable[[], float] = time.time,
        *,
        checked: bool = True,
        met: bool = False,
    ) -> None:
        self.place = place
        self.clock = clock
        self._patience = patience
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._met = met
        self._ready = False
        self._engine = self._make_engine()
        self._dispose = weakref.finalize(self, _dispose, self._engine, self._pid)
        try:
            if checked:
                self.ready()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return self.place.shown

    @property
    def files(self) -> Path:
        return self.place.files

    def ready(self) -> bool:
        """Whether the tables are there, and ours.

        Raises:
            StorageError: they are another program's, or of another version of rung.
        """
        if not self._ready:
            state = self.patiently(lambda connection: postgres_schema.look(connection, self.place.schema))
            self._ready = postgres_schema.is_current(state, self.place)
        return self._ready

    def prepare(self) -> None:
        if not self.ready():
            self.write(lambda connection: postgres_schema.make(connection, self.place))
            self._ready = True

    def read(self, work: Callable[[Connection], T]) -> T:
        return self.patiently(work)

    def write(self, work: Callable[[Connection], T]) -> T:
        return self._try(lambda: self._in_transaction(work), None)

    def now(self) -> ColumnElement[float]:
        return literal_column(NOW)

    def bodies(self, study: int, start: int, most: int) -> Sequence[tuple[int, bytes]]:
        return self.patiently(lambda one: run(one, READ, (study, start, most), binary=True).fetchall())

    def channel(self, study: str) -> PostgresChannel:
        return PostgresChannel(self, study)

    def patiently(self, work: Callable[[Connection], T], study: str | None = None) -> T:
        """Run `work` on a connection that commits each statement, again where a connection was lost.

        Raises:
            StorageError: the server did not come back, or refused the work; `study` is the one being written.
        """
        return self._try(lambda: self.at_once(work), study)

    def at_once(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, one try, whatever it raises."""
        with self._own_engine().connect() as connection:
            self._met = True
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            try:
                return work(connection)
            finally:
                if driver.closed or driver.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                    connection.invalidate()  # an interrupt left it in the middle of a statement

    def close(self) -> None:
        _dispose(self._engine, self._pid)

    def _in_transaction(self, work: Callable[[Connection], T]) -> T:
        engine = self._own_engine().execution_options(isolation_level="READ COMMITTED")
        with engine.connect() as connection, connection.begin():
            self._met = True
            return work(connection)

    def _try(self, act: Callable[[], T], study: str | None) -> T:
        pause, longest = _PAUSES
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return act()
            except IntegrityError:
                raise
            except (DBAPIError, psycopg.Error) as error:
                if is_lost(error):
                    self._own_engine().dispose()  # the other connections are lost as well
                if not self._met or not passes(error) or time.monotonic() + pause > deadline:
                    raise explain(error, self._around(study)) from error
            except PoolTimeoutError as error:
                raise StorageError(
                    f"{self.place.server}: all connections of this process are busy"
                ) from error
            time.sleep(pause)
            pause = min(2 * pause, longest)

    def _around(self, study: str | None) -> Around:
        url = self.place.connect
        resume = f"`rung resume {study}`" if study else "try again"
        user = url.username or os.environ.get("PGUSER") or os.environ.get("USER") or "?"
        return Around(self.place.server, user, url.database or user, resume)

    def _own_engine(self) -> Engine:
        """The engine of this process: a fork leaves its parent's connections alone."""
        if os.getpid() != self._pid:
            with self._lock:
                if os.getpid() != self._pid:
                    self._engine.dispose(close=False)
                    self._pid = os.getpid()
        return self._engine

    def _make_engine(self) -> Engine:
        settings = {name: value for name, value in SETTINGS.items() if name not in self.place.connect.query}
        engine = create_engine(
            self.place.connect,
            isolation_level="AUTOCOMMIT",
            connect_args=settings,
            hide_parameters=True,
            **_POOL,
        )

        @event.listens_for(engine, "connect")
        def _connected(connection: Any, _record: object) -> None:
            prepare(connection, self.place.schema)

        return engine


def _dispose(engine: Engine, owner: int) -> None:
    """Close the connections, unless this is a fork of the process that owns them."""
    if os.getpid() == owner:
        engine.dispose()
