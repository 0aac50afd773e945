"""How a study survives: the places where its log and its files lie."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from rung.errors import StorageError
from rung.storage.base import Log, Request, Storage, StudyRow, Summary

__all__ = ["Log", "Request", "Storage", "StudyRow", "Summary", "open_storage"]

_SUFFIXES: Final = (".db", ".sqlite", ".sqlite3")


def open_storage(url: str | os.PathLike[str]) -> Storage:
    """The storage at `url`: "memory" (a new one each time), "sqlite:///FILE", or a bare path (.db, .sqlite).

    A file that does not exist yet is made when its first study is created. SQLAlchemy is imported here, and
    only for a file.

    Raises:
        StorageError: there can be no storage of ours in that place.
    """
    text = os.fspath(url)
    if text == "memory":
        from rung.storage.memory import MemoryStorage

        return MemoryStorage()
    path = _file(text)
    from rung.storage.sqlite import SqliteStorage

    return SqliteStorage(path)


def _file(text: str) -> Path:
    """The database file that a URL or a bare path names."""
    if re.match(r"postgres(ql)?(\+\w+)?:", text):
        raise StorageError(
            f"PostgreSQL is not supported yet: give a file, such as sqlite:///rung.db, not {text!r}"
        )
    name = text
    if text.startswith("sqlite:"):
        name = text.removeprefix("sqlite:///")
        if name in ("", text, ":memory:"):
            raise StorageError(f"{text!r} names no file: give sqlite:///FILE, or 'memory'")
    elif "://" in text or not text.endswith(_SUFFIXES):
        raise StorageError(
            f"{text!r} is no storage: give 'memory', sqlite:///FILE, or a path that ends in .db or .sqlite"
        )
    return Path(name).expanduser()
