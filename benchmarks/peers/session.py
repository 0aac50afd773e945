"""A peer that searches: a process of its own, asked and told over its standard input and output."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from benchmarks.entries import Unavailable
from benchmarks.peers.call import python_of

_SCRIPTS: Final = Path(__file__).with_name("scripts")
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PATIENCE: Final = 600.0  # seconds for one answer


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
        self._peer = peer
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self._folder = tempfile.TemporaryDirectory()  # peers that write files write them there
        script = script or _SCRIPTS / f"{peer.replace('-', '_')}_tune.py"
        self._process = subprocess.Popen(
            [str(python), "-W", "ignore", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ
            | dict.fromkeys(_THREADS, "1")
            | {"PYTHONHASHSEED": "0", "PYTHONPATH": str(_SCRIPTS), "PYTHONUNBUFFERED": "1"},
            cwd=self._folder.name,
        )
        self.seconds = 0.0  # that the peer took to decide
        self.exchange(payload)

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
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            self.close()
            raise Unavailable(f"{self._peer} took more than {PATIENCE:g} s for an answer")
        line = self._process.stdout.readline()
        if not line:
            raise self._failure()
        answer: dict[str, Any] = json.loads(line)
        self.seconds += answer.get("seconds", 0.0)
        return answer

    def close(self) -> None:
        """End the peer's process; once more does nothing."""
        if self._errors.closed:
            return
        self._process.kill()
        self._process.communicate()
        self._errors.close()
        self._folder.cleanup()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _failure(self) -> Unavailable:
        """What the peer wrote last, when it has gone."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        self.close()
        said = lines[-1][:300] if lines else f"exit code {self._process.returncode}"
        return Unavailable(f"{self._peer} failed: {said}")
