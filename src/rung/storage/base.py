"""What a storage is: a place for the logs of many studies, and for their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from rung.trials.events import Event, Requested


class Summary(msgspec.Struct, frozen=True):
    """What a list of studies shows of one: a projection, written in the same transaction as the events."""

    door: str = "tune"
    state: str = "created"  # created, running, paused, done, interrupted
    trials: int = 0
    finished: int = 0
    metric: str = "loss"
    best: float | None = None
    spent: int = 0
    seconds: float = 0.0
    created: float = 0.0
    updated: float = 0.0


class StudyRow(msgspec.Struct, frozen=True):
    """A study as the storage lists it. `writer` names who holds its lease now, if anybody."""

    name: str
    key: str  # names it for ever; a rename keeps it
    summary: Summary
    events: int = 0
    writer: str | None = None


class Request(msgspec.Struct, frozen=True):
    """Something that another process wants of a running study: pause, stop, enqueue, note."""

    id: int
    request: str
    data: Mapping[str, Any]
    time: float

    def folded(self, time: float) -> Requested:
        """The event that takes this request up at `time`; appending it marks the request as folded."""
        return Requested(self.request, self.data, time=time, id=self.id)


class Log(Protocol):
    """One study's log, open for writing by the one holder of its lease."""

    @property
    def key(self) -> str:
        """Names the study for ever."""

    @property
    def folder(self) -> Path:
        """For this study's checkpoints and worker logs; made when first used."""

    def append(self, events: Sequence[Event], summary: Summary) -> None:
        """Make these events durable, all or none. Also renews the lease.

        Raises:
            LeaseError: another process took the study over; nothing was written.
            StorageError: it cannot be written (disk full, ...); nothing was written.
        """

    def read(self, start: int = 0) -> Iterator[Event]:
        """The events from number `start` on."""

    def requests(self) -> list[Request]:
        """What others asked for since the last call, in order, each once.

        A request stays open until an event made by its `folded` is appended: the mark is made in the same
        transaction, so that a writer that dies in between neither loses it nor takes it up twice. Requests
        still open are handed out again by the next writer's log.
        """

    def heartbeat(self) -> None:
        """Renew the lease; called at least every few seconds while the study runs."""

    def close(self) -> None:
        """Give the lease back."""


class Reader(Protocol):
    """A place for many studies, for those who only look."""

    @property
    def url(self) -> str:
        """What `open_storage` takes to come back here."""

    def read(self, name: str, start: int = 0) -> Iterator[Event]:
        """The events of a study, for any reader at any time.

        Raises:
            StudyError: there is none of this name (the message names the closest).
        """

    def list(self, limit: int | None = None) -> Sequence[StudyRow]:
        """All studies, newest first; with `limit`, only so many."""

    def find(self, name: str) -> StudyRow | None: ...

    def folder(self, name: str) -> Path:
        """Where the study's checkpoints and worker logs lie; a reader does not make it."""

    def close(self) -> None: ...


class Storage(Reader, Protocol):
    """A place for many studies."""

    def create(self, name: str, first: Sequence[Event], summary: Summary) -> Log:
        """A new study whose log begins with `first`, opened for writing.

        Raises:
            StudyError: the name is taken.
        """

    def open(self, name: str) -> Log:
        """An existing study, opened for writing.

        Raises:
            StudyError: there is none of this name (the message names the closest).
            LeaseError: another live process writes it; the message names it.
        """

    def request(self, name: str, request: str, data: Mapping[str, Any]) -> None:
        """Ask something of the study's writer; it is folded in when one runs."""

    def rename(self, name: str, new: str) -> None: ...

    def delete(self, name: str) -> None:
        """Remove the study, its log and its files.

        Raises:
            LeaseError: a live process writes it.
        """
