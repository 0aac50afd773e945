"""A PostgreSQL storage's URL: what connects to the server, where files lie, and what may be shown."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from rung.errors import StorageError

if TYPE_CHECKING:
    from sqlalchemy import URL

SCHEMA: Final = "rung"
DRIVERS: Final = ("postgresql", "postgres", "postgresql+psycopg")
_SECRETS: Final = ("password", "sslpassword")
_IDENTIFIER: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Place(NamedTuple):
    """Where a storage is.

    Attributes:
        connect: what SQLAlchemy connects to, with the password if the URL has one.
        schema: the namespace in the database in which the tables are.
        files: the folder in which each study has one of its own.
        shown: the URL that messages may show: it leads back here, without a password.
        server: the server and the database, as a sentence names them.
    """

    connect: URL
    schema: str
    files: Path
    shown: str
    server: str


def parse(text: str) -> Place:
    """The place that a URL names: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE?files=FOLDER&schema=NAME`.

    Other parameters (`sslmode=verify-full`) go to libpq, whose environment variables and password file count
    for what the URL leaves out.

    Raises:
        StorageError: it is no such URL. The sentence never quotes it: there may be a password in it.
    """
    url = _url(text)
    if url is None:
        raise StorageError(
            "this is no PostgreSQL URL: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and in the "
            "password %40 for @, %3A for :, %2F for /"
        )
    if url.drivername not in DRIVERS:
        raise StorageError(
            f"rung talks to PostgreSQL through psycopg: write postgresql://..., not {url.drivername}://..."
        )
    schema, files = _one(url, "schema") or SCHEMA, _one(url, "files")
    if not is_schema(schema):
        raise StorageError(f"schema={schema!r} names no schema: give small letters, digits and _")
    base = url.difference_update_query(["schema", "files"])
    connect = base.set(drivername="postgresql+psycopg")
    folder = files_folder(files)
    whole = url.update_query_dict({"files": str(folder)}) if files else url  # the same from any folder
    return Place(connect, schema, folder, _shown(whole), _server(base))


def without_password(text: str) -> str:
    """`text` as messages may show it, whatever it is: a path, a URL, or something that is neither."""
    if not re.match(r"postgres(ql)?(\+\w+)?:", text):
        return text
    url = _url(text)
    return "the PostgreSQL URL" if url is None else _shown(url)


def _url(text: str) -> URL | None:
    """`text` as a URL; None if it is none, or if a part of a password may have been taken for a host."""
    if text.partition("?")[0].count("@") > 1:
        return None
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        return None


def _shown(url: URL) -> str:
    from sqlalchemy import URL

    bare = url.difference_update_query(_SECRETS)
    return URL.create(
        "postgresql", bare.username, None, bare.host, bare.port, bare.database, bare.query
    ).render_as_string(hide_password=False)


def _one(url: URL, name: str) -> str | None:
    """A parameter that may be given once."""
    value = url.query.get(name)
    if isinstance(value, tuple):
        raise StorageError(f"the storage's URL gives {name} more than once")
    return value


def is_schema(name: str) -> bool:
    """Whether a namespace may be called so."""
    return _IDENTIFIER.fullmatch(name) is not None


def files_folder(given: str | None) -> Path:
    """The files' folder: the URL's, else that of `RUNG_FILES`, else one below the user's data."""
    chosen = given or os.environ.get("RUNG_FILES")
    if chosen:
        return Path(chosen).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "rung" / "files"


def _server(url: URL) -> str:
    host = url.host or _first(url.query.get("host")) or os.environ.get("PGHOST") or "this machine"
    port = url.port or _first(url.query.get("port")) or os.environ.get("PGPORT") or 5432
    return f"the PostgreSQL server at {host}, port {port}"


def _first(value: str | tuple[str, ...] | None) -> str | None:
    return value[0] if isinstance(value, tuple) else value
