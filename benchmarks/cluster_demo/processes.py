"""The demo's processes: started, killed with SIGKILL, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen


class Process:
    """A command that is kept running, with a log of its own.

    Args:
        name: what it is called on the screen, and its log's name.
        command: of `rung`, without that word.
        folder: where it works, and its log lies.
        env: beside this process's own.
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path, env: dict[str, str]) -> None:
        self.name = name
        self.kills = 0
        self._command = [sys.executable, "-m", "rung", *command]
        self._folder = folder
        self._env = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", **env}
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def pid(self) -> int:
        return -1 if self._process is None else self._process.pid

    def start(self, command: Sequence[str] | None = None) -> None:
        """Start it, with another command of `rung` from now on if one is given."""
        if command is not None:
            self._command = [sys.executable, "-m", "rung", *command]
        with open(self._folder / f"{self.name}.log", "ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> bool:
        """SIGKILL, as the kernel does when memory runs out; whether it lived."""
        if self._process is None or self._process.poll() is not None:
            return False
        self._process.kill()
        self._process.wait()
        self.kills += 1
        return True

    def stop(self, seconds: float = 30.0) -> int | None:
        """SIGTERM, and SIGKILL if it does not end; its exit code."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def rung(arguments: Sequence[str], folder: Path, env: dict[str, str]) -> str:
    """What a command of `rung` prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "rung", *arguments],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", **env},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"rung {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    return done.stdout.strip()


def wait_ready(url: str, seconds: float = 60.0) -> None:
    """Until the service says that it is ready."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with urlopen(f"{url}/ready", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the service at {url} is not ready after {seconds:g} s")
