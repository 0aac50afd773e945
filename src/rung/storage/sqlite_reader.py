"""A SQLite file for those who only look, by the standard library alone; see `rung.storage.plain_reader`."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from rung.storage import lease, sqlite_opening
from rung.storage.lease import Holder
from rung.storage.plain_reader import Answer, PlainReader
from rung.storage.versions import VERSIONS

_BODIES: Final = "SELECT seq, body FROM events WHERE study_id = ? AND seq >= ? ORDER BY seq LIMIT ?"


def sqlite_reader(path: Path) -> SqliteReader | None:
    """The file `path`, to be read.

    Returns:
        None if it is not simply ours: missing, empty, of an older or newer rung, another program's,
        damaged. `rung.storage.sqlite.sqlite_storage` knows what to do then, and what to say.
    """
    whole = path.absolute()
    if not whole.is_file():
        return None
    try:
        connection = sqlite_opening.connect_reader(whole, sqlite_opening.BUSY)
    except sqlite3.Error:
        return None
    try:
        mark = connection.execute("PRAGMA application_id").fetchone()
        version = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        mark = version = None
    if mark == (sqlite_opening.APPLICATION,) and version == (VERSIONS[-1],):
        return SqliteReader(whole, connection)
    connection.close()
    return None


class SqliteReader(PlainReader):
    """See `rung.storage.base.Reader`.

    Args:
        path: the file, with tables of this version.
        connection: to it; closed by `close`.
    """

    MARK = "?"

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @property
    def url(self) -> str:
        return f"sqlite:///{self._path}"

    @property
    def files(self) -> Path:
        return self._path.with_name(f"{self._path.name}.files")

    @property
    def now(self) -> str:
        return repr(time.time())

    def process(self, now: float) -> Holder:
        return lease.this_process(now)

    def ask(self, query: str, values: Sequence[object]) -> Answer:
        with self._explained(), closing(self._connection.execute(query, values)) as found:
            return [column for column, *_ in found.description], found.fetchall()

    def bodies(self, study: int, start: int, most: int) -> Sequence[tuple[int, bytes]]:
        with self._explained(), closing(self._connection.execute(_BODIES, (study, start, most))) as found:
            return found.fetchall()

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise sqlite_opening.explain(self._path, sqlite_opening.BUSY, error) from error
