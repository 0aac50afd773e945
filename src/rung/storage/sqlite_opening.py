"""A SQLite file of ours: what marks it, how it is opened for reading, and what its errors mean.

By the standard library alone: who only looks at studies need not wait for SQLAlchemy.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
from pathlib import Path
from typing import Final

from rung.errors import StorageError

BUSY: Final = 30.0  # seconds to wait for another process's write
APPLICATION: Final = 0x52554E47  # "RUNG", SQLite's application_id: tells our files from other programs'

_SENTENCES: Final = {
    "SQLITE_FULL": "the disk is full, {path} cannot grow; nothing was lost: free space and {resume}",
    "SQLITE_BUSY": "another program has locked {path} for {busy} seconds: end that program, then {resume}",
    "SQLITE_READONLY": "{path} cannot be written: change its or its folder's permissions, or choose another",
    "SQLITE_PERM": "{path} cannot be written: change its or its folder's permissions, or choose another",
    "SQLITE_CANTOPEN": "{path} cannot be opened: see that it and its folder exist and may be written",
    "SQLITE_NOTADB": "{path} is not a database: choose another file",
    "SQLITE_CORRUPT": "{path} is damaged: restore a copy of it, or choose another file",
    "SQLITE_IOERR": "the disk of {path} failed; what was logged before stays: check the disk, then {resume}",
}


def check_place(path: Path) -> None:
    """Refuse a place where there can be no database.

    Raises:
        StorageError: its folder is missing, or it is a folder itself.
    """
    if not path.parent.is_dir():
        raise StorageError(f"there is no folder {path.parent} for {path.name}: make it first")
    if path.is_dir():
        raise StorageError(f"{path} is a folder: name a file in it, such as {path / 'rung.db'}")


def connect(path: Path, mode: str, busy: float) -> sqlite3.Connection:
    """A connection to the file; transactions are the caller's. `mode` is SQLite's: ro, rw, rwc."""
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=busy,
        isolation_level=None,
        check_same_thread=False,
    )


def connect_reader(path: Path, busy: float) -> sqlite3.Connection:
    """A connection that can only read, to a file that may lie where nobody may write."""
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return connect(path, "ro", busy)
    wal = Path(f"{path}-wal")
    still = not wal.exists() or wal.stat().st_size == 0
    return connect(path, "ro&immutable=1" if still else "ro", busy)  # nobody can write it: no locks needed


def error_name(error: BaseException | None) -> str:
    """SQLite's name of an error, such as SQLITE_IOERR_WRITE; "" if it has none."""
    return str(getattr(error, "sqlite_errorname", ""))


def explain(path: Path, busy: float, error: BaseException | None, study: str | None = None) -> StorageError:
    """One sentence for an error of SQLite's; `study` is the one that was being written."""
    name = error_name(error)
    resume = f"`rung resume {study} --storage {shlex.quote(str(path))}`" if study else "try again"
    for prefix, sentence in _SENTENCES.items():
        if name.startswith(prefix):
            return StorageError(sentence.format(path=path, busy=f"{busy:g}", resume=resume))
    return StorageError(f"{path} could not be read or written ({name or 'SQLite'}: {error})")
