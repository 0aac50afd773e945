"""A database for those who only look: the studies and their logs, by the driver alone.

SQLAlchemy takes a third of a second to import, which is most of what `rung list` would take.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from rung.storage.base import StudyRow
from rung.storage.lease import Holder
from rung.storage.names import can_be, missing
from rung.storage.reading import read_events, study_row
from rung.trials.events import Event

Answer = tuple[Sequence[str], Sequence[Sequence[Any]]]
"""The names of a query's columns, and its rows."""


class PlainReader(ABC):
    """The reading half of a storage, see `rung.storage.base.Reader`, over queries of a driver's own.

    Attributes:
        MARK: what stands for a value in a query.
    """

    MARK: ClassVar[str]

    @property
    @abstractmethod
    def url(self) -> str:
        """What leads back here, without a password."""

    @property
    @abstractmethod
    def files(self) -> Path:
        """The folder in which each study has one of its own, named by its key."""

    @property
    @abstractmethod
    def now(self) -> str:
        """The time by the clock that judges leases, in SQL: seconds since the epoch."""

    @abstractmethod
    def process(self, now: float) -> Holder:
        """Who this process is, as leases of this database know it."""

    @abstractmethod
    def ask(self, query: str, values: Sequence[object]) -> Answer:
        """What a query tells.

        Raises:
            StorageError: the database cannot tell.
        """

    @abstractmethod
    def bodies(self, study: int, start: int, most: int) -> Sequence[tuple[int, bytes]]:
        """See `rung.storage.reading.Bodies`."""

    def list(self, limit: int | None = None) -> Sequence[StudyRow]:
        """All studies, newest first; at most `limit`."""
        me = self.process(time.time())
        most = "" if limit is None else f" LIMIT {int(limit)}"
        return [study_row(row, me, _is_live) for row in self._rows(f"ORDER BY id DESC{most}")]

    def find(self, name: str) -> StudyRow | None:
        row = self._row(name)
        return None if row is None else study_row(row, self.process(time.time()), _is_live)

    def read(self, name: str, start: int = 0) -> Iterator[Event]:
        return read_events(self, self._known(name), start)

    def folder(self, name: str) -> Path:
        return self.files / str(self._known(name).key)

    def _known(self, name: str) -> Any:
        row = self._row(name)
        if row is None:
            raise missing(name, [other.name for other in self._rows("ORDER BY id DESC")], self.url)
        return row

    def _row(self, name: str) -> Any:
        return None if not can_be(name) else next(iter(self._rows(f"WHERE name = {self.MARK}", name)), None)

    def _rows(self, which: str, *values: object) -> Sequence[Any]:
        """Rows of the table of studies, each with the time `now`."""
        query = f"SELECT *, {self.now} AS now FROM studies {which}"  # `which` is a text of this file
        names, rows = self.ask(query, values)
        return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in rows]


def _is_live(key: str, token: int) -> bool:
    """Asked only where this very process holds the lease, or did: then SQLAlchemy is loaded already."""
    from rung.storage.sql_log import is_live

    return is_live(key, token)
