"""An outside worker: a study's jobs, run by a function of one's own process over ask and tell."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from rung.errors import StudyError, UserError
from rung.executors import make_executor
from rung.executors.base import Executor
from rung.executors.base import Job as LocalJob
from rung.executors.calling import style_of
from rung.executors.checkpoint_files import DamagedError
from rung.executors.inline import InlineExecutor
from rung.executors.processes import NotSentError, cores, dump
from rung.executors.remote import is_url
from rung.executors.setup import Setup
from rung.service.delivery import ENDS, Delivery
from rung.service.http import Api, Call, of_job, part
from rung.service.tars import download
from rung.service.wire import Asked, Job, Word
from rung.trials.events import CheckpointDamaged, Event, Failure, JobFailed

_PAUSE: Final = 1.0  # seconds between two asks, unless the service says otherwise
_BEATS: Final = 3  # signs of life within a lease
_TICK: Final = 0.2  # seconds until a job in another process is told to stop
_GRACE: Final = 30.0  # seconds that it gets then to stop by itself, before it is killed


def local_job(job: Job, checkpoint: str | None) -> LocalJob:
    """The job as our executors take it."""
    return LocalJob(
        job.trial,
        job.until,
        job.config,
        start=job.start,
        attempt=job.attempt,
        seed=job.seed,
        checkpoint=checkpoint,
        gates=job.gates,
        plain=job.resource is None,
        devices=job.devices,
        digest=job.digest if checkpoint is not None else "",
    )


class Outside:
    """Runs one study's jobs in threads of this process; those that have limits in processes of their own.

    Args:
        function: the objective, see `rung.executors.calling`.
        worker: its name in the log.
        metric: what a number that the function returns is.
        limited: whether the study limits a job's time or memory.

    Raises:
        StudyError: the function cannot be called, or not be sent to another process though that is needed.
    """

    def __init__(
        self,
        api: Api,
        study: str,
        function: Callable[..., Any],
        worker: str,
        metric: str,
        *,
        limited: bool = False,
    ) -> None:
        style_of(function)
        if limited:
            _check_sent(function)
        self._api = api
        self._study = study
        self._function = function
        self._worker = worker or f"{socket.gethostname()}-{os.getpid()}"
        self._metric = metric
        self._leaving = threading.Event()
        self._ran = 0
        self._lock = threading.Lock()
        self._failed: BaseException | None = None

    def run(self, slots: int) -> int:
        """Until there are no more jobs; how many were run.

        Raises:
            UserError: the service refuses, or does not answer.
        """
        if slots < 1:
            raise StudyError(f"slots must be at least 1, not {slots!r}")
        share = max(1, cores() // slots)
        threads = [threading.Thread(target=self._slot, args=(share,), daemon=True) for _ in range(slots)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():  # an endless join would not let Ctrl-C through everywhere
                    thread.join(1.0)
        except KeyboardInterrupt:
            self._leaving.set()
            for thread in threads:
                thread.join()
            raise
        if self._failed is not None:
            raise self._failed
        return self._ran

    def _slot(self, share: int) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="rung-") as folder, closing(_Engine()) as engine:
                while not self._leaving.is_set():
                    asked = self._ask()
                    if (job := asked.job) is not None:
                        executor = engine.executor(self._setup(job, Path(folder), share))
                        run = _Run(self, job, asked.lease_seconds, Path(folder), executor)
                        run.run()
                        if run.killed:
                            engine.close()
                        with self._lock:
                            self._ran += 1
                    elif asked.done:
                        return
                    else:
                        self._leaving.wait(asked.retry_after or _PAUSE)
        except BaseException as error:  # noqa: BLE001  # it comes out of `run`, in the caller's thread
            self._failed = self._failed or error
            self._leaving.set()

    def _ask(self) -> Asked:
        call = Call("POST", f"/studies/{part(self._study)}/ask", {"worker": self._worker})
        return msgspec.convert(self._api.json(call), Asked)

    def _setup(self, job: Job, folder: Path, share: int) -> Setup:
        return Setup(
            self._function,
            self._metric,
            1,
            folder,
            trial_seconds=job.trial_seconds,
            trial_memory=job.trial_memory,
            checkpoints=job.checkpoints,
            cores=share,
        )

    @property
    def api(self) -> Api:
        return self._api

    @property
    def leaving(self) -> bool:
        """Whether jobs are to stop."""
        return self._leaving.is_set()


class _Engine:
    """What runs a slot's jobs: in this thread, or in a process that stays, which alone can be killed."""

    def __init__(self) -> None:
        self._executor: Executor | None = None
        self._setup: Setup | None = None

    def executor(self, setup: Setup) -> Executor:
        """One that runs this; the last job's, if it does."""
        if self._executor is None or setup != self._setup:
            self.close()
            limited = setup.trial_seconds is not None or setup.trial_memory is not None
            self._executor, self._setup = make_executor("local" if limited else "inline", setup), setup
        return self._executor

    def close(self) -> None:
        """Kill what runs here."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.close()


class _Run:
    """One job, in the thread that calls `run`; another keeps its lease alive meanwhile.

    Attributes:
        killed: whether its executor was closed, since the job did not stop in time.
    """

    def __init__(self, outside: Outside, job: Job, lease: float, folder: Path, executor: Executor) -> None:
        self._outside = outside
        self._job = job
        self._lease = lease
        self._folder = folder
        self._executor = executor
        self._delivery = Delivery(outside.api, job, folder, _warn)
        self._over = threading.Event()
        self._cancelled = False
        self.killed = False

    def run(self) -> None:
        beat = threading.Thread(target=self._beat, daemon=True)
        beat.start()
        try:
            events = self._events()
        finally:
            self._over.set()
            beat.join()
        for event in events:
            self._delivery.deliver(event, leaving=self._cancelled)

    def _events(self) -> Sequence[Event]:
        """Run it; the event that ends it comes last."""
        job = self._job
        with tempfile.TemporaryDirectory(prefix="rung-from-") as place:
            try:
                start = job.checkpoint
                if start is not None and not is_url(start):  # which the executor reads itself
                    start = f"{place}/checkpoint"
                    download(self._outside.api, job.study, job.checkpoint or "", Path(start), job.digest)
            except DamagedError as error:
                damaged = CheckpointDamaged(job.trial, str(error), job.attempt)
                return [damaged, JobFailed(job.trial, Failure.INTERRUPTED, str(error), job.attempt)]
            except UserError as error:
                return [JobFailed(job.trial, Failure.LOST, str(error), job.attempt)]
            if isinstance(self._executor, InlineExecutor):
                self._executor.absorb = self._absorb
            self._executor.submit([local_job(job, start)])
            return [self._end()]

    def _end(self) -> Event:
        """Wait for the event that ends the job; bring those before it to the service, and its word back."""
        told: float | None = None  # when it was told to stop
        while True:
            for event in self._executor.poll(_TICK):
                if isinstance(event, ENDS):
                    return event
                self._absorb([event])
            if self._outside.leaving:
                self._stop()
            if self._cancelled and told is None:
                told = time.monotonic()
                self._executor.cancel(self._job.trial)
            elif told is not None and time.monotonic() - told > _GRACE:
                self.killed = True
                self._executor.close()

    def _absorb(self, events: Sequence[Event]) -> None:
        for event in events:
            self._obey(self._delivery.deliver(event))
        if self._outside.leaving:
            self._stop()

    def _beat(self) -> None:
        while not self._over.wait(self._lease / _BEATS):
            try:
                call = of_job(self._job, "renew", {})
                self._obey(msgspec.convert(self._outside.api.json(call), Word))
            except UserError:  # the lease is lost, or nobody answers
                self._stop()
            if self._outside.leaving:
                self._stop()

    def _obey(self, word: Word) -> None:
        if not word.go_on:
            self._stop()

    def _stop(self) -> None:
        self._cancelled = True
        if isinstance(self._executor, InlineExecutor):  # the others' are told by the thread that polls them
            self._executor.cancel(self._job.trial)


def _check_sent(function: Callable[..., Any]) -> None:
    """Refuse what cannot be sent to another process, before a job is taken.

    Raises:
        StudyError: it cannot.
    """
    try:
        dump(function)
    except NotSentError as error:
        why = f"{type(error.__cause__).__name__}: {error.__cause__}"
        raise StudyError(
            "the study limits a job's time or memory, so its jobs run in processes of their own, and the "
            f"function cannot be sent there ({why}): make what cannot be pickled inside the function"
        ) from error


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)
