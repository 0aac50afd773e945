"""Bringing a storage's tables up to the version that this rung needs."""

from __future__ import annotations

from pathlib import Path

from rung.errors import StorageError
from rung.storage import is_postgres, is_there, schema, shown, sqlite_file


def upgrade(url: str) -> tuple[str, str]:
    """Upgrade the tables at `url`; returns the versions before and after.

    Raises:
        StorageError: there are none, they are another program's, or of a newer rung.
    """
    if is_postgres(url):
        return _upgrade_database(url)
    if url == "memory":
        raise StorageError("a storage in memory has no tables: name a file or a URL")
    if not is_there(url):
        raise StorageError(f"there is no storage {shown(url)}: check its name")
    return _upgrade_file(sqlite_file(url))


def _upgrade_file(path: Path) -> tuple[str, str]:
    from rung.storage.sqlite_database import SqliteDatabase

    db = SqliteDatabase(path, busy=30.0)  # which upgrades it
    db.close()
    if db.found is None:
        raise StorageError(f"{path} has no studies yet: there is nothing to upgrade")
    return db.found, schema.VERSION


def _upgrade_database(url: str) -> tuple[str, str]:
    from rung.storage import postgres_schema
    from rung.storage.postgres import database

    db = database(url, checked=False)
    try:
        return db.write(lambda connection: postgres_schema.upgrade(connection, db.place))
    finally:
        db.close()
