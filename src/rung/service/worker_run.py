"""One job of a worker, from its arrival to the moment at which the service knows how it ended."""

from __future__ import annotations

import shutil
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from rung.errors import UserError
from rung.executors import make_executor
from rung.executors.base import Executor
from rung.executors.checkpoint_files import DamagedError
from rung.executors.needs import Needs
from rung.executors.processes import NotSentError
from rung.executors.ray_errors import ClusterLostError
from rung.executors.remote import is_url
from rung.executors.setup import Setup
from rung.service.delivery import ENDS, Delivery
from rung.service.http import Api
from rung.service.outside import local_job
from rung.service.tars import download
from rung.service.wire import Job, Word
from rung.service.worker_objectives import Objectives, RefusedError
from rung.service.worker_outbox import Outbox
from rung.trials.events import (
    CheckpointDamaged,
    Event,
    Failure,
    JobFailed,
    JobFinished,
    JobStopped,
    Reported,
)

_TICK: Final = 0.2  # seconds until a job is told to stop
_LITTLE: Final = 65_536  # bytes that a job's log, at least, has room for
_ROOM: Final = 60.0  # that a job waits for an executor which has no room for it


class UnfitError(UserError):
    """This machine can run no job now: no room on its disk, no process more, no node of its cluster."""


@dataclass(frozen=True)
class Engine:
    """What runs a worker's jobs.

    Attributes:
        name: "local" or "ray".
        address, needs: of a Ray cluster, see `rung.executors.setup.Engine`.
        folder: for what jobs print, and for checkpoints on their way.
        grace: seconds that a job gets to stop by itself before it is killed.
    """

    name: str
    folder: Path
    grace: float = 30.0
    address: str | None = None
    needs: Needs | None = None


