"""What an SQL database must offer so that studies can be kept in it; SQLite and PostgreSQL do it their way.

The rest, what a storage and a log promise, is written once over it: `rung.storage.sql` and
`rung.storage.sql_log`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection

from rung.storage.base import Summary
from rung.storage.lease import Holder
from rung.storage.schema import KINDS
from rung.trials.codec import encode
from rung.trials.events import Event

T = TypeVar("T")

EventRow = tuple[int, int, int, int | None, bytes]
"""A row of the events' table: study, number, kind, trial, body."""

StoredEvent = tuple[int, int | None, bytes]
"""An event as it lies in any storage: kind, trial, body."""


class Lease:
    """The right to write one study: good as long as the study's row has this token.

    Attributes:
        study: the study's number in this database.
        key: the study's name for ever.
        name: what it was called when it was opened.
        token: grows with every holder, and where a connection was lost in the middle of a commit.
        holder: who this is.
        seconds: how long it runs from each renewal.
        unsure: number of the first event, and count, of a batch of which nobody knows whether it arrived.
    """

    __slots__ = ("holder", "key", "name", "seconds", "study", "token", "unsure")

    def __init__(self, study: int, key: str, name: str, token: int, holder: Holder, seconds: float) -> None:
        self.study = study
        self.key = key
        self.name = name
        self.token = token
        self.holder = holder
        self.seconds = seconds
        self.unsure: tuple[int, int] | None = None


class Batch(NamedTuple):
    """What one append makes durable: rows, the first of them number `start`; requests that they take up."""

    start: int
    rows: list[EventRow]
    folded: list[tuple[int, int]]  # number of the event, number of the request
    summary: Summary


class OpenRequest(NamedTuple):
    id: int
    request: str
    data: bytes
    time: float  # by this process's clock


class Channel(Protocol):
    """The way of one open log into the database.

    Raises:
        StorageError: from every method but `give_back`, if the database cannot do it.
    """

    def append(self, lease: Lease, batch: Batch) -> bool:
        """Make the batch durable, all or nothing, and renew the lease; False if that is lost."""

    def renew(self, lease: Lease) -> bool:
        """Renew the lease; False if it is lost."""

    def requests(self, study: int, after: int) -> Sequence[OpenRequest]:
        """The requests of a higher number than `after` that no event has taken up, in order."""

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run queries."""

    def give_back(self, lease: Lease) -> None:
        """Free the lease if it can be done, and close what is open. Never raises."""


class Database(Protocol):
    """A database with our tables, or without any yet."""

    @property
    def url(self) -> str:
        """What leads back here, without a password: messages may show it."""

    @property
    def files(self) -> Path:
        """The folder in which each study has one of its own, named by its key."""

    def ready(self) -> bool:
        """Whether the tables are there.

        Raises:
            StorageError: others' tables are, or those of a newer rung.
        """

    def prepare(self) -> None:
        """Make the tables, unless they are there."""

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run queries, each a snapshot of its own."""

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction.

        Where a connection was lost, `work` may run again, although it was committed: it must bear that.
        """

    def now(self) -> ColumnElement[float]:
        """Seconds since the epoch by the clock that judges leases."""

    def bodies(self, study: int, start: int, most: int) -> Sequence[tuple[int, bytes]]:
        """At most so many events, encoded, from number `start` on, in order, each behind its number."""

    def channel(self, study: str) -> Channel:
        """For a log of the study of this name."""

    def close(self) -> None: ...


def encoded_rows(study: int, start: int, events: Sequence[Event]) -> list[EventRow]:
    """The events as rows of the table, the first of them number `start`."""
    return [
        (study, seq, KINDS[type(event)], getattr(event, "trial", None), encode(event))
        for seq, event in enumerate(events, start)
    ]


def placeholders(names: Sequence[Any], mark: str) -> str:
    """`mark` for each name, as in VALUES (?, ?, ?)."""
    return ", ".join(mark for _ in names)
