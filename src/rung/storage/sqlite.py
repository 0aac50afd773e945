"""Storage in one SQLite file: many studies, one writer for each, any number of readers."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy import delete as delete_from

from rung.errors import LeaseError
from rung.storage import lease
from rung.storage.base import StudyRow, Summary
from rung.storage.database import Database
from rung.storage.lease import Holder
from rung.storage.names import check_name, missing, taken
from rung.storage.requests import pack
from rung.storage.schema import requests as request_table
from rung.storage.schema import studies
from rung.storage.sqlite_log import (
    INSERT_EVENT,
    SqliteLog,
    Terms,
    encoded_rows,
    folder_of,
    is_live,
    read_events,
)
from rung.trials.events import Event


class SqliteStorage:
    """A place for many studies, see `rung.storage.base.Storage`: a database, and a folder of files beside it.

    The database is made when its first study is. Reading never writes to it.

    Args:
        path: the database; the studies' files lie in `PATH.files/<key>/`.
        lease_seconds: how long a writer on another machine may be silent before its study is taken over.
        busy: seconds to wait for another process's write.
        clock: seconds since the epoch.
        process: tells who this process is, at a time.

    Raises:
        StorageError: the file is no database of ours, or there can be none in this place.
    """

    def __init__(
        self,
        path: Path,
        *,
        lease_seconds: float = lease.SECONDS,
        busy: float = 30.0,
        clock: Callable[[], float] = time.time,
        process: Callable[[float], Holder] = lease.this_process,
    ) -> None:
        self._db = Database(path, busy)
        self._terms = Terms(lease_seconds, clock, process)

    @property
    def url(self) -> str:
        return f"sqlite:///{self._db.path}"

    # -- for the writer -------------------------------------------------------------------------------

    def create(self, name: str, first: Sequence[Event], summary: Summary) -> SqliteLog:
        check_name(name)
        self._db.prepare()
        now = self._terms.clock()
        row = {
            "key": uuid.uuid4().hex,
            "name": name,
            **msgspec.structs.asdict(summary),
            "events": len(first),
            "token": 1,
            **self._terms.lease(now),
        }
        with self._db.writing() as connection:
            if self._row(connection, name) is not None:
                raise taken(name, self.url)
            made = connection.execute(insert(studies).values(row).returning(studies.c.id)).scalar_one()
            if rows := encoded_rows(made, 0, first):
                connection.exec_driver_sql(INSERT_EVENT, rows)
        return self._log(made, row["key"], name, 1)

    def open(self, name: str) -> SqliteLog:
        if not self._db.ready():
            raise missing(name, (), self.url)
        now = self._terms.clock()
        with self._db.writing() as connection:
            row = self._free(connection, name, now)
            token = row.token + 1
            connection.execute(
                update(studies).where(studies.c.id == row.id).values(token=token, **self._terms.lease(now))
            )
        return self._log(row.id, row.key, name, token)

    def _log(self, study: int, key: str, name: str, token: int) -> SqliteLog:
        return SqliteLog(self._db, self._terms, study, key, name, token)

    # -- for everybody --------------------------------------------------------------------------------

    def read(self, name: str, start: int = 0) -> Iterator[Event]:
        return read_events(self._db, self._known(name).id, start)

    def list(self) -> Sequence[StudyRow]:
        if not self._db.ready():
            return []
        with self._db.reading() as connection:
            rows = connection.execute(select(studies).order_by(studies.c.id.desc())).all()
        now = self._terms.clock()
        return [self._study_row(row, now) for row in rows]

    def find(self, name: str) -> StudyRow | None:
        if not self._db.ready():
            return None
        with self._db.reading() as connection:
            row = self._row(connection, name)
        return None if row is None else self._study_row(row, self._terms.clock())

    def folder(self, name: str) -> Path:
        return self._folder_of(self._known(name).key)

    def request(self, name: str, request: str, data: Mapping[str, Any]) -> None:
        study = self._known(name).id
        values = {"study_id": study, "request": request, "data": pack(data), "time": self._terms.clock()}
        with self._db.writing() as connection:
            connection.execute(insert(request_table).values(values))

    def rename(self, name: str, new: str) -> None:
        check_name(new)
        study = self._known(name).id
        with self._db.writing() as connection:
            other = self._row(connection, new)
            if other is not None and other.id != study:
                raise taken(new, self.url)
            connection.execute(update(studies).where(studies.c.id == study).values(name=new))

    def delete(self, name: str) -> None:
        if not self._db.ready():
            raise missing(name, (), self.url)
        with self._db.writing() as connection:
            row = self._free(connection, name, self._terms.clock())
            connection.execute(
                delete_from(studies).where(studies.c.id == row.id)
            )  # and all that refers to it
        shutil.rmtree(self._folder_of(row.key), ignore_errors=True)

    def close(self) -> None:
        SqliteLog.close_all(self._db)
        self._db.close()

    # -- within ---------------------------------------------------------------------------------------

    def _row(self, connection: Connection, name: str) -> Row[Any] | None:
        return connection.execute(select(studies).where(studies.c.name == name)).one_or_none()

    def _known(self, name: str) -> Row[Any]:
        if not self._db.ready():
            raise missing(name, (), self.url)
        with self._db.reading() as connection:
            return self._row(connection, name) or self._missing(connection, name)

    def _missing(self, connection: Connection, name: str) -> Row[Any]:
        names = connection.execute(select(studies.c.name).order_by(studies.c.id.desc())).scalars().all()
        raise missing(name, names, self.url)

    def _free(self, connection: Connection, name: str, now: float) -> Row[Any]:
        """The study's row, if no live process writes it."""
        row = self._row(connection, name) or self._missing(connection, name)
        holder = self._writer(row, now)
        if holder is not None:
            own = holder.pid == os.getpid()
            what = "close it there first" if own else "wait until it ends, or stop it"
            raise LeaseError(f"study {name!r} is being written by {holder}: {what}")
        return row

    def _writer(self, row: Row[Any], now: float) -> Holder | None:
        """Who holds the study's lease and is alive."""
        if row.host is None:
            return None
        holder = Holder(row.host, row.space, row.pid, row.started, row.since)
        me = self._terms.process(now)
        if holder[:4] == me[:4]:
            return holder if is_live(row.key, row.token) else None
        return holder if lease.is_held(holder, row.expires, me, now) else None

    def _study_row(self, row: Row[Any], now: float) -> StudyRow:
        writer = self._writer(row, now)
        summary = Summary(*(getattr(row, field) for field in Summary.__struct_fields__))
        return StudyRow(row.name, row.key, summary, row.events, None if writer is None else str(writer))

    def _folder_of(self, key: str) -> Path:
        return folder_of(self._db, key)
