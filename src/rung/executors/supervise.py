"""One worker as its supervisor sees it: a process that starts, takes one job at a time, and dies."""

from __future__ import annotations

import selectors
import socket
import subprocess
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from rung.executors.base import Job
from rung.executors.logs import adopt
from rung.executors.pipes import Begin, Frames, Ready, Run, Waiting, frame, from_worker
from rung.executors.processes import Launch, describe, kill_group, reap, spawn, spool
from rung.trials.events import Failure

_CHUNK = 1 << 18


class Worker:
    """One place for a worker process; when it dies the next one takes the same place.

    Attributes:
        process: the present one, or None.
        starting: it has not loaded the objective yet.
        job: what it has to do, or None; `sent` once the process has it, at monotonic time `begun`.
        heard: monotonic time of its latest sign of life.
        slots: the numbers of the workers whose threads and GPUs its process has, its own first.
    """

    __slots__ = (
        "_begin",
        "_end",
        "_environment",
        "_frames",
        "_launch",
        "_outbox",
        "_selector",
        "_verdict",
        "begun",
        "heard",
        "index",
        "job",
        "process",
        "sent",
        "slots",
        "starting",
    )

    def __init__(self, index: int, launch: Launch, begin: Begin, selector: selectors.BaseSelector) -> None:
        self.index = index
        self.process: subprocess.Popen[bytes] | None = None
        self.job: Job | None = None
        self.sent = self.starting = False
        self.begun = self.heard = 0.0
        self.slots: tuple[int, ...] = (index,)
        self._launch = launch
        self._environment = self.own
        self._begin = msgspec.structs.replace(begin, spool=spool(launch, index))
        self._selector = selector
        self._end: socket.socket | None = None
        self._outbox = bytearray()
        self._frames = Frames(from_worker)
        self._verdict: tuple[Failure, str] | None = None

    @property
    def own(self) -> Mapping[str, str]:
        """The environment of a process that has this worker's slot only."""
        return self._launch.environments[self.index]

    def move(self, slots: tuple[int, ...], environment: Mapping[str, str]) -> None:
        """Have a process with this environment from now on; an idle one that has another ends."""
        self.slots = slots
        if environment != self._environment:
            self._environment = environment
            self.rest()

    def rest(self) -> None:
        """End an idle process; the next job starts another."""
        if self.process is not None:
            self.bury()

    def start(self) -> None:
        """Start a process here; it loads the objective while the caller goes on."""
        self.process, self._end = spawn(self._launch, self.index, self._environment)
        self._selector.register(self._end, selectors.EVENT_READ, self)
        self._frames, self._verdict = Frames(from_worker), None
        self._outbox.clear()
        self.starting, self.heard = True, time.monotonic()
        self.send(self._begin)

    def assign(self, job: Job) -> None:
        """Give it a job: sent at once, or as soon as the process is ready."""
        self.job, self.sent = job, False
        if self.process is None:
            self.start()
        elif not self.starting:
            self._send_job(job)

    def _send_job(self, job: Job) -> None:
        self.sent, self.begun = True, time.monotonic()
        self.send(Run(job))

    def send(self, message: Any) -> None:
        self._outbox += frame(message)
        self.flush()

    def flush(self) -> None:
        """Send what the pipe takes now, and the rest when it takes more."""
        if self._end is None:
            return
        try:
            del self._outbox[: self._end.send(self._outbox)]
            if not self._outbox and self._selector.get_key(self._end).events == selectors.EVENT_READ:
                return
        except BlockingIOError:
            pass  # full: the worker is busy
        except (BrokenPipeError, ConnectionResetError):
            self._outbox.clear()  # it is dead, which is noticed when its pipe is read
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outbox else 0)
        self._selector.modify(self._end, wanted, self)

    def receive(self) -> list[Any] | None:
        """The messages that have come, or None when its pipe is closed."""
        if self._end is None:
            return []
        try:
            data = self._end.recv(_CHUNK)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            return None
        if not data:
            return None
        self.heard = time.monotonic()
        try:
            return list(self._frames.feed(data))
        except msgspec.DecodeError:  # the objective wrote to a file descriptor that is not its own
            self.kill(Failure.LOST, "something else than the worker wrote to its pipe")
            return None

    def note(self, message: Any) -> bool:
        """Take in a message that is no event; whether it says that a report waits at a gate."""
        if isinstance(message, Ready):
            self.starting = False
            if self.job is not None:
                self._send_job(self.job)
        return isinstance(message, Waiting)

    def kill(self, failure: Failure, message: str) -> None:
        """Kill its process group; the end of its pipe follows, and then `bury` says this as the cause."""
        if self.process is not None and self._verdict is None:
            self._verdict = failure, message
            kill_group(self.process)

    def bury(self) -> tuple[Failure, str]:
        """Clear away a process that has died, and all that it started; why it died."""
        assert self.process is not None
        kill_group(self.process)
        code = reap(self.process)
        if self.job is not None and self.sent:
            adopt(self._begin.spool, self._begin.folder, self.job.trial, self._begin.log_size)
        self._hang_up()
        self.process, self.starting = None, False
        return self._verdict or (Failure.LOST, f"the worker {describe(code)}")

    def dismiss(self) -> None:
        """Let an idle process end by itself."""
        if self._end is not None:
            self._end.shutdown(socket.SHUT_WR)

    def leave(self, seconds: float) -> None:
        """Wait for a dismissed process, then end it, with all that it started."""
        if self.process is not None:
            reap(self.process, seconds)
            self.bury()

    def _hang_up(self) -> None:
        if self._end is not None:
            self._selector.unregister(self._end)
            self._end.close()
            self._end = None
