"""The one loop: ask the policies what to run, log it, hand it to the executor, log what happened, fold it.

    decide ──▶ log ──▶ submit ──▶ poll ──▶ fold ──▶ decide ...

Results of one round and the decisions that follow from them go to the log in one transaction, before any
of these jobs is submitted.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rung.errors import StudyError
from rung.executors import make_executor
from rung.executors.base import Executor, Job
from rung.executors.calling import style_of
from rung.executors.command import Command
from rung.executors.gpus import visible_gpus
from rung.executors.ordered import OrderedExecutor
from rung.executors.setup import Engine, Setup
from rung.schedulers.base import Done, Wait
from rung.space.draws import trial_seed
from rung.study.beyond import Beyond
from rung.study.checkpoint_places import resolved, wanted
from rung.study.checkpoints import Keeper
from rung.study.decide import ended, why_over
from rung.study.devices import check_slots, least, slots_event
from rung.study.endings import ending
from rung.study.failing import FAILING, Alike
from rung.study.fingerprint import fingerprint
from rung.study.identity import count
from rung.study.writer import Watch, Writer
from rung.trials import events as ev
from rung.trials.events import Event, Failure, JobStarted, Limits

_STOPPING = ("asha-stopping", "median", "percentile", "curve")  # schedulers that judge trials as they run
_GRACE = 30.0  # seconds that running jobs get to reach their next report and save, when told to stop
_GRACE_AT_BUDGET = 1.0  # the same when the time is up: a budget is a promise
_PROCESSES = 256  # local workers that are not too many for any machine
_TICK = 0.5  # seconds between looks at the clock, at signals and at other processes' requests


def run(
    writer: Writer,
    objective: Any,
    workers: int | None,
    executor: str | Engine | Executor | None,
    watch: Watch | None = None,
) -> None:
    """Run a study until its policies are done or a limit ends it; `watch` is called with what is logged.

    Raises:
        StudyError: no limit ends it, it is being run already, or a command names what is no parameter.
        KeyboardInterrupt: at the second Ctrl-C; the log is whole, and the study can be resumed.
    """
    if writer.loops:
        raise StudyError(f"study {writer.name!r} is being run: run() again once that has ended")
    if not writer.history.limits.ends:
        raise StudyError(
            "this search would never end: give it a budget, such as trials=100, budget='10m', "
            "total_resource=2000 or target=0.1"
        )
    if isinstance(objective, Command):
        objective.check(writer.space.names)
    asked = time.time()
    engine = _engine(writer, objective, workers, executor)
    if writer.identity.deterministic:
        again = writer.identity.door == "search"  # it keeps what was trained: repeating that costs nothing
        engine = OrderedExecutor(engine, writer.identity.deterministic, strict=again)
    if engine.name != "simulated" and writer.identity.scheduler.name in _STOPPING:
        _warn_if_silent(writer, objective)
    writer.watch = watch
    try:
        if engine.name != "ray":  # whose cluster may grow
            check_slots(writer.history, engine.workers)
        began = min(asked, engine.now())  # what a cluster takes to start is waited for, so it counts
        writer.begin(engine.name, engine.workers, fingerprint(objective), began)
        loop, writer.loops = Loop(writer, engine), True
        with _interrupts(loop):
            loop.run()
        loop.finish()
    finally:
        writer.watch, writer.loops = None, False
        engine.close(grace=0.0)


def _warn_if_silent(writer: Writer, objective: Any) -> None:
    """Nothing can be stopped by its reports if it makes none."""
    if writer.identity.resource is not None and style_of(objective) != "trial":
        warnings.warn(
            f"{writer.identity.scheduler.name} judges a trial by what it reports on the way, but this "
            "objective only returns: every trial runs to the end; take (trial) and call trial.report, or "
            "choose scheduler='asha'",
            stacklevel=4,
        )


def _engine(
    writer: Writer, objective: Any, workers: int | None, executor: str | Engine | Executor | None
) -> Executor:
    if executor is not None and not isinstance(executor, str | Engine):
        return executor
    elastic = workers is None
    workers = count("workers", workers) or 1
    limits = writer.history.limits
    limited = limits.trial_seconds is not None or limits.trial_memory is not None  # a process can be killed
    name = executor or ("inline" if workers == 1 and not limited else "local")
    engine = name if isinstance(name, Engine) else Engine(name)
    check_engine(engine.name, workers, limits, objective)
    place = wanted(writer.history).place
    if engine.name != "inline" and place is not None and place.startswith("memory://"):
        raise StudyError(
            f"checkpoints at {place} are in the memory of one process, and jobs run in others: give "
            "checkpoints in a folder or a store (--checkpoints), or take the executor 'inline'"
        )
    return make_executor(
        engine.name,
        Setup(
            objective=objective,
            metric=writer.identity.metric,
            workers=workers,
            folder=writer.log.folder,
            trial_seconds=limits.trial_seconds,
            trial_memory=limits.trial_memory,
            gpus=visible_gpus(),
            checkpoints=place,
            needs=engine.needs,
            address=engine.address,
            elastic=elastic,
        ),
    )


def check_engine(name: str, workers: int, limits: Limits, objective: Any) -> None:
    """Refuse what the executor cannot keep.

    Raises:
        StudyError: saying which executor can.
    """
    if name == "inline" and workers > 1:
        raise StudyError(
            f"the executor 'inline' runs one job at a time: give it one worker, or {workers} to 'local'"
        )
    if name == "inline" and limits.trial_memory is not None:
        raise StudyError("the executor 'inline' cannot limit a job's memory: use 'local' with trial_memory")
    if name == "inline" and limits.trial_seconds is not None and style_of(objective) != "trial":
        raise StudyError(
            "the executor 'inline' looks at a job's time only when it reports, which this objective never "
            "does: use 'local' with trial_time, or take (trial)"
        )
    most = max(_PROCESSES, 4 * (os.cpu_count() or 1))
    if name == "local" and workers > most:
        raise StudyError(
            f"{workers} workers would be as many processes here: give at most {most} "
            "(executor='simulated' tries a method with more)"
        )


class Loop:
    """One session of a study on one executor."""

    def __init__(self, writer: Writer, executor: Executor) -> None:
        self.writer = writer
        self.history = writer.history
        self.executor = executor
        self.interrupts = 0
        self.stop_wanted: str | None = None
        self._cancelled_at: float | None = None
        self._looked = time.monotonic()
        self._gated = any(running.job.gates for running in writer.history.retry)  # a job may be stopped
        self._plain = writer.identity.resource is None
        self._seed = writer.identity.seed
        self._alike = Alike(writer.history)
        self._beyond = Beyond(writer.history)
        # on a virtual clock nothing happens between two events, and half a second is no short while
        self._tick = None if getattr(executor, "virtual", False) else _TICK
        self._keeper = Keeper(writer)
        self._keeper.tidy()
        if hasattr(executor, "absorb"):
            executor.absorb = self._absorb  # it cannot return from `poll` in the middle of a job

    def run(self) -> None:
        """Until nothing runs and nothing will."""
        pending: list[Event] = []
        if self.history.begun and (overdue := self.writer.overdue(self.executor.now())) is not None:
            self._add(pending, overdue)  # an earlier session has spent it
        while True:
            jobs, stopped = self._decide(pending)
            self.writer.commit_folded(pending)
            for trial in stopped:
                self.executor.cancel(trial)
            if jobs:
                self.executor.submit(jobs)
            self._heed()
            if not self.history.running:
                return
            news: list[Event] = []
            for event in self.executor.poll(self._patience()):
                self._beyond.note(event)
                self._add(news, ending(self.history, event))
            pending = list(news)
            self._look(pending, news)

    def _decide(self, pending: list[Event]) -> tuple[list[Job], list[int]]:
        """Fold the decisions that can be taken now, and add them to what is to be logged."""
        jobs: list[Job] = []
        stopped: list[int] = []
        free, now, history = self.executor.free_slots, self.executor.now(), self.history
        slots = slots_event(history, free, now)
        if slots is not None:
            self._add(pending, slots)
        fewest = least(history)
        while free >= fewest or self._gated:
            event = self.writer.next_event(now, only_stops=free < fewest)
            if type(event) is JobStarted:
                jobs.append(self._job(event))
                free -= event.devices
                self._gated = self._gated or bool(event.gates)
            elif type(event) is ev.TrialStopped:
                stopped.append(event.trial)
            elif isinstance(event, Wait | Done):
                break
            history.fold(event)
            pending.append(event)
        if ended(history) is not None and self._cancelled_at is None:
            self._cancel_all()
        return jobs, stopped

    def _job(self, event: JobStarted) -> Job:
        writer, checkpoint = self.writer, event.checkpoint
        return Job(
            event.trial,
            event.until,
            self.history.config(event.trial)
            if event.values is None
            else writer.space.to_mapping(event.values),
            event.start,
            event.attempt,
            trial_seed(self._seed, event.trial),
            None if checkpoint is None else resolved(writer.log.folder, checkpoint),
            event.gates,
            self._plain,
            event.devices,
            digest="" if checkpoint is None else self.history.digest_of(event),
        )

    def _absorb(self, events: Sequence[Event]) -> None:
        """Take in what a job tells while it runs in this very thread; may cancel it."""
        for event in events:
            self._beyond.note(event)
        self.writer.commit(events)
        for trial in self.writer.stop_trials(self.executor.now()):
            self.executor.cancel(trial)
        more: list[Event] = []
        self._look(more, events)
        self.writer.commit_folded(more)
        if ended(self.history) is not None and self._cancelled_at is None:
            self._cancel_all()

    # -- the clock, signals, other processes ----------------------------------------------------------

    def _patience(self) -> float | None:
        """How long `poll` may wait before the loop must look at something else."""
        limit = self.history.limits.seconds
        if limit is None or self._cancelled_at is not None:
            return self._tick
        left = max(0.0, limit - self.history.clock.spent(self.executor.now()))
        return left if self._tick is None else min(self._tick, left)

    def _look(self, pending: list[Event], news: Sequence[Event]) -> None:
        """Notice a limit that has been reached, an interrupt, other processes' requests, new checkpoints."""
        now = self.executor.now()
        wanted = self.stop_wanted or self.writer.stop_wanted
        if self.history.stopping is None and wanted is not None:
            self._add(pending, ev.StopDecided(wanted, now))
        elif self.history.stopping is None and self._alike.note(news):
            self._add(pending, ev.StopDecided(FAILING, now))
        elif (overdue := self.writer.overdue(now)) is not None:
            self._add(pending, overdue)
        if time.monotonic() - self._looked >= _TICK:
            self._looked = time.monotonic()
            for event in self.writer.tick(now):
                self._add(pending, event)
        pending.extend(self._keeper.sweep(news, now))
        if self._cancelled_at is not None:
            self._wait_no_longer(self._cancelled_at, pending, now)

    def _heed(self) -> None:
        """End the session if `watch` wanted it while the latest events were logged; what they start stops."""
        if self.writer.stop_wanted is not None and self.history.stopping is None:
            self.writer.commit([ev.StopDecided(self.writer.stop_wanted, self.executor.now())])
            self._cancel_all()

    def _grace(self) -> float:
        return _GRACE_AT_BUDGET if self.history.stopping == "budget" else _GRACE

    def _add(self, pending: list[Event], event: Event) -> None:
        self.history.fold(event)
        pending.append(event)

    def _cancel_all(self) -> None:
        self._cancelled_at = self.executor.now()
        for trial in list(self.history.running):
            self.executor.cancel(trial)

    def _wait_no_longer(self, since: float, pending: list[Event], now: float) -> None:
        """Of jobs that were told to stop: if they take too long, or if the study goes on after all.

        It does where they still told what puts a worse incumbent in the place of the one that was the target.
        """
        if ended(self.history) is None:
            self._cancelled_at = None
        elif now - since > self._grace():
            self._give_up(pending, now)

    def _give_up(self, pending: list[Event], now: float) -> None:
        """Jobs that did not stop in time are ended with their processes; they run again in a next session."""
        self.executor.close(grace=0.0)
        for running in list(self.history.running.values()):
            job = running.job
            killed = ev.JobFailed(job.trial, Failure.INTERRUPTED, "did not stop", job.attempt, now)
            self._add(pending, ending(self.history, killed))

    def interrupt(self) -> None:
        """Ctrl-C: the first asks the jobs to stop, the second stops at once."""
        self.interrupts += 1
        self.stop_wanted = "interrupted"
        if self.interrupts > 1:
            raise KeyboardInterrupt
        if hasattr(self.executor, "absorb"):  # the loop is not there to tell the job that runs
            for trial in list(self.history.running):
                self.executor.cancel(trial)

    def finish(self) -> None:
        """Give up what no rung can need, and end the session (only when log and history agree)."""
        now = self.executor.now()
        self.writer.commit_folded(self._keeper.give_up(now))
        self._keeper.close()
        self.writer.end(why_over(self.history, self.writer.scheduler), now)


@contextmanager
def _interrupts(loop: Loop) -> Iterator[None]:
    """Route SIGINT and SIGTERM to the loop, where signals can be handled: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = [signal.SIGINT, signal.SIGTERM]
    earlier = {number: signal.signal(number, lambda *_: loop.interrupt()) for number in wanted}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