class Slot:
    """A place for one job at a time; its executor stays as long as jobs want the same of it.

    Args:
        number: from 0; jobs of different slots have different folders, since executors share none.
        gpus: what its jobs may use.
    """

    def __init__(self, engine: Engine, number: int = 0, gpus: Sequence[str] = ()) -> None:
        self.number = number
        self.gpus = tuple(gpus)
        self._engine = engine
        self._setup: Setup | None = None
        self._executor: Executor | None = None
        self.study: str | None = None  # of its last job
        self.freed = 0.0  # when that ended, monotonic

    def executor(self, setup: Setup) -> Executor:
        """One that runs this; the last job's, if it does.

        Raises:
            RefusedError: the objective cannot be sent to another process.
            ClusterLostError: the cluster is gone.
            UnfitError: it cannot be made, whatever the objective.
        """
        if self._executor is None or setup != self._setup:
            self.close()
            try:
                self._executor, self._setup = make_executor(self._engine.name, setup), setup
            except ClusterLostError:
                raise
            except NotSentError as error:
                raise RefusedError(str(error)) from error
            except (UserError, OSError) as error:
                raise UnfitError(str(error)) from error
        return self._executor

    def freed_by(self, study: str) -> Slot:
        """Itself, which notes that a job of this study has ended."""
        self.study, self.freed = study, time.monotonic()
        return self

    def let_go(self, seconds: float) -> None:
        """Give back its place in a cluster, if it has had no job for so long: others may wait for that."""
        if self._engine.name == "ray" and time.monotonic() - self.freed > seconds:
            self.close()

    def close(self) -> None:
        """Kill what runs here."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.close()


class Run:
    """Runs one job in a thread of its own.

    Args:
        slots: those that it takes; the first has its executor.
        ended: called at the end, from that thread.
        say: takes a sentence that people should read.

    Attributes:
        outcome: the event that ended it; None until then.
        refused: why this worker does not run the study's objective; None if it does.
        unfit: why this machine could not run it now, nor another job; None if it could.
        lost: what runs jobs here is gone, for all of them; None as long as it is there.
    """

    def __init__(
        self,
        api: Api,
        job: Job,
        slots: Sequence[Slot],
        engine: Engine,
        objectives: Objectives,
        ended: Callable[[Run], None],
        say: Callable[[str], object],
    ) -> None:
        self.job = job
        self.slots = tuple(slots)
        self.outcome: Event | None = None
        self.refused: str | None = None
        self.unfit: str | None = None
        self.lost: UserError | None = None
        self._api = api
        self._engine = engine
        self._objectives = objectives
        self._ended = ended
        self._folder = engine.folder / folder_name(job.study) / f"slot-{self.slots[0].number}"
        self._delivery = Delivery(api, job, self._folder, say)
        self._outbox = Outbox(self._delivery, self._obey)
        self._stopping: str | None = None
        self._passed = 0  # gates behind it
        self._since = 0.0  # when it was told to stop, monotonic; 0: not yet
        self._thread = threading.Thread(target=self._main, name=f"rung-{job.trial}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def over(self) -> str | None:
        """Why the service did not want to hear of it any more; None if it did."""
        return self._delivery.over

    @property
    def broken(self) -> UserError | None:
        """Why the service cannot be told anything; None if it can."""
        return self._outbox.broken

    def stop(self, why: str) -> None:
        """Have the job stop at its next report; it is killed if it does not in time."""
        self._stopping = self._stopping or why

    def _obey(self, word: Word) -> None:
        if not word.go_on:
            self.stop(word.why or "stopped")

    def _main(self) -> None:
        start = self._folder / f".from-{self.job.trial}-{self.job.attempt}"
        try:
            try:
                self._run(start)
            except RefusedError as error:
                self.refused = str(error)
                self._give_back()
            except UnfitError as error:
                self.unfit = str(error)
                self._give_back()
            except DamagedError as error:
                self._outbox.put(CheckpointDamaged(self.job.trial, str(error), self.job.attempt))
                self._fail(Failure.INTERRUPTED, str(error))
            except ClusterLostError as error:  # which is not the trial's fault, and counts as no try
                self.lost = error
                self._fail(Failure.INTERRUPTED, str(error))
            except (UserError, OSError) as error:  # no checkpoint, no worker process any more
                self._fail(Failure.LOST, str(error))
            self._outbox.settle()
        finally:
            shutil.rmtree(start, ignore_errors=True)
            self._outbox.close()
            self._ended(self)

    def _give_back(self) -> None:
        """Another worker is to run it, or this one later; it counts as no try."""
        self.outcome = JobStopped(self.job.trial, self.job.attempt)
        self._outbox.put(self.outcome, leaving=True)

    def _fail(self, failure: Failure, message: str) -> None:
        self.outcome = JobFailed(self.job.trial, failure, message, self.job.attempt)
        self._outbox.put(self.outcome, leaving=failure is Failure.INTERRUPTED)

    def _run(self, start: Path) -> None:
        job = self.job
        setup = self._setup()
        checkpoint = job.checkpoint
        if checkpoint is not None and not is_url(checkpoint):
            shutil.rmtree(start, ignore_errors=True)
            download(self._api, job.study, checkpoint, start, job.digest)
            checkpoint = str(start)
        executor = self.slots[0].executor(setup)
        if self._await_room(executor, setup.workers):
            executor.submit([local_job(job, checkpoint)])
            self._pump(executor)

    def _setup(self) -> Setup:
        """What the job's executor is to run.

        Raises:
            RefusedError: not on this worker.
            UnfitError: there is no place for what the job prints.
        """
        job, engine = self.job, self._engine
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _try_writing(self._folder / ".try")
        except OSError as error:
            raise UnfitError(f"nothing can be written to its folder: {error}") from error
        return Setup(
            self._objectives.get(job.objective or "", job.study, job.parameters),
            job.metric,
            job.devices if engine.name == "ray" else 1,  # Ray finds room for them; slots of ours are taken
            self._folder,
            trial_seconds=job.trial_seconds,
            trial_memory=job.trial_memory,
            gpus=tuple(gpu for slot in self.slots for gpu in slot.gpus),
            checkpoints=job.checkpoints,
            address=engine.address,
            needs=engine.needs,
        )

    def _await_room(self, executor: Executor, devices: int) -> bool:
        """Whether it can be submitted: other nodes of the last job may be at it, or have left the cluster."""
        until = time.monotonic() + _ROOM
        while executor.free_slots < devices and self._stopping is None and time.monotonic() < until:
            executor.poll(_TICK)
            if self._api.rest(_TICK / 4):
                break
        if executor.free_slots >= devices and self._stopping is None:
            return True
        if self._stopping is not None:
            self._give_back()
        else:
            self._fail(Failure.INTERRUPTED, f"the worker has no room for {devices} devices any more")
        return False

    def _pump(self, executor: Executor) -> None:
        """Bring what the job says to the service, and the service's word to the job, until it has ended."""
        while self.outcome is None:
            for event in executor.poll(_TICK):
                if isinstance(event, ENDS):
                    self.outcome = event
                self._outbox.put(event, leaving=self._stopping is not None)
                if isinstance(event, Reported) and self._at_gate(event):
                    self._await_word()
            self._enforce(executor)

    def _at_gate(self, event: Reported) -> bool:
        """Whether the job waits for the service's word on this report."""
        gates, before = self.job.gates, self._passed
        while self._passed < len(gates) and gates[self._passed] <= event.resource:
            self._passed += 1
        return self._passed > before

    def _await_word(self) -> None:
        while not self._outbox.settle(_TICK) and self._stopping is None:
            continue

    def _enforce(self, executor: Executor) -> None:
        """Tell the job to stop if it is to; kill it if it has not in time, or if nobody can be told."""
        if self.outcome is not None:
            return
        broken = self._outbox.broken is not None
        if self._stopping is None and not broken:
            return
        now = time.monotonic()
        if not self._since:
            self._since = now
            executor.cancel(self.job.trial)
        if broken or now - self._since > self._engine.grace:
            self.slots[0].close()


def _try_writing(file: Path) -> None:
    """See that there is some room: else each job would fail here at once, and its tries be gone in a second.

    Raises:
        OSError: there is not.
    """
    try:
        file.write_bytes(bytes(_LITTLE))
    finally:
        with suppress(OSError):
            file.unlink()


def folder_name(study: str) -> str:
    """A folder's name for a study of any name."""
    return f"{quote(study, safe=' ')[:60]}-{zlib.crc32(study.encode()):08x}"


def went_well(run: Run) -> bool:
    """Whether a job finished."""
    return isinstance(run.outcome, JobFinished)


def was_lost(run: Run) -> bool:
    """Whether a job's process was lost, or the node on which it ran."""
    return isinstance(run.outcome, JobFailed) and run.outcome.failure == Failure.LOST
