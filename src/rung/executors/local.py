"""Jobs in worker processes of this machine, supervised: the default for more than one worker.

Each worker is a persistent process with a pipe of its own. The supervisor has no thread: it looks after its
workers while it is polled, which the study does all the time.

- A worker that dies (a crash, `os._exit`, SIGKILL): `JobFailed(LOST)` that says how, and a new worker.
- Nothing heard of a worker for `silence` seconds, because it is stopped or stuck in C code that holds
  Python's lock: killed, `JobFailed(LOST)`.
- A job that takes longer than `trial_seconds`: killed, `JobFailed(TIMEOUT)`.
- A job whose processes hold more than `trial_memory`: killed, `JobFailed(MEMORY)`. They are looked at ten
  times a second, so a fast one may pass the limit for a moment. A limit on the address space would be hard,
  but hits torch and BLAS, which reserve much that they never use.
- The supervisor dies, by whatever signal: every worker kills its own process group.

What is killed is the whole process group, so that nothing that an objective started is left. (A child that
makes a session of its own escapes; so does, until it returns, C code that holds Python's lock after the
supervisor was killed.) Linux and macOS; Windows has
neither process groups nor sockets that a child can inherit by number: use `executor="inline"` there.
"""

from __future__ import annotations

import os
import selectors
import sys
import time
from collections.abc import Sequence
from typing import Any

from rung.errors import StudyError
from rung.executors import memory
from rung.executors.base import Job
from rung.executors.calling import style_of
from rung.executors.pipes import Begin, Cancel, Go
from rung.executors.processes import Shipped, prepare, spool
from rung.executors.remote import is_url
from rung.executors.setup import Setup
from rung.executors.slots import Slots
from rung.executors.supervise import Worker
from rung.trials.events import Event, Failure, JobFailed, JobFinished, JobStopped

_TICK = 1.0  # seconds between two looks at all workers
_TICK_MEMORY = 0.1  # the same under a limit on memory
_ENDS = frozenset({JobFinished, JobFailed, JobStopped})
_FAREWELL = 1.0  # seconds that idle workers get to end by themselves


