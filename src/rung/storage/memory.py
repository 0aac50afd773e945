"""Storage in memory: the twin of the durable ones. It lives as long as its object, for one process.

Events are kept encoded, in blocks, as a durable storage would keep them: a million take about 100 MB, and
nobody's later change to a mapping reaches the log. Files lie in a temporary folder, removed with the study,
by `close`, when the object goes, or at the process's end.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
import uuid
import weakref
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rung.errors import LeaseError, StorageError
from rung.storage.base import Request, StudyRow, Summary
from rung.storage.names import check_name, missing, taken
from rung.storage.requests import folded_ids, pack, unpack
from rung.trials.codec import decode_all, encode_all
from rung.trials.events import Event

_BLOCK = 1024  # events, at least, in every block but the last


class _Events:
    """A sequence of events that only grows, encoded in blocks."""

    def __init__(self) -> None:
        self.count = 0
        self._starts = [0]  # number of the first event of each block
        self._blocks = [bytearray()]

    def extend(self, events: Sequence[Event]) -> None:
        data = encode_all(events)  # first: what cannot be encoded leaves nothing behind
        if self.count - self._starts[-1] >= _BLOCK:
            self._starts.append(self.count)
            self._blocks.append(bytearray())
        self._blocks[-1] += data
        self.count += len(events)

    def since(self, start: int) -> Iterator[Event]:
        """The events from number `start` on, those included that are added meanwhile."""
        while start < self.count:
            block = bisect_right(self._starts, start) - 1
            first = self._starts[block]
            end = self._starts[block + 1] if block + 1 < len(self._starts) else self.count
            yield from decode_all(end - first, self._blocks[block])[start - first :]
            start = end


class _Study:
    """One study: its row, its events, its requests."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.key = uuid.uuid4().hex
        self.folder = folder / self.key
        self.events = _Events()
        self.summary = Summary()
        self.requests: dict[int, Request] = {}  # those not yet folded, in order
        self.writer: weakref.ref[MemoryLog] | None = None
        self.since = 0.0  # when the writer began

    def live_writer(self) -> MemoryLog | None:
        log = self.writer() if self.writer is not None else None
        return log if log is not None and not log.closed else None


class MemoryLog:
    """One study's log, open for writing. See `rung.storage.base.Log`."""

    def __init__(self, study: _Study) -> None:
        self.closed = False
        self._study = study
        self._handed = 0  # id of the last request handed out
        study.writer = weakref.ref(self)
        study.since = time.time()

    @property
    def key(self) -> str:
        return self._study.key

    @property
    def folder(self) -> Path:
        self._study.folder.mkdir(parents=True, exist_ok=True)
        return self._study.folder

    def append(self, events: Sequence[Event], summary: Summary) -> None:
        self.heartbeat()
        study = self._study
        study.events.extend(events)
        study.summary = summary
        if study.requests:
            for _, number in folded_ids(events):
                study.requests.pop(number, None)

    def read(self, start: int = 0) -> Iterator[Event]:
        return self._study.events.since(start)

    def requests(self) -> list[Request]:
        self.heartbeat()
        fresh = [request for request in list(self._study.requests.values()) if request.id > self._handed]
        if fresh:
            self._handed = fresh[-1].id
        return fresh

    def heartbeat(self) -> None:
        if self.closed:
            raise StorageError(f"the log of study {self._study.name!r} is closed: open the study again")

    def close(self) -> None:
        self.closed = True


class MemoryStorage:
    """A place for many studies, in memory. See `rung.storage.base.Storage`."""

    url = "memory"

    def __init__(self) -> None:
        self._studies: dict[str, _Study] = {}
        self._numbers = itertools.count(1)  # of requests
        self._files = Path(tempfile.gettempdir(), f"rung-{uuid.uuid4().hex}")  # made when first used
        self._remove_files = weakref.finalize(self, _remove, self._files, os.getpid())

    def create(self, name: str, first: Sequence[Event], summary: Summary) -> MemoryLog:
        if check_name(name) in self._studies:
            raise taken(name, self.url)
        study = _Study(name, self._files)
        log = MemoryLog(study)
        log.append(first, summary)
        self._studies[name] = study
        return log

    def open(self, name: str) -> MemoryLog:
        return MemoryLog(self._free(name))

    def read(self, name: str, start: int = 0) -> Iterator[Event]:
        return self._study(name).events.since(start)

    def list(self, limit: int | None = None) -> Sequence[StudyRow]:
        return [_row(study) for study in itertools.islice(reversed(self._studies.values()), limit)]

    def find(self, name: str) -> StudyRow | None:
        study = self._studies.get(name)
        return _row(study) if study is not None else None

    def folder(self, name: str) -> Path:
        return self._study(name).folder

    def request(self, name: str, request: str, data: Mapping[str, Any]) -> None:
        study, own = self._study(name), unpack(pack(data))
        number = next(self._numbers)
        study.requests[number] = Request(number, request, own, time.time())

    def rename(self, name: str, new: str) -> None:
        study = self._study(name)
        if check_name(new) == name:
            return
        if new in self._studies:
            raise taken(new, self.url)
        study.name = new
        self._studies = {study.name: study for study in self._studies.values()}  # the order stays

    def delete(self, name: str) -> None:
        study = self._free(name)
        del self._studies[name]
        shutil.rmtree(study.folder, ignore_errors=True)

    def close(self) -> None:
        for study in self._studies.values():
            log = study.live_writer()
            if log is not None:
                log.close()
        self._remove_files()

    def _study(self, name: str) -> _Study:
        study = self._studies.get(name)
        if study is None:
            raise missing(name, list(reversed(self._studies)), self.url)
        return study

    def _free(self, name: str) -> _Study:
        """The study, if nobody writes it."""
        study = self._study(name)
        if study.live_writer() is not None:
            raise LeaseError(f"this process writes study {name!r} already: close it first")
        return study


def _row(study: _Study) -> StudyRow:
    writer = f"process {os.getpid()} (this one)" if study.live_writer() is not None else None
    return StudyRow(study.name, study.key, study.summary, study.events.count, writer)


def _remove(folder: Path, owner: int) -> None:
    """Remove the temporary folder, if this is the process that owns it and not a fork of it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
