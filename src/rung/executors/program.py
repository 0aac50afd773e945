"""A program that a job runs: a process group of its own, what it prints, and its end.

Beside it stands a guard, a shell that waits at a pipe. When the process that runs the job dies, however that
happens, the pipe closes, and the guard kills the program's group and removes its folder.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, Final

_CHUNK: Final = 1 << 16
_GUARD: Final = 'trap "" HUP INT TERM; read -r word && exit; kill -s KILL -- "-$1"; rm -rf -- "$2"'
_PIPES: Final = 1 << 21  # bytes that two pipes hold at most
_LINGER: Final = 0.2  # seconds that output is waited for after the end, where another process holds the pipe


class Program:
    """A running program and everything that it started.

    Args:
        words: the program and its arguments.
        environment: its whole environment.
        home: a folder of this run's own, which goes with it when we die.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], home: str) -> None:
        self._process = subprocess.Popen(
            list(words),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            bufsize=0,
        )
        self._selector = selectors.DefaultSelector()
        for name, stream in (("out", self._process.stdout), ("err", self._process.stderr)):
            assert stream is not None
            self._selector.register(stream, selectors.EVENT_READ, name)
        try:
            self._guard = _guard(self._process.pid, home)
        except OSError:
            self._end()
            raise

    def read(self, timeout: float) -> Iterator[tuple[str, bytes]]:
        """What it prints, as pairs of "out" or "err" and bytes, waiting up to `timeout` seconds for it."""
        if not self._selector.get_map():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
            return
        for key, _ in self._selector.select(timeout):
            stream: IO[bytes] = key.fileobj  # type: ignore[assignment]
            data = os.read(stream.fileno(), _CHUNK)
            if data:
                yield key.data, data
            else:
                self._selector.unregister(stream)

    def read_on(self) -> Iterator[tuple[str, bytes]]:
        """What is left in the pipes after its end: all of it, however long we take, but not for ever."""
        until, more = time.monotonic() + _LINGER, 0
        while self._selector.get_map() and more <= _PIPES:
            left = until - time.monotonic()
            found = list(self.read(max(0.0, left)))
            yield from found
            if left <= 0:  # something else than the program still holds a pipe
                more += sum(len(data) for _, data in found)
                if not found:
                    return

    @property
    def code(self) -> int | None:
        """Its exit code, minus a signal's number if that killed it; None as long as it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send this signal to all its processes."""
        with suppress(
            ProcessLookupError, PermissionError
        ):  # nobody is left; of zombies macOS says the latter
            os.killpg(self._process.pid, number)

    def close(self) -> None:
        """Kill what still runs of it."""
        self._end()
        with suppress(BrokenPipeError):
            self._guard.communicate(b"ended\n")

    def _end(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        self._selector.close()


def _guard(group: int, home: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "sh", str(group), home],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