class LocalExecutor:
    """Runs jobs in `setup.workers` worker processes.

    Args:
        silence: seconds without a sign of life after which a worker is given up.
        shipped: the objective, if it came pickled; the setup's own is then not looked at.
        first: the number of the first worker, by which its files are named.

    Raises:
        StudyError: the objective cannot be called, or not be sent to another process.
    """

    name = "local"

    def __init__(
        self, setup: Setup, *, silence: float = 300.0, shipped: Shipped | None = None, first: int = 0
    ) -> None:
        if os.name != "posix":
            raise StudyError("worker processes need Linux or macOS: use executor='inline' here")
        begin = Begin(
            style=style_of(setup.objective) if shipped is None else shipped.style,
            metric=setup.metric,
            folder=os.path.abspath(setup.folder),
            spool="",
            save_every=setup.save_every,
            arguments=tuple(sys.argv),
            checkpoints=setup.checkpoints,
            log_size=setup.log_size,
        )
        self.workers = setup.workers
        self._setup = setup
        self._silence = silence
        self._launch = prepare(setup, None if shipped is None else shipped.pickled, first)
        self._selector = selectors.DefaultSelector()
        self._crew = [Worker(index, self._launch, begin, self._selector) for index in range(setup.workers)]
        self._free = Slots(self._crew)
        self._busy: dict[int, Worker] = {}  # by trial
        self._gated: list[tuple[Worker, Job]] = []
        self._events: list[Event] = []
        self._looked = time.monotonic()
        self._closed = False
        for worker in self._crew:
            worker.start()

    @property
    def free_slots(self) -> int:
        return len(self._free)

    @property
    def running(self) -> tuple[int, ...]:
        """The trials whose jobs run."""
        return tuple(self._busy)

    def submit(self, jobs: Sequence[Job]) -> None:
        wanted = sum(map(self._free.wanted, jobs))
        if wanted > len(self._free):
            raise ValueError(f"{len(jobs)} jobs want {wanted} of {len(self._free)} free slots")
        for job in jobs:
            worker = self._free.take(job)
            self._busy[job.trial] = worker
            if job.checkpoint is not None and not is_url(
                job.checkpoint
            ):  # the objective may work in another folder
                job = job._replace(checkpoint=os.path.abspath(job.checkpoint))
            worker.assign(job)

    def poll(self, timeout: float | None) -> list[Event]:
        if not self._closed:
            self._open_gates()
            self._collect(timeout)
        events, self._events = self._events, []
        return events

    def _collect(self, timeout: float | None) -> None:
        """Take in what has come; if it is nothing, wait for something."""
        until = None if timeout is None else time.monotonic() + timeout
        self._step(0.0 if self._events else self._patience(until))
        while not self._events and self._busy and (until is None or time.monotonic() < until):
            self._step(self._patience(until))

    def cancel(self, trial: int) -> None:
        worker = self._busy.get(trial)
        if worker is None or worker.job is None:
            return
        job = worker.job
        self._gated = [pair for pair in self._gated if pair[0] is not worker]
        if worker.sent:
            worker.send(Cancel(trial, job.attempt))
        else:  # its worker is still starting
            self._end(worker, JobStopped(trial, job.attempt, self.now()))

    def now(self) -> float:
        return time.time()

    def close(self, *, grace: float = 0.0) -> None:
        """Tell all jobs to stop, wait up to `grace` seconds for them to save, then kill what is left.

        What they still tell, and a `JobFailed(INTERRUPTED)` for each that was killed, comes out of the next
        `poll`.
        """
        if self._closed:
            return
        self._closed = True
        until = time.monotonic() + grace
        for trial in list(self._busy):
            self.cancel(trial)
        while self._busy and (left := until - time.monotonic()) > 0:
            self._step(min(left, _TICK_MEMORY))
        for worker in list(self._busy.values()):
            worker.kill(Failure.INTERRUPTED, "the executor was closed")
            self._died(worker)
        self._dismiss()

    def wait_ready(self) -> None:
        """Wait until every worker has loaded the objective, or died of it."""
        while any(worker.starting for worker in self._crew):
            self._step(_TICK)

    # -- one step -------------------------------------------------------------------------------------

    def _patience(self, until: float | None) -> float:
        """Seconds that the next step may wait: till `until`, a job's limit, or the next look at all."""
        if not self._busy:
            return 0.0
        now = time.monotonic()
        wait = _TICK if self._setup.trial_memory is None else _TICK_MEMORY
        if until is not None:
            wait = min(wait, until - now)
        if self._setup.trial_seconds is not None:
            begun = [worker.begun for worker in self._busy.values() if worker.sent]
            wait = min([wait, *(moment + self._setup.trial_seconds - now for moment in begun)])
        return max(0.0, wait)

    def _step(self, wait: float) -> None:
        """Take in what workers have sent, waiting for it up to `wait` seconds, and look after them."""
        for key, mask in self._selector.select(wait):
            worker = key.data
            if mask & selectors.EVENT_WRITE:
                worker.flush()
            if mask & selectors.EVENT_READ:
                self._receive(worker)
        if self._setup.trial_seconds is not None:
            self._look_at_clocks()
        now = time.monotonic()
        if now - self._looked >= (_TICK if self._setup.trial_memory is None else _TICK_MEMORY):
            self._looked = now
            self._look_after(now)

    def _receive(self, worker: Worker) -> bool:
        """Take in what a worker has sent; whether that was anything."""
        messages = worker.receive()
        for message in messages or ():
            if isinstance(message, Event):
                self._take(worker, message)
            elif worker.note(message) and worker.job is not None:
                self._gated.append((worker, worker.job))
        if messages is None:
            self._died(worker)
        return bool(messages)

    def _take(self, worker: Worker, event: Any) -> None:
        job = worker.job
        if job is None or (event.trial, getattr(event, "attempt", job.attempt)) != (job.trial, job.attempt):
            return  # of a job that has ended: nobody waits for it
        if type(event) in _ENDS:
            self._end(worker, event)
        else:
            self._events.append(event)

    def _end(self, worker: Worker, event: Any, *, dead: bool = False) -> None:
        """The worker's job ends with this event; a worker that has died is taken again last."""
        self._events.append(event)
        del self._busy[event.trial]
        worker.job = None
        self._free.give(worker, last=dead)

    def _open_gates(self) -> None:
        """Let go on whose report at a gate the last poll returned."""
        for worker, job in self._gated:
            if worker.job is job:
                worker.send(Go(job.trial, job.attempt))
        self._gated.clear()

    # -- looking after the workers --------------------------------------------------------------------

    def _look_at_clocks(self) -> None:
        limit, now = self._setup.trial_seconds, time.monotonic()
        assert limit is not None
        for worker in self._busy.values():
            if worker.sent and now - worker.begun >= limit:
                worker.kill(Failure.TIMEOUT, f"the job took longer than its limit of {limit:g} s")

    def _look_after(self, now: float) -> None:
        self._look_at_memory()
        for worker in self._crew:
            if worker.process is None:
                continue
            if now - worker.heard >= self._silence:
                self._receive(worker)  # the supervisor itself may have slept
                if worker.process is not None and now - worker.heard >= self._silence:
                    worker.kill(Failure.LOST, f"nothing was heard of the worker for {self._silence:g} s")
            if worker.process is not None and worker.process.poll() is not None:
                self._buried_alive(worker)

    def _buried_alive(self, worker: Worker) -> None:
        """It has ended, but a process that it forked may hold its end of the pipe open."""
        while self._receive(worker):
            continue
        if worker.process is not None and worker.process.poll() is not None:
            self._died(worker)

    def _look_at_memory(self) -> None:
        limit = self._setup.trial_memory
        if limit is None:
            return
        running = {w.process.pid: w for w in self._busy.values() if w.process is not None and w.sent}
        for group, size in (memory.over(running, limit) if running else {}).items():
            message = f"the job held {size / 2**20:,.0f} MiB, more than its limit of {limit / 2**20:,.0f} MiB"
            running[group].kill(Failure.MEMORY, message)

    def _died(self, worker: Worker) -> None:
        """A worker is no more: end its job, and start another in its place.

        One that died as it started is started again when there is a job for it, and not before.
        """
        was_starting = worker.starting
        failure, message = worker.bury()
        job = worker.job
        if job is not None and not worker.sent and failure is Failure.LOST:
            where = spool(self._launch, worker.index)
            message = f"{message} as it loaded the objective; {where} may say more"
        if job is not None:
            self._end(worker, JobFailed(job.trial, failure, message, job.attempt, self.now()), dead=True)
        if not was_starting and not self._closed:
            worker.start()

    def _dismiss(self) -> None:
        """End the idle workers."""
        until = time.monotonic() + _FAREWELL
        for worker in self._crew:
            worker.dismiss()
        for worker in self._crew:
            worker.leave(max(0.0, until - time.monotonic()))
        self._free.clear()
        self._selector.close()
        self._launch.code.close()
        for worker in self._crew:
            path = spool(self._launch, worker.index)
            if os.path.exists(path) and os.path.getsize(path) == 0:
                os.remove(path)
