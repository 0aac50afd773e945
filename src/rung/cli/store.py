"""Opens the storage that a command names, and reads a study from it."""

from __future__ import annotations

import atexit
import gc
import os
import shlex
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from rung.cli.options import DEFAULT_STORAGE
from rung.cli.place import is_service, remote
from rung.errors import StorageError, StudyError
from rung.storage import is_there, open_reader, open_storage, shown

if TYPE_CHECKING:
    from rung.space.compiled import CompiledSpace
    from rung.storage.base import Reader, Storage, StudyRow
    from rung.study.records import TrialRecord
    from rung.trials.events import Event
    from rung.trials.history import History


class StoredStudy(NamedTuple):
    """A study as readers see it."""

    row: StudyRow
    events: list[Event]
    history: History

    @property
    def space(self) -> CompiledSpace:
        from rung.space import compile_space, from_json

        return compile_space(from_json(self.history.identity.space))


def looking(url: str) -> closing[Reader]:
    """As `reading`, for a command that only looks: it begins sooner.

    Raises:
        StorageError: there is no such file.
    """
    _spare_collecting()
    return closing(remote(url) if is_service(url) else open_reader(_there(url)))


@cache
def _spare_collecting() -> None:
    gc.set_threshold(1_000_000, 20, 20)  # a log becomes as many objects, and none of them is garbage
    atexit.register(gc.freeze)  # nor at the end, where Python would look through all of them again


def reading(url: str) -> closing[Storage]:
    """The storage at `url`, which must be there; the default one may be missing, and is then empty.

    Raises:
        StorageError: there is no such file.
    """
    return closing(remote(url) if is_service(url) else open_storage(_there(url)))


def _there(url: str) -> str:
    if url != DEFAULT_STORAGE and not is_there(url):
        raise StorageError(f"there is no storage {url}: check --storage and RUNG_STORAGE")
    return url


def read_study(storage: Reader, name: str) -> StoredStudy:
    """A study's row, its log and the history that the log folds into.

    Raises:
        StudyError: there is none of this name (the message names the closest).
    """
    from rung.trials.history import History

    events, row = _read(storage, name)
    return StoredStudy(row, events, History().fold_all(events))


def read_trials(storage: Reader, name: str) -> tuple[StoredStudy, list[TrialRecord]]:
    """As `read_study`, and with it every trial's record, in order of number; the log is folded once.

    Raises:
        StudyError: there is none of this name (the message names the closest).
    """
    from rung.study.records import folded

    events, row = _read(storage, name)
    history, records = folded(events)
    return StoredStudy(row, events, history), records


def _read(storage: Reader, name: str) -> tuple[list[Event], StudyRow]:
    events = list(storage.read(name))
    row = storage.find(name)
    if row is None:
        raise StudyError(f"there is no study {name!r} any more: it was deleted or renamed just now")
    return events, row


def state_of(row: StudyRow) -> str:
    """What a study does: one that ran and that nobody writes any more was interrupted, by a kill."""
    state = row.summary.state
    return "interrupted" if state == "running" and row.writer is None else state


def door_of(storage: Storage, name: str) -> str:
    """Which command made a study: "fit", "tune" or "search".

    Raises:
        StudyError: there is none of this name (the message names the closest).
    """
    from rung.study.opening import stored_identity

    return stored_identity(storage, name).door


def command(verb: str, name: str, url: str, *more: str) -> str:
    """A command for the user to type about this study; it shows no password.

    A URL with a password that the environment has need not be typed.
    """
    if is_service(url):
        service = [] if os.environ.get("RUNG_SERVICE", "").rstrip("/") == url else ["--service", url]
        return shlex.join(["rung", *service, verb, name, *more])
    bare = shown(url)
    known = url == DEFAULT_STORAGE or (bare != url and os.environ.get("RUNG_STORAGE") == url)
    storage = [] if known else ["--storage", bare]
    return shlex.join(["rung", verb, name, *more, *storage])


RECORD: Final = "command"  # the topic under which the log keeps what ran


def resuming(history: History, name: str, url: str) -> str:
    """The command with which a study goes on: one that was begun from Python must be told its objective."""
    if is_service(url) or history.identity.door != "tune" or history.records.get(RECORD):
        return command("resume", name, url)
    return command("resume", name, url, "--objective", "FILE.py:FUNCTION")
