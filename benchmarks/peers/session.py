"""A peer that searches: a process of its own, asked and told over its standard input and output.

A peer's process does search after search, each in a fork of its own (`scripts/serve.py`): imports that take
seconds are done once. One that a search left whole waits for the next one until this process ends.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, NamedTuple

from benchmarks.entries import Unavailable
from benchmarks.peers.call import python_of

_SCRIPTS: Final = Path(__file__).with_name("scripts")
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PATIENCE: Final = 600.0  # seconds for one answer


class _Server(NamedTuple):
    """A peer's process, and what it writes to its standard error."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]

    def end(self) -> None:
        """With all of its forks; once more does nothing."""
        if self.errors.closed:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self.errors.close()


_IDLE: Final[dict[tuple[str, str], _Server]] = {}  # by Python and script


@atexit.register
def end_idle() -> None:
    """End the processes that wait for a search."""
    while _IDLE:
        _IDLE.popitem()[1].end()


def _start(python: Path, script: Path) -> _Server:
    errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `end`
    process = subprocess.Popen(
        [str(python), "-W", "ignore", str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=os.environ
        | dict.fromkeys(_THREADS, "1")
        | {"PYTHONHASHSEED": "0", "PYTHONPATH": str(_SCRIPTS), "PYTHONUNBUFFERED": "1"},
        start_new_session=True,  # so that forks end with it
    )
    return _Server(process, errors)


class Session:
    """One search of a peer.

    Args:
        peer: its name in `PEERS`.
        payload: what is searched, see `benchmarks.systems.clock`.
        script: of `scripts`; None for the peer's own, `<peer>_tune.py`.
        python: that runs it; None for the peer's own.

    Raises:
        Unavailable: the peer is not installed, or its script failed or hung; with the last line it wrote.
    """

    def __init__(
        self, peer: str, payload: Mapping[str, Any], script: Path | None = None, python: Path | None = None
    ) -> None:
        python = python or python_of(peer)
        if python is None:
            raise Unavailable(f"{peer} is not installed: make peers PEERS={peer}")
        script = script or _SCRIPTS / f"{peer.replace('-', '_')}_tune.py"
        self._peer = peer
        self._place = (str(python), str(script))
        self._server = _IDLE.pop(self._place, None) or _start(python, script)
        self._folder = tempfile.TemporaryDirectory()  # peers that write files write them there
        self.seconds = 0.0  # that the peer took to decide
        self.exchange(dict(payload) | {"folder": self._folder.name})

    def ask(self) -> tuple[int, dict[str, Any], int] | None:
        """The next job: (trial, configuration, resource); None if the peer waits for results."""
        answer = self.exchange({"ask": True})
        return None if "wait" in answer else (answer["trial"], answer["config"], int(answer["until"]))

    def tell(self, trial: int, resource: int, loss: float | None) -> int | None:
        """Tell a result, None for a failure; the resource to which the trial goes on at once."""
        until = self.exchange({"tell": trial, "resource": resource, "loss": loss})["until"]
        return None if until is None else int(until)

    def exchange(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a line, wait for one."""
        process = self._server.process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None
        if not select.select([process.stdout], [], [], PATIENCE)[0]:
            self.close()
            raise Unavailable(f"{self._peer} took more than {PATIENCE:g} s for an answer")
        line = process.stdout.readline()
        if not line:
            raise self._failure()
        answer: dict[str, Any] = json.loads(line)
        self.seconds += answer.get("seconds", 0.0)
        return answer

    def close(self) -> None:
        """End the peer's process, wherever it is; once more does nothing."""
        self._server.end()
        self._folder.cleanup()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The search has ended: its process waits for another, unless something went wrong."""
        if kind is not None or self._place in _IDLE or self._server.errors.closed:
            self.close()
            return
        self.exchange({"end": True})
        self._folder.cleanup()
        _IDLE[self._place] = self._server

    def _failure(self) -> Unavailable:
        """What the peer wrote last, when it has gone."""
        process, errors = self._server
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
        self.close()
        said = lines[-1][:300] if lines else f"exit code {process.returncode}"
        return Unavailable(f"{self._peer} failed: {said}")
