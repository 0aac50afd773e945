"""One worker process: it loads the objective once, then runs jobs until its supervisor is gone.

It starts in about 40 ms, so this module imports little: no NumPy, no pathlib, nothing that the objective does
not ask for itself.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any, NoReturn, cast

from rung.executors.base import Job
from rung.executors.calling import End, Objective, Style, call, message_of
from rung.executors.handle import Trial
from rung.executors.logs import JobLog, renew_streams
from rung.executors.pipes import Beat, Begin, Cancel, Frames, Go, Ready, Run, Waiting, frame, to_worker
from rung.trials.events import Event, Failure, JobFailed

_BEAT = 1.0  # seconds
_SOON = 0.05  # seconds until the next look at a log that grows fast


class Line:
    """The worker's end of the pipe, and its running job's link to the supervisor."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._sending = threading.Lock()  # the heartbeat has a thread of its own
        self._frames = Frames(to_worker)
        self._inbox: deque[Any] = deque()
        self._running: tuple[int, int] | None = None  # trial and attempt
        self._cancelled = False

    def send(self, *messages: Any) -> None:
        data = frame(*messages)
        try:
            with self._sending:
                self._end.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            end_group()

    def next_job(self) -> Job | None:
        """Wait for a job; None when the supervisor has no more."""
        self._running = None
        while True:
            message = self.receive()
            if message is None:
                return None
            if isinstance(message, Run):
                self._running, self._cancelled = (message.job.trial, message.job.attempt), False
                return message.job

    def receive(self) -> Any:
        """The next message, or None at the end of the pipe."""
        while not self._inbox:
            data = self._end.recv(1 << 16)
            if not data:
                return None
            self._inbox.extend(self._frames.feed(data))
        return self._inbox.popleft()

    # -- for the running job --------------------------------------------------------------------------

    def tell(self, event: Event, *, waits: bool = False) -> None:
        if not waits:
            self.send(event)
            return
        self.send(event, Waiting())
        while not self._cancelled:
            message = self.receive()
            if message is None:
                end_group()
            self._note(message)
            if isinstance(message, Go) and (message.trial, message.attempt) == self._running:
                return

    def stopping(self) -> bool:
        with suppress(BlockingIOError):
            while data := self._end.recv(1 << 16, socket.MSG_DONTWAIT):
                self._inbox.extend(self._frames.feed(data))
        while self._inbox:
            self._note(self._inbox.popleft())
        return self._cancelled

    def now(self) -> float:
        return time.time()

    def _note(self, message: Any) -> None:
        if isinstance(message, Cancel) and (message.trial, message.attempt) == self._running:
            self._cancelled = True


def main(pipe: int, code: int, parent: int) -> None:
    """Serve the supervisor at the other end of `pipe` (a file descriptor), process `parent`.

    Args:
        code: a file descriptor from which the pickled objective can be read.
    """
    import faulthandler

    faulthandler.enable()  # a crash in C leaves Python's stack in the trial's log
    for number in (pipe, code):
        os.set_inheritable(number, False)
    renew_streams()
    end = socket.socket(fileno=pipe)
    line = Line(end)
    begin = line.receive()
    if not isinstance(begin, Begin):
        return
    sys.argv = list(begin.arguments)
    log = JobLog(begin.folder, begin.spool, begin.log_size)
    beat = threading.Thread(target=_beat, args=(line, log, pipe, parent), name="rung-heartbeat", daemon=True)
    beat.start()
    loaded = _load(code, begin)
    line.send(Ready())
    while (job := line.next_job()) is not None:
        line.send(_run(job, loaded, line, begin, log))


def _load(code: int, begin: Begin) -> Objective | str:
    """The objective, or the sentence that says why it cannot be loaded."""
    try:
        with open(code, "rb", closefd=True) as file:
            size, data = os.fstat(code).st_size, bytearray()
            while len(data) < size:  # the offset is shared with the other workers: never moved
                data += os.pread(file.fileno(), size - len(data), len(data))
        function = pickle.loads(data)  # noqa: S301  # written by our own supervisor, in a file without a name
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever importing the user's modules raises
        return f"the objective cannot be loaded in a worker process: {message_of(error)}"
    return Objective(function, cast(Style, begin.style), begin.metric)


def _run(job: Job, objective: Objective | str, line: Line, begin: Begin, log: JobLog) -> End:
    if isinstance(objective, str):
        return JobFailed(job.trial, Failure.ERROR, objective, job.attempt, time.time())
    try:
        log.begin(job.trial, job.attempt)
    except OSError as error:
        message = f"the trial's log cannot be written: {error}"
        return JobFailed(job.trial, Failure.LOST, message, job.attempt, time.time())
    trial = Trial(job, line, begin.folder, begin.save_every, begin.checkpoints)
    try:
        return call(objective, trial, job, time.time, _complain)
    except KeyboardInterrupt:  # a SIGINT sent to this very process: no terminal sends one
        return JobFailed(job.trial, Failure.LOST, "interrupted by SIGINT", job.attempt, time.time())
    finally:
        with suppress(OSError):  # a full disk: the log is lost, the result is not
            log.end()


def _complain(text: str) -> None:
    with suppress(OSError, ValueError, AttributeError):  # a full disk; closed by the objective
        sys.stderr.write(text)


def _beat(line: Line, log: JobLog, pipe: int, parent: int) -> None:
    """Tell every second that we live; end all when the supervisor does not.

    Its death closes the pipe, which is noticed at once, unless a process that it forked holds it open: then
    our parent has changed.
    """
    hangup = select.poll()
    hangup.register(pipe, 0)  # errors and hang-ups only: the main thread reads
    wait = _BEAT
    while True:
        if hangup.poll(wait * 1000) or os.getppid() != parent:
            end_group()
        wait = _BEAT
        with suppress(OSError):  # a full disk
            wait = _SOON if log.look() else _BEAT
        line.send(Beat())


def end_group() -> NoReturn:
    """End this process and whatever it started: nobody is left to work for."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
