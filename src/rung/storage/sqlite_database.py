"""One SQLite file: its connections with their settings, and what its errors mean.

WAL, so that readers and the writer never wait for each other; synchronous FULL, so that a commit survives a
power cut; BEGIN IMMEDIATE, so that a writer waits its turn instead of failing half way. Readers open the file
read-only and never checkpoint. Only a study's writer checkpoints (SQLite up to 3.51.2 can corrupt a WAL that
two connections checkpoint at once).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, Float, create_engine, event, literal
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from rung.errors import StorageError
from rung.storage import schema, sqlite_opening
from rung.storage.database import T
from rung.storage.schema import events as event_table
from rung.storage.sqlite_channel import SqliteChannel

_READ: Final = (
    f"SELECT seq, body FROM {event_table.name} WHERE study_id = ? AND seq >= ? ORDER BY seq LIMIT ?"
)
CHECKPOINT_PAGES: Final = 1000  # the writer moves the WAL into the database when it has this many pages
_PAUSE = 0.02  # seconds between two tries to get a lock that SQLite does not wait for itself


class SqliteDatabase:
    """A file that may not exist yet; `ready` tells whether it does. See `rung.storage.database.Database`.

    The studies' files lie in `PATH.files/<key>/`.

    Args:
        path: the file; its folder must exist.
        busy: seconds to wait for another process's write.
        clock: seconds since the epoch: leases are judged by it.

    Raises:
        StorageError: the file is no database of ours, or there can be none in this place.
    """

    def __init__(self, path: Path, busy: float, clock: Callable[[], float] = time.time) -> None:
        self.path = path.absolute()
        self.files = self.path.with_name(f"{self.path.name}.files")
        self.clock = clock
        self._busy = busy
        self._ready = False
        self.found: str | None = None  # the version of the tables that were there when it was opened
        sqlite_opening.check_place(self.path)
        self._readers = create_engine(
            "sqlite://", creator=self._connect_reader, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        self._writers = create_engine("sqlite://", creator=self._connect_writer, poolclass=NullPool)
        _begin_immediately(self._writers)
        self.ready()

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def ready(self) -> bool:
        """Whether the file exists and has our tables; brings older tables up to date.

        Raises:
            StorageError: it is something else.
        """
        if not self._ready and self.path.exists() and self.path.stat().st_size > 0:
            self._ready = self._check()
        return self._ready

    def prepare(self) -> None:
        """Make the file and its tables, unless they are there."""
        if self.ready():
            return
        self._make()
        self._ready = True

    def now(self) -> ColumnElement[float]:
        return literal(self.clock(), Float)

    def read(self, work: Callable[[Connection], T]) -> T:
        with self.reading() as connection:
            return work(connection)

    def write(self, work: Callable[[Connection], T]) -> T:
        with self.writing() as connection:
            return work(connection)

    def bodies(self, study: int, start: int, most: int) -> Sequence[tuple[int, bytes]]:
        with self.reading() as connection:
            return [(row[0], row[1]) for row in connection.exec_driver_sql(_READ, (study, start, most))]

    def channel(self, study: str) -> SqliteChannel:
        return SqliteChannel(self.reader(), self.writer(), self.clock, lambda: self.explained(study))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that can only read, each query a snapshot of its own."""
        with self.explained(), self._readers.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection inside a transaction that commits at the end of the block."""
        with self.explained(), self._writers.connect() as connection, connection.begin():
            yield connection

    def reader(self) -> Connection:
        """A connection for reading that the caller keeps, and closes."""
        with self.explained():
            return self._readers.connect()

    def writer(self) -> Connection:
        """The connection that a study's writer keeps: the only kind that checkpoints."""
        with self.explained():
            connection = self._writers.connect()
            _driver(connection).execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            return connection

    @contextmanager
    def explained(self, study: str | None = None) -> Iterator[None]:
        """Turn the database's errors into one sentence each; `study` is the one being written.

        Raises:
            StorageError: whatever the database raised inside the block.
        """
        try:
            yield
        except DBAPIError as error:
            raise self._explain(error.orig, study) from error
        except sqlite3.Error as error:
            raise self._explain(error, study) from error

    def close(self) -> None:
        self._readers.dispose()
        self._writers.dispose()

    def _check(self) -> bool:
        with self.reading() as connection:
            if schema.is_empty(connection):  # another process is making it just now, or it was left so
                return False
            version = self.found = schema.version_of(connection, str(self.path))
        if version != schema.VERSION:
            with self.writing() as connection:
                if schema.version_of(connection, str(self.path)) != schema.VERSION:
                    schema.upgrade(connection)
        return True

    def _make(self) -> None:
        """Make the tables in one transaction; of several processes that try, one does."""
        maker = create_engine("sqlite://", creator=lambda: self._open("rwc"), poolclass=NullPool)
        _begin_immediately(maker)
        with self.explained(), maker.connect() as connection, connection.begin():
            if schema.is_empty(connection):
                schema.create(connection)
            else:
                schema.version_of(connection, str(self.path))

    def _switch_to_wal(self, connection: sqlite3.Connection) -> None:
        """Once for a new file, which remembers it; patiently, since SQLite does not wait here by itself."""
        deadline = time.monotonic() + self._busy
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if sqlite_opening.error_name(error) != "SQLITE_BUSY" or time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE)

    def _connect_reader(self) -> sqlite3.Connection:
        return sqlite_opening.connect_reader(self.path, self._busy)

    def _connect_writer(self) -> sqlite3.Connection:
        connection = self._open("rw")
        try:
            self._switch_to_wal(connection)
            for setting in ("synchronous = FULL", "foreign_keys = ON", "wal_autocheckpoint = 0"):
                connection.execute(f"PRAGMA {setting}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self, mode: str) -> sqlite3.Connection:
        return sqlite_opening.connect(self.path, mode, self._busy)

    def _explain(self, error: BaseException | None, study: str | None) -> StorageError:
        return sqlite_opening.explain(self.path, self._busy, error, study)


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _begin_immediately(engine: Engine) -> None:
    """Let each transaction of this engine begin with the right to write."""

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
