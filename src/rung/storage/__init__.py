"""How a study survives: the places where its log and its files lie."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import Final

from rung.errors import StorageError
from rung.storage.base import Log, Reader, Request, Storage, StudyRow, Summary

__all__ = ["Log", "Reader", "Request", "Storage", "StudyRow", "Summary", "open_reader", "open_storage"]

_SUFFIXES: Final = (".db", ".sqlite", ".sqlite3")


def open_storage(url: str | os.PathLike[str]) -> Storage:
    """The storage at `url`: "memory" (a new one each time), a file, or a PostgreSQL database.

    A file is "sqlite:///FILE" or a bare path (.db, .sqlite); a database is
    "postgresql://USER:PASSWORD@HOST:PORT/DATABASE", see `rung.storage.postgres_url.parse`. What does not
    exist yet, a file or the tables in a database, is made when its first study is created. SQLAlchemy is
    imported here, and not for memory.

    Raises:
        StorageError: there can be no storage of ours in that place.
    """
    text = os.fspath(url)
    if text == "memory":
        from rung.storage.memory import MemoryStorage

        return MemoryStorage()
    if is_postgres(text):
        from rung.storage.postgres import postgres_storage

        return postgres_storage(text)
    path = sqlite_file(text)
    from rung.storage.sqlite import sqlite_storage

    return sqlite_storage(path)


def open_reader(url: str | os.PathLike[str]) -> Reader:
    """The storage at `url`, to look at its studies; see `open_storage`.

    It is read without SQLAlchemy, where it has the tables of this version.

    Raises:
        StorageError: there can be no storage of ours in that place.
    """
    text = os.fspath(url)
    return _plain_reader(text) or open_storage(text)


def _plain_reader(text: str) -> Reader | None:
    if text == "memory":
        return None
    if is_postgres(text):
        if importlib.util.find_spec("psycopg") is None:
            return None
        from rung.storage.postgres_reader import postgres_reader

        return postgres_reader(text)
    from rung.storage.sqlite_reader import sqlite_reader

    return sqlite_reader(sqlite_file(text))


def is_postgres(url: str) -> bool:
    """Whether `url` means a PostgreSQL database."""
    return re.match(r"postgres(ql)?(\+\w+)?:", url) is not None


def is_there(url: str) -> bool:
    """Whether there is something to open at `url`, as far as a look at the disk tells."""
    return url == "memory" or "://" in url.removeprefix("sqlite:///") or sqlite_file(url).exists()


def shown(url: str) -> str:
    """`url` as messages may show it: without a password."""
    if not is_postgres(url):
        return url
    from rung.storage.postgres_url import without_password

    return without_password(url)


def sqlite_file(text: str) -> Path:
    """The database file that a URL or a bare path names."""
    name = text
    if text.startswith("sqlite:"):
        name = text.removeprefix("sqlite:///")
        if name in ("", text, ":memory:"):
            raise StorageError(f"{text!r} names no file: give sqlite:///FILE, or 'memory'")
    elif "://" in text or not text.endswith(_SUFFIXES):
        said = f"{text.partition('://')[0]}://..." if "://" in text else text  # the rest may hold a password
        raise StorageError(
            f"{said!r} is no storage: give 'memory', sqlite:///FILE, postgresql://HOST/DATABASE, or a path "
            "that ends in .db or .sqlite"
        )
    return Path(name).expanduser()
