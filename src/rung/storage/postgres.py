"""Storage in a PostgreSQL database, by URL; files lie in a folder that all who use it share."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from rung.errors import StorageError
from rung.storage import lease
from rung.storage.lease import Holder
from rung.storage.sql import SqlStorage
from rung.storage.sql_log import Terms

if TYPE_CHECKING:
    from rung.storage.postgres_database import PostgresDatabase

PATIENCE: Final = 20.0  # seconds in which a lost server may come back


def postgres_storage(
    url: str,
    *,
    lease_seconds: float = lease.SECONDS,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.time,
    process: Callable[[float], Holder] = lease.this_process_anywhere,
) -> SqlStorage:
    """A place for many studies in the database at `url`; its tables are made when the first study is.

    Args:
        url: see `rung.storage.postgres_url.parse`.
        lease_seconds: how long a writer on another machine may be silent before its study is taken over, by
            the server's clock.
        patience: seconds in which a server that was lost may come back.
        clock: this process's clock, seconds since the epoch.
        process: tells who this process is, at a time.

    Raises:
        StorageError: there is no such server or database, it does not let us in, or has others' tables.
    """
    return SqlStorage(database(url, patience, clock), Terms(lease_seconds, clock, process))


def database(
    url: str,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.time,
    *,
    checked: bool = True,
    met: bool = False,
) -> PostgresDatabase:
    """The database at `url`; unless `checked`, its tables may be of any version. See `PostgresDatabase`."""
    if importlib.util.find_spec("psycopg") is None:
        raise StorageError("PostgreSQL needs psycopg, which is not installed: pip install 'rung[postgres]'")
    from rung.storage.postgres_database import PostgresDatabase
    from rung.storage.postgres_url import parse

    return PostgresDatabase(parse(url), patience, clock, checked=checked, met=met)
