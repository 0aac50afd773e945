"""A PostgreSQL database for those who only look, by psycopg alone; see `rung.storage.plain_reader`.

What is out of the ordinary (a URL that only SQLAlchemy reads, a server that does not answer, tables of
another version, a connection that breaks) is left to the storage, which knows what to do and what to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg

from rung.errors import StorageError
from rung.storage import lease
from rung.storage.lease import Holder
from rung.storage.plain_reader import Answer, PlainReader
from rung.storage.postgres_session import NOW, READ, SETTINGS, prepare
from rung.storage.postgres_url import DRIVERS, SCHEMA, files_folder, is_schema, parse
from rung.storage.versions import VERSIONS


class Target(NamedTuple):
    """What a URL names: the arguments of psycopg's `connect`, the namespace, the files' folder."""

    connect: dict[str, Any]
    schema: str
    files: Path


def postgres_reader(url: str) -> PostgresReader | None:
    """The database at `url`, to be read.

    Returns:
        None if it is not simply ours; `rung.storage.postgres.postgres_storage` has the sentence.
    """
    target = _target(url)
    if target is None:
        return None
    with suppress(psycopg.Error):
        connection = psycopg.connect(**{**SETTINGS, **target.connect}, autocommit=True)
        with suppress(psycopg.Error):
            prepare(connection, target.schema)
            version = connection.execute(f'SELECT version_num FROM "{target.schema}".alembic_version')
            if version.fetchone() == (VERSIONS[-1],):
                return PostgresReader(url, target.files, connection)
        connection.close()
    return None


def _target(text: str) -> Target | None:
    """The parts of a URL, read by the standard library; None if there is anything unusual in it."""
    bare, _, rest = text.partition("?")
    if bare.count("@") > 1 or "," in bare or "[" in bare or "#" in text:
        return None
    try:
        parts = urlsplit(bare)
        port = parts.port
        query = parse_qs(rest, keep_blank_values=True, strict_parsing=bool(rest))
    except ValueError:
        return None
    database = parts.path.removeprefix("/")
    if parts.scheme not in DRIVERS or not text.startswith(f"{parts.scheme}://") or "%" in database:
        return None
    if "host" in query or any(len(values) > 1 for values in query.values()):
        return None
    single = {name: values[0] for name, values in query.items()}
    schema, files = single.pop("schema", "") or SCHEMA, single.pop("files", "")
    if not is_schema(schema):
        return None
    given = {
        "host": parts.hostname,
        "port": port,
        "user": parts.username and unquote(parts.username),
        "password": parts.password and unquote(parts.password),
        "dbname": database,
    }
    connect = {name: value for name, value in given.items() if value}
    return Target({**connect, **single}, schema, files_folder(files))


class PostgresReader(PlainReader):
    """See `rung.storage.base.Reader`.

    Args:
        url: what was given, with a password if it has one.
        files: the folder in which each study has one of its own.
        connection: to a server with tables of this version; closed by `close`.
    """

    MARK = "%s"

    def __init__(self, url: str, files: Path, connection: psycopg.Connection[Any]) -> None:
        self._given = url
        self._files = files
        self._connection = connection

    @property
    def url(self) -> str:
        return parse(self._given).shown

    @property
    def files(self) -> Path:
        return self._files

    @property
    def now(self) -> str:
        return NOW

    def process(self, now: float) -> Holder:
        return lease.this_process_anywhere(now)

    def ask(self, query: str, values: Sequence[object]) -> Answer:
        return self._rows_of(query, values, binary=False)

    def bodies(self, study: int, start: int, most: int) -> Sequence[tuple[int, bytes]]:
        _, rows = self._rows_of(READ, (study, start, most), binary=True)
        return [(number, body) for number, body in rows]

    def close(self) -> None:
        self._connection.close()

    def _rows_of(self, query: str, values: Sequence[object], *, binary: bool) -> Answer:
        try:
            found = self._connection.execute(query, values, binary=binary)
            return _told(found)
        except psycopg.Error:
            return self._patiently(query, values, binary=binary)

    def _patiently(self, query: str, values: Sequence[object], *, binary: bool) -> Answer:
        """The same by the storage's connections: they wait for a lost server, and explain what stays."""
        from rung.storage.postgres import database
        from rung.storage.postgres_channel import run

        place = database(self._given, checked=False, met=True)
        try:
            return place.patiently(lambda one: _told(run(one, query, values, binary=binary)))
        finally:
            place.close()


def _told(found: psycopg.Cursor[Any]) -> Answer:
    if found.description is None:
        raise StorageError("a query that returns nothing was asked")
    return [column.name for column in found.description], found.fetchall()
