"""Storage in one SQLite file, and a folder of files beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rung.storage import lease
from rung.storage.lease import Holder
from rung.storage.sql import SqlStorage
from rung.storage.sql_log import Terms
from rung.storage.sqlite_database import SqliteDatabase
from rung.storage.sqlite_opening import BUSY


def sqlite_storage(
    path: Path,
    *,
    lease_seconds: float = lease.SECONDS,
    busy: float = BUSY,
    clock: Callable[[], float] = time.time,
    process: Callable[[float], Holder] = lease.this_process,
) -> SqlStorage:
    """A place for many studies in the file `path`, made when its first study is.

    Args:
        path: the database; the studies' files lie in `PATH.files/<key>/`.
        lease_seconds: how long a writer on another machine may be silent before its study is taken over.
        busy: seconds to wait for another process's write.
        clock: seconds since the epoch.
        process: tells who this process is, at a time.

    Raises:
        StorageError: the file is no database of ours, or there can be none in this place.
    """
    return SqlStorage(SqliteDatabase(path, busy, clock), Terms(lease_seconds, clock, process))
