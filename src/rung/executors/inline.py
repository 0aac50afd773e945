"""Jobs in the caller's own process and thread: nothing to start, nothing to pickle, a debugger works."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from rung.executors.base import Job
from rung.executors.calling import Objective, OutOfTimeError, call, style_of
from rung.executors.files import log_header, log_path
from rung.executors.handle import Trial
from rung.executors.setup import Setup
from rung.trials.events import Event, Failure, JobFailed, JobStopped


class InlineExecutor:
    """Runs one job at a time, inside `poll`.

    `poll` cannot return in the middle of a job, so the study sets `absorb`: each report and each checkpoint
    is handed to it at once, and the objective goes on when it returns; it may call `cancel`, which takes
    effect at this very report. A gate needs nothing more. Without `absorb` these events come out of `poll`,
    before the one that ends the job, which always does. An exception of `absorb` ends the job and comes out
    of `poll` as it is.

    What the objective prints stays on the terminal; tracebacks go to the trial's log. The limit on a job's
    time is noticed at its next report only, and a limit on memory not at all. `KeyboardInterrupt` in the
    objective comes out of `poll`; the next `poll` returns the job's `JobFailed(INTERRUPTED)`.
    """

    name = "inline"
    workers = 1

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._objective = Objective(setup.objective, style_of(setup.objective), setup.metric)
        self._folder = os.path.abspath(setup.folder)
        self._waiting: Job | None = None
        self._link: _Link | None = None  # of the running job
        self._events: list[Event] = []
        self._closed = False
        self.absorb: Callable[[list[Event]], None] = self._events.extend

    @property
    def free_slots(self) -> int:
        return 0 if self._closed or self._link else 1

    def submit(self, jobs: Sequence[Job]) -> None:
        if len(jobs) > self.free_slots:
            raise ValueError(f"{len(jobs)} jobs for {self.free_slots} free slots")
        for job in jobs:
            self._waiting = job
            self._link = _Link(self, job, self._setup.trial_seconds)

    def poll(self, timeout: float | None) -> list[Event]:
        job, self._waiting = self._waiting, None
        try:
            if job is not None and self._link is not None:
                self._run(job, self._link)
        finally:
            self._link = None
        events = list(self._events)
        self._events.clear()
        return events

    def cancel(self, trial: int) -> None:
        if self._link is not None and self._link.trial == trial:
            self._link.cancelled = True

    def now(self) -> float:
        return time.time()

    def close(self, *, grace: float = 0.0) -> None:
        """A job that was submitted and not begun is interrupted; one that runs stops at its next report."""
        self._closed = True
        job, self._waiting = self._waiting, None
        if self._link is not None:
            self._link.cancelled = True
        if job is not None:
            self._events.append(
                JobFailed(job.trial, Failure.INTERRUPTED, "the executor was closed", job.attempt, self.now())
            )

    def _run(self, job: Job, link: _Link) -> None:
        if link.cancelled:  # before it began
            self._events.append(JobStopped(job.trial, job.attempt, self.now()))
            return
        trial = Trial(job, link, self._folder, self._setup.save_every, self._setup.checkpoints)
        link.begin()
        try:
            end = call(self._objective, trial, job, self.now, lambda text: self._log(job, text))
        except KeyboardInterrupt:
            self._events.append(JobFailed(job.trial, Failure.INTERRUPTED, "Ctrl-C", job.attempt, self.now()))
            raise
        if link.broken is not None:
            raise link.broken
        self._events.append(end)

    def _log(self, job: Job, text: str) -> None:
        path = log_path(self._folder, job.trial)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(log_header(job.trial, job.attempt, time.strftime("%Y-%m-%d %H:%M:%S")) + text)


class _Link:
    """From the running job straight to `absorb`."""

    def __init__(self, executor: InlineExecutor, job: Job, seconds: float | None) -> None:
        self.trial = job.trial
        self.cancelled = False
        self.broken: BaseException | None = None  # what `absorb` raised
        self._executor = executor
        self._seconds = seconds
        self._began = 0.0

    def begin(self) -> None:
        self._began = time.monotonic()

    def tell(self, event: Event, *, waits: bool = False) -> None:
        if self.broken is not None:  # the objective caught it and goes on
            raise self.broken
        try:
            self._executor.absorb([event])
        except BaseException as error:
            self.broken = error
            raise

    def stopping(self) -> bool:
        if self._seconds is not None and time.monotonic() - self._began > self._seconds:
            raise OutOfTimeError(f"the job took longer than its limit of {self._seconds:g} s")
        return self.cancelled

    def now(self) -> float:
        return time.time()
