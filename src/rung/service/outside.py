"""An outside worker: a study's jobs, run by a function of one's own process over ask and tell."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from rung.errors import StudyError, UserError
from rung.executors.base import Job as LocalJob
from rung.executors.checkpoint_files import DamagedError
from rung.executors.inline import InlineExecutor
from rung.executors.remote import is_url
from rung.executors.setup import Setup
from rung.service.delivery import Delivery
from rung.service.http import Api, Call, of_job, part
from rung.service.tars import download
from rung.service.wire import Asked, Job, Word
from rung.trials.events import CheckpointDamaged, Event, Failure, JobFailed

_PAUSE: Final = 1.0  # seconds between two asks, unless the service says otherwise
_BEATS: Final = 3  # signs of life within a lease


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
    """Runs one study's jobs in threads of this process.

    Args:
        function: the objective, see `rung.executors.calling`.
        worker: its name in the log.
        metric: what a number that the function returns is.
    """

    def __init__(self, api: Api, study: str, function: Callable[..., Any], worker: str, metric: str) -> None:
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
        threads = [threading.Thread(target=self._slot, daemon=True) for _ in range(slots)]
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

    def _slot(self) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="rung-") as folder:
                while not self._leaving.is_set():
                    asked = self._ask()
                    if asked.job is not None:
                        _Run(self, asked.job, asked.lease_seconds, Path(folder)).run()
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

    def executor(self, folder: Path, checkpoints: str | None) -> InlineExecutor:
        """What runs one job."""
        return InlineExecutor(Setup(self._function, self._metric, 1, folder, checkpoints=checkpoints))

    @property
    def api(self) -> Api:
        return self._api

    @property
    def leaving(self) -> bool:
        """Whether jobs are to stop."""
        return self._leaving.is_set()


class _Run:
    """One job, in the thread that calls `run`; another keeps its lease alive meanwhile."""

    def __init__(self, outside: Outside, job: Job, lease: float, folder: Path) -> None:
        self._outside = outside
        self._job = job
        self._lease = lease
        self._folder = folder
        self._executor = outside.executor(folder, job.checkpoints)
        self._delivery = Delivery(outside.api, job, folder, _warn)
        self._over = threading.Event()
        self._cancelled = False

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
            self._executor.absorb = self._absorb
            self._executor.submit([local_job(job, start)])
            return self._executor.poll(None)

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
        self._executor.cancel(self._job.trial)


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)
