"""A SQLite file for those who only look: the studies and their logs, by the standard library alone.

SQLAlchemy takes a third of a second to import, which is most of what `rung list` would take.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from rung.storage import lease, sqlite_opening
from rung.storage.base import StudyRow
from rung.storage.names import missing
from rung.storage.reading import read_events, study_row
from rung.storage.versions import VERSIONS
from rung.trials.events import Event

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


class SqliteReader:
    """The reading half of a storage, see `rung.storage.base.Reader`.

    Args:
        path: the file, with tables of this version.
        connection: to it; closed by `close`.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @property
    def url(self) -> str:
        return f"sqlite:///{self._path}"

    def list(self, limit: int | None = None) -> Sequence[StudyRow]:
        """All studies, newest first; at most `limit`."""
        me = lease.this_process(time.time())
        rows = self._rows("ORDER BY id DESC LIMIT ?", -1 if limit is None else limit)
        return [study_row(row, me, _is_live) for row in rows]

    def find(self, name: str) -> StudyRow | None:
        row = self._row(name)
        return None if row is None else study_row(row, lease.this_process(row.now), _is_live)

    def read(self, name: str, start: int = 0) -> Iterator[Event]:
        return read_events(self, self._known(name), start)

    def bodies(self, study: int, start: int, most: int) -> Sequence[tuple[int, bytes]]:
        with self._explained(), closing(self._connection.execute(_BODIES, (study, start, most))) as found:
            return found.fetchall()

    def folder(self, name: str) -> Path:
        return self._path.with_name(f"{self._path.name}.files") / str(self._known(name).key)

    def close(self) -> None:
        self._connection.close()

    def _known(self, name: str) -> Any:
        row = self._row(name)
        if row is None:
            raise missing(name, [other.name for other in self._rows("ORDER BY id DESC")], self.url)
        return row

    def _row(self, name: str) -> Any:
        return next(iter(self._rows("WHERE name = ?", name)), None)

    def _rows(self, which: str, *values: object) -> Sequence[Any]:
        """Rows of the table of studies, each with the time `now`."""
        query = f"SELECT *, ? AS now FROM studies {which}"  # `which` is a text of this file
        with self._explained(), closing(self._connection.execute(query, (time.time(), *values))) as found:
            names = [column for column, *_ in found.description]
            return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in found]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise sqlite_opening.explain(self._path, sqlite_opening.BUSY, error) from error


def _is_live(key: str, token: int) -> bool:
    """Asked only where this very process holds the lease, or did: then SQLAlchemy is loaded already."""
    from rung.storage.sql_log import is_live

    return is_live(key, token)
