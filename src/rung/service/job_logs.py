"""What jobs printed, as their workers send it: a file for each job, bounded, in the study's folder.

It lies beside the logs that workers of the same machine write there (`rung.executors.logs`), and goes with
the study. Of a long log the beginning and the end are kept; of a study with too much, what was written last.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from rung.errors import DataError, StorageError
from rung.executors.files import log_path, trial_name
from rung.storage.whole import write_whole

BEGINNING: Final = 64 << 10  # bytes of a job's log that are kept from its beginning
END: Final = 192 << 10  # and from its end
MOST: Final = BEGINNING + END + 100  # and a line between them
STUDY: Final = 64 << 20  # bytes of all logs of a study
_ROOM: Final = 0.75  # of them that is left where the oldest had to go
_LOG: Final = re.compile(r"trial-(\d{6,16})(?:-attempt-(\d{1,16}))?\.log")


class Printed(NamedTuple):
    """The log of one job: its bytes as they are kept."""

    trial: int
    attempt: int
    bytes: int


def size_of(path: str) -> int:
    """The bytes of a file; 0 if there is none."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def bounded(path: str, start: int) -> bytes:
    """What a log has from byte `start` on, without its middle if that is too long; empty if nothing.

    The first line is the header that each job has (`rung.executors.files.log_header`): it alone is nothing.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = start if start <= size else 0  # of one that was cut (`rung.executors.log_size`)
            length = size - start
            if length <= 0:
                return b""
            file.seek(start)
            text = file.read(min(length, BEGINNING + END))
            if length > BEGINNING + END:
                file.seek(start + length - END)
                left = f"\n--- {length - BEGINNING - END} bytes are left out here\n".encode()
                return text[:BEGINNING] + left + file.read(END)
    except OSError:
        return b""
    header, _, rest = text.partition(b"\n")
    return text if rest or not header.startswith(b"--- trial ") else b""


class JobLogs:
    """The logs that were sent. May be used from several threads.

    Args:
        most: bytes of all logs of one study.
    """

    def __init__(self, most: int = STUDY) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._bytes: dict[Path, int] = {}  # by folder, of those that were written to

    def keep(self, folder: Path, trial: int, attempt: int, text: bytes) -> None:
        """Keep a job's log, in the place of what was sent of it before.

        Raises:
            StorageError: it cannot be written.
        """
        path = Path(log_path(str(folder), trial)).with_name(f"{trial_name(trial)}-attempt-{attempt}.log")
        with self._lock:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if folder not in self._bytes:
                    self._bytes[folder] = sum(one.stat().st_size for one in _sent(folder))
                before = size_of(str(path))
                write_whole(path, text)
                self._bytes[folder] += len(text) - before
                if self._bytes[folder] > self._most:
                    self._bytes[folder] = _dropped(folder, int(self._most * _ROOM), path)
            except (OSError, DataError) as error:
                raise StorageError(f"a job's log cannot be kept: {error}") from error


def kept(folder: Path) -> list[Printed]:
    """The logs that were sent, by trial and attempt."""
    found = []
    for trial, attempt, path in _files(folder):
        with suppress(FileNotFoundError):  # it had to go just now
            if attempt >= 0:
                found.append(Printed(trial, attempt, path.stat().st_size))
    return found


def files_of(folder: Path, trial: int | None = None) -> list[tuple[int, Path]]:
    """The files with what jobs printed, of one trial or all, each with its trial: in order of trials.

    Of each trial first what was written on this machine, then what was sent, by attempt.
    """
    return [(number, path) for number, _, path in _files(folder) if trial in (None, number)]


def _files(folder: Path) -> list[tuple[int, int, Path]]:
    """Trial, attempt (-1: written on this machine, by all that ran here) and path of each log."""
    home = Path(log_path(str(folder), 0)).parent
    matches = ((_LOG.fullmatch(path.name), path) for path in home.glob("trial-*.log"))
    return sorted((int(match[1]), int(match[2] or -1), path) for match, path in matches if match)


def _sent(folder: Path) -> Iterator[Path]:
    return (path for _, attempt, path in _files(folder) if attempt >= 0)


def _dropped(folder: Path, most: int, newest: Path) -> int:
    """Delete the oldest until these bytes are left, but never the newest; returns how many there are."""
    files = sorted((path.stat().st_mtime_ns, path.stat().st_size, path) for path in _sent(folder))
    left = sum(size for _, size, _ in files)
    for _, size, path in files:
        if left > most and path != newest:
            path.unlink()
            left -= size
    return left
