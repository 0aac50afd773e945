"""Where a worker's standard output and error go: to the log of the trial that it works for.

To make a file costs more than a short job. So a worker writes to a file of its own, its spool, which gets
the trial's name as soon as there is something in it: at the end of a job that printed, after a second of one
that runs, or when its supervisor finds it dead. Jobs that are short and silent leave no log.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TextIO

from rung.executors.files import log_header, log_path
from rung.executors.log_size import MOST, keep_ends

_PATIENCE = 1.0  # seconds after which a running job's log has its name
_FAST = 10  # of the most; if so much was printed between two looks, the next one is soon


class JobLog:
    """The log of the job that this process runs; file descriptors 1 and 2 are the spool at first.

    Args:
        folder: of the study, see `rung.executors.files.log_path`.
        most: bytes that a trial's log may have.
    """

    def __init__(self, folder: str, spool: str, most: int = MOST) -> None:
        self._most = most
        self._folder = folder
        self._spool = spool
        self._spooling = True  # 1 and 2 are the spool, under its own name
        self._at = spool  # what 1 and 2 are, by its present name
        self._size = 0  # when it was looked at last
        self._path: str | None = None  # the running job's log, as long as the spool has not got its name
        self._empty = 0  # size of the spool when nothing was printed
        self._began = 0.0
        self._lock = threading.Lock()  # the heartbeat publishes too

    def begin(self, trial: int, attempt: int) -> None:
        """Let what is printed from here on go to this trial's log, after a header line."""
        path = log_path(self._folder, trial)
        with self._lock:
            if os.path.exists(path):
                self._lead_to(path)
            elif not self._spooling:
                self._lead_to(self._spool)
            header = log_header(trial, attempt, time.strftime("%Y-%m-%d %H:%M:%S")).encode()
            os.write(1, header)
            self._path, self._empty, self._began = path, len(header), time.monotonic()

    def end(self) -> None:
        """The job has ended: keep what it printed, if it did, and let the next one print, whatever this one
        closed or redirected.
        """
        with self._lock:
            self._restore()
            if self._spooling and self._path is not None:
                if os.path.getsize(self._spool) > self._empty:
                    self._publish(self._path)
                else:
                    os.truncate(self._spool, 0)
            self._path = None
            keep_ends(self._at, self._most)

    def look(self) -> bool:
        """Give the log of a job that has run for a while its name, for whoever wants to read along, and cut
        one that has grown too large; whether it grows fast.
        """
        with self._lock:
            due = time.monotonic() - self._began >= _PATIENCE
            if due and self._spooling and self._path is not None:
                self._publish(self._path)
            size, before = os.path.getsize(self._at), self._size
            keep_ends(self._at, self._most)
            self._size = min(size, self._most)
        return size - before > self._most // _FAST

    def _restore(self) -> None:
        if not all(_leads_to(number, self._at) for number in (1, 2)):
            _point(self._at)
        renew_streams()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # a full disk
                stream.flush()

    def _publish(self, path: str) -> None:
        os.rename(self._spool, path)
        self._spooling, self._at = False, path

    def _lead_to(self, path: str) -> None:
        _point(path)
        self._spooling, self._at = path == self._spool, path


def adopt(spool: str, folder: str, trial: int, most: int = MOST) -> None:
    """What a dead worker had in its spool becomes the log of the trial that it ran."""
    path = log_path(folder, trial)
    if os.path.exists(spool) and os.path.getsize(spool) > 0 and not os.path.exists(path):
        os.rename(spool, path)
    keep_ends(path, most)


def open_spool(path: str) -> int:
    """An empty spool, as a file descriptor."""
    return os.open(path, _FLAGS | os.O_TRUNC, 0o644)


def renew_streams() -> None:
    """Let Python print to file descriptors 1 and 2 by streams of this module, which leave these open when
    they are closed: another file would have such a number next.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = _streams.get(name)
        if stream is None or stream.closed:
            stream = open(  # noqa: SIM115  # for as long as the process lives
                number, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
            )
            _streams[name] = stream
        setattr(sys, name, stream)


_streams: dict[str, TextIO] = {}
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


def _leads_to(number: int, path: str) -> bool:
    """Whether a file descriptor is open, and of this file."""
    try:
        return os.path.samestat(os.fstat(number), os.stat(path))
    except OSError:
        return False


def _point(path: str) -> None:
    """Let standard output and error go to this file, those of child processes too."""
    file = os.open(path, _FLAGS, 0o644)
    for number in (1, 2):
        if number != file:
            os.dup2(file, number)
    if file > 2:
        os.close(file)
    else:  # it was free, because a job had closed it
        os.set_inheritable(file, True)
