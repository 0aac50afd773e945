"""Storage in an SQL database: many studies, one writer for each, any number of readers."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Label, Row, Select, insert, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.exc import IntegrityError

from rung.errors import LeaseError, StudyError
from rung.storage.base import StudyRow, Summary
from rung.storage.database import Database, Lease, encoded_rows
from rung.storage.lease import Holder
from rung.storage.names import can_be, check_name, missing, taken
from rung.storage.reading import read_events, study_row, writer_of
from rung.storage.requests import pack
from rung.storage.schema import events as event_table
from rung.storage.schema import requests as request_table
from rung.storage.schema import studies
from rung.storage.sql_log import SqlLog, Terms, is_live
from rung.trials.events import Event

COPYING: Final = "copying"
"""The state of a study of which another storage's copy is under way; see `rung.storage.copying`."""


class SqlStorage:
    """A place for many studies, see `rung.storage.base.Storage`: a database, and a folder of files.

    The tables are made when the first study is. Reading never writes.
    """

    def __init__(self, db: Database, terms: Terms) -> None:
        self.db = db
        self._terms = terms

    @property
    def url(self) -> str:
        return self.db.url

    # -- for the writer -------------------------------------------------------------------------------

    def create(
        self, name: str, first: Sequence[Event], summary: Summary, *, key: str | None = None
    ) -> SqlLog:
        """A new study; with `key`, a copy of one that another storage has. See `Storage.create`."""
        check_name(name)
        self.db.prepare()
        row = {"key": key or uuid.uuid4().hex, "name": name, "events": len(first), "token": 1}
        row |= msgspec.structs.asdict(summary)
        holder = self._terms.process(self._terms.clock())

        def make(connection: Connection) -> int:
            before = self._row(connection, name)
            if before is not None and (before.key, before.since, before.token) == (
                row["key"],
                holder.since,
                1,
            ):
                return int(before.id)  # made, and the connection was lost before that was told
            if before is not None:
                raise taken(name, self.url)
            made = connection.execute(
                insert(studies).values(**row, **self._leased(holder)).returning(studies.c.id)
            ).scalar_one()
            if rows := encoded_rows(made, 0, first):
                columns = event_table.c.keys()
                connection.execute(
                    insert(event_table), [dict(zip(columns, row, strict=True)) for row in rows]
                )
            return int(made)

        try:
            made = self.db.write(make)
        except IntegrityError as error:  # another made one of this name in between
            raise taken(name, self.url) from error
        return self._log(Lease(made, str(row["key"]), name, 1, holder, self._terms.seconds))

    def open(self, name: str) -> SqlLog:
        return self._opened(name, lambda state: state != COPYING)

    def open_copy(self, name: str) -> SqlLog:
        """The log of a study that is copied to here, whether the copy is complete or not."""
        return self._opened(name, lambda state: True)

    def _opened(self, name: str, may: Any) -> SqlLog:
        if not self.db.ready():
            raise missing(name, (), self.url)
        holder = self._terms.process(self._terms.clock())

        def take(connection: Connection) -> Lease:
            row = self._free(connection, name)
            if not may(row.state):
                raise StudyError(
                    f"study {name!r} in {self.url} is the beginning of a copy: run `rung storage copy` again"
                )
            token = row.token + 1
            connection.execute(
                update(studies).where(studies.c.id == row.id).values(token=token, **self._leased(holder))
            )
            return Lease(row.id, row.key, name, token, holder, self._terms.seconds)

        return self._log(self.db.write(take))

    def _log(self, taken: Lease) -> SqlLog:
        return SqlLog(self.db, self._terms, taken)

    def _leased(self, holder: Holder) -> dict[str, Any]:
        """The columns of a lease that this process takes now."""
        return {**holder._asdict(), "expires": self.db.now() + self._terms.seconds}

    # -- for everybody --------------------------------------------------------------------------------

    def read(self, name: str, start: int = 0) -> Iterator[Event]:
        return read_events(self.db, self._known(name), start)

    def list(self, limit: int | None = None) -> Sequence[StudyRow]:
        """All studies, newest first; at most `limit`."""
        if not self.db.ready():
            return []
        query = self._rows().order_by(studies.c.id.desc()).limit(limit)
        rows = self.db.read(lambda connection: connection.execute(query).all())
        return [self._study_row(row) for row in rows]

    def find(self, name: str) -> StudyRow | None:
        if not self.db.ready():
            return None
        row = self.db.read(lambda connection: self._row(connection, name))
        return None if row is None else self._study_row(row)

    def folder(self, name: str) -> Path:
        return self._folder_of(self._known(name).key)

    def request(self, name: str, request: str, data: Mapping[str, Any]) -> None:
        row = self._known(name)
        values = {"study_id": row.id, "request": request, "data": pack(data), "time": row.now}

        def ask(connection: Connection) -> None:
            # Requests of one study are numbered in the order of their commits: whoever has seen one has
            # seen all before it. And one that was committed while the connection broke is not asked twice.
            connection.execute(
                select(studies.c.id).where(studies.c.id == row.id).with_for_update(key_share=True)
            )
            same = select(request_table.c.id).filter_by(**values)
            if connection.execute(same).first() is None:
                connection.execute(insert(request_table).values(values))

        self.db.write(ask)

    def rename(self, name: str, new: str) -> None:
        check_name(new)
        study = self._known(name).id

        def change(connection: Connection) -> None:
            other = self._row(connection, new)
            if other is not None and other.id != study:
                raise taken(new, self.url)
            connection.execute(update(studies).where(studies.c.id == study).values(name=new))

        try:
            self.db.write(change)
        except IntegrityError as error:
            raise taken(new, self.url) from error

    def delete(self, name: str) -> None:
        known = self._known(name)

        def remove(connection: Connection) -> None:
            row = self._row(connection, name)
            if row is None or row.key != known.key:
                return  # another deleted it just now, or the connection was lost before this was told
            free = self._free(connection, name)
            connection.execute(
                delete_from(studies).where(studies.c.id == free.id)
            )  # and all that refers to it

        self.db.write(remove)
        shutil.rmtree(self._folder_of(known.key), ignore_errors=True)

    def close(self) -> None:
        SqlLog.close_all(self.db)
        self.db.close()

    # -- within ---------------------------------------------------------------------------------------

    def _rows(self) -> Select[Any]:
        now: Label[float] = self.db.now().label("now")
        return select(studies, now)

    def _row(self, connection: Connection, name: str) -> Row[Any] | None:
        if not can_be(name):
            return None
        return connection.execute(self._rows().where(studies.c.name == name)).one_or_none()

    def _known(self, name: str) -> Row[Any]:
        if not self.db.ready():
            raise missing(name, (), self.url)
        return self.db.read(lambda connection: self._row(connection, name) or self._missing(connection, name))

    def _missing(self, connection: Connection, name: str) -> Row[Any]:
        names = connection.execute(select(studies.c.name).order_by(studies.c.id.desc())).scalars().all()
        raise missing(name, names, self.url)

    def _free(self, connection: Connection, name: str) -> Row[Any]:
        """The study's row, locked, if no live process writes it."""
        if not can_be(name):
            self._missing(connection, name)
        query = self._rows().where(studies.c.name == name).with_for_update(key_share=True)
        row = connection.execute(query).one_or_none() or self._missing(connection, name)
        holder = self._writer(row)
        if holder is not None:
            own = holder.pid == os.getpid()
            what = "close it there first" if own else "wait until it ends, or stop it"
            raise LeaseError(f"study {name!r} is being written by {holder}: {what}")
        return row

    def _writer(self, row: Row[Any]) -> Holder | None:
        """Who holds the study's lease and is alive."""
        return writer_of(row, self._terms.process(row.now), is_live)

    def _study_row(self, row: Row[Any]) -> StudyRow:
        return study_row(row, self._terms.process(row.now), is_live)

    def _folder_of(self, key: str) -> Path:
        return self.db.files / key
