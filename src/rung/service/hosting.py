"""One study that the service runs for outside workers: it hands jobs out and takes in what comes of them.

The service is the study's one writer. A job that is handed out and what is told of it is in the log before
anybody is answered, so that the service may die at any moment: whoever asks again, with the same key, is
given the same job; whoever tells again is answered that it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rung.errors import LeaseError, MissingError, StudyError
from rung.executors.attributes import attribute
from rung.executors.checkpoint_files import Saved
from rung.executors.metrics import as_metrics
from rung.executors.remote import is_url
from rung.schedulers.base import Done, Wait
from rung.service import outcomes
from rung.service.leases import ASKED, LATE, Lease, asked
from rung.service.lives import Life
from rung.service.open_study import OpenStudy
from rung.service.outcomes import OUTCOMES
from rung.service.telling import check_end, check_report
from rung.space.draws import trial_seed
from rung.study.asked import whole
from rung.study.checkpoint_places import wanted
from rung.study.devices import slots_event
from rung.study.endings import ending
from rung.study.ready import ready
from rung.study.writer import Writer
from rung.trials import events as ev
from rung.trials.events import Event, Failure, JobStarted
from rung.trials.history import History

WISHED: Final = ("paused", "stopped")  # ends that somebody asks for, and may take back
GRACE: Final = 30.0  # seconds that running jobs get to save, when their study is told to stop


class Grant(NamedTuple):
    """A job that is handed out: what an outside worker needs to run it."""

    trial: int
    attempt: int
    config: Mapping[str, Any]
    start: int
    until: int
    seed: int
    checkpoint: str | None
    gates: tuple[int, ...]
    devices: int
    digest: str = ""  # of the checkpoint
    checkpoints: str | None = None  # the URL below which the study's lie, which workers write themselves


class Told(NamedTuple):
    """How a job ended: one of `OUTCOMES`, with what belongs to it."""

    outcome: str
    metrics: Mapping[str, Any] | None = None
    message: str = ""
    checkpoint: str | None = None


class Answer(NamedTuple):
    """Whether a job is to go on; if not, why: "stopped", "preempted", or why its study ends."""

    go_on: bool
    why: str | None = None


class HostedStudy(OpenStudy):
    """A study that is open for outside workers. May be used from several threads."""

    # -- handing out ----------------------------------------------------------------------------------

    def ask(
        self, worker: str, key: str, now: float, free: int | None = None, life: Life | None = None
    ) -> Grant | None:
        """The next job for this worker; the one that the same `key` was given before, if it still runs.

        None: there is none now, see `closed` and `done` for whether there will be one.

        Args:
            free: slots that it may take, where trials that climb get more; None: as many as are worth it.
            life: which process it is, of a worker that lends slots.

        Raises:
            ConflictError: another worker was given a job for this key, and has it.
        """
        with self._current(now):
            if self.closed:
                return None
            known = self.leases.by_key(key, worker) if key else None
            if known is not None:
                known.expires = now + self.leases.seconds
                return _grant(self._writer, self._writer.history.running[known.trial].job)
            if free is not None and (told := slots_event(self._writer.history, free, now)) is not None:
                self._commit([told], now)
            return self._next(asked(worker, key, life), now)

    def _next(self, who: Mapping[str, Any], now: float) -> Grant | None:
        overdue = self._writer.overdue(now)
        if overdue is not None:
            self._commit([overdue], now)
        while True:
            event = self._writer.next_event(now)
            if isinstance(event, JobStarted):
                said = ev.Recorded(ASKED, {**who, "attempt": event.attempt}, event.trial, now)
                self._commit([event, said], now)
                return _grant(self._writer, event)
            if isinstance(event, Wait | Done):
                self.ready = 0
                self._end_if_done(now)
                return None
            self._commit([event], now)

    # -- taking in ------------------------------------------------------------------------------------

    def report(
        self,
        trial: int,
        attempt: int,
        resource: int,
        metrics: Mapping[str, Any],
        checkpoint: str | None,
        now: float,
    ) -> Answer:
        """Take in a value on the way; the same one told twice counts once.

        Raises:
            LeaseError: the job's lease was lost: somebody else may run it. What was told is recorded.
            StudyError: the study's metric is missing, or there is one that is no number.
        """
        with self._current(now):
            at, values = whole(f"trial {trial}", resource), as_metrics(metrics)
            lease = self._held(trial, attempt, {"resource": at, "metrics": values}, now)
            lease.expires = now + self.leases.seconds
            check_report(self._writer.history, trial, at, values)
            events: list[Event] = []
            if not lease.has_said(at, values):
                events.append(ev.Reported(trial, at, values, attempt, now))
            if checkpoint is not None and checkpoint != lease.checkpoint:  # it may come after its value
                events.append(self._checkpoint(trial, at, checkpoint, attempt, now))
            self._commit(events, now)
            return self._word(lease)

    def keep(self, trial: int, attempt: int, attributes: Mapping[str, Any], now: float) -> Answer:
        """Keep something of the trial beside its metrics; of two of one name the later one holds.

        Raises:
            LeaseError: the job's lease was lost. What was told is recorded, and not kept.
            StudyError: a value is not plain data, or too long.
        """
        events: list[Event] = [attribute(trial, name, value, now) for name, value in attributes.items()]
        with self._current(now):
            lease = self._held(trial, attempt, {"attributes": dict(attributes)}, now)
            lease.expires = now + self.leases.seconds
            self._commit(events, now)
            return self._word(lease)

    def renew(self, trial: int, attempt: int, now: float, worker: str = "") -> Answer:
        """A sign of life.

        Raises:
            LeaseError: the job's lease was lost.
        """
        with self._current(now):
            lease = self._held(trial, attempt, None, now)
            lease.expires = now + self.leases.seconds
            lease.worker = worker or lease.worker
            return self._word(lease)

    def tell(self, trial: int, attempt: int, told: Told, now: float) -> bool:
        """Take in how a job ended; returns whether that was known already.

        Raises:
            LeaseError: the job's lease was lost. What was told is recorded, and not counted.
            StudyError: there is no such outcome, or a job that finished has not told the study's metric.
        """
        if told.outcome not in OUTCOMES:
            raise StudyError(f"outcome {told.outcome!r} is unknown: say one of {', '.join(OUTCOMES)}")
        with self._current(now):
            if self.leases.was_told(trial, attempt):
                return True
            if told.metrics is not None:
                told = told._replace(metrics=as_metrics(told.metrics))
            said = {"outcome": told.outcome, "metrics": told.metrics, "message": told.message}
            lease = self._held(trial, attempt, said, now)
            if told.outcome == "finished":
                check_end(self._writer.history, trial, told.metrics, reported=lease.last is not None)
            events: list[Event] = []
            if told.outcome == "damaged":
                events.append(ev.CheckpointDamaged(trial, told.message, attempt, now))
            if told.checkpoint is not None:
                until = self._writer.history.running[trial].job.until
                events.append(self._checkpoint(trial, until, told.checkpoint, attempt, now))
            end = outcomes.event((trial, attempt), told.outcome, told.metrics, told.message, now)
            self._commit([*events, ending(self._writer.history, end)], now)
            self._end_if_done(now)
            return False

    def uploaded(self, saved: Saved) -> None:
        """A checkpoint arrived, of which a job will tell. Waits for nothing."""
        self._uploaded[saved.path] = saved

    def _checkpoint(self, trial: int, at: int, path: str, attempt: int, now: float) -> ev.CheckpointSaved:
        saved = self._uploaded.get(path) or Saved(path, 0, "")
        return ev.CheckpointSaved(trial, at, path, attempt, now, saved.size, saved.digest)

    def _held(self, trial: int, attempt: int, said: Mapping[str, Any] | None, now: float) -> Lease:
        """The job's lease; what was said under one that is lost is recorded."""
        if self.closed:
            raise LeaseError(f"study {self.name!r} runs no more: the job of trial {trial} is over")
        lease = self.leases.holder(trial, attempt)
        if lease is not None:
            return lease
        history = self._writer.history
        if not 0 <= trial < len(history.values) or not 0 <= attempt < history.attempts[trial]:
            raise MissingError(f"study {self.name!r} gave out no job of trial {trial}, attempt {attempt}")
        if said is not None and not self.leases.was_told(trial, attempt):
            self._commit([ev.Recorded(LATE, {**said, "attempt": attempt}, trial, now)], now)
        raise LeaseError(
            f"the job of trial {trial}, attempt {attempt}, is over: it was told, or its lease was lost"
        )

    def _word(self, lease: Lease) -> Answer:
        history = self._writer.history
        if history.running[lease.trial].stopping:
            return Answer(False, "stopped")
        why = self._writer.ended
        if why is not None and why != "confirm":
            return Answer(False, why)
        return Answer(lease.leaving is None, lease.leaving)

    # -- its owner's wishes ---------------------------------------------------------------------------

    def preempt(self, trial: int, why: str = "preempted") -> None:
        """Have this trial's job stop at its next report, to go on later."""
        with self._lock:
            lease = self.leases.running.get(trial)
            if lease is not None:
                lease.leaving = why

    def wind_down(self, reason: str, now: float) -> None:
        """Start no more jobs, have those that run stop and save, then end: "paused" or "stopped".

        Of a study that is being paused or stopped the later wish holds.
        """
        with self._current(now):
            before = self._writer.history.stopping
            if not self.closed and (before is None or (before in WISHED and before != reason)):
                self._commit([ev.StopDecided(reason, now)], now)
            self._end_if_done(now)

    def go_on(self, now: float) -> bool:
        """Take back that it is being paused or stopped; jobs that were told to stop meanwhile run again.

        Returns:
            False if it has ended already.
        """
        with self._current(now):
            if not self.closed and self._writer.history.stopping in WISHED:
                self._writer.begin(ev.SERVICE, 0, None, now, adopt=True)
                self._stopping_since = None
                self.ready = ready(self._writer.history, self._writer.scheduler)
                self._changed()
            return not self.closed

    def add(self, made: Callable[[History], Sequence[Event]], now: float) -> None:
        """Add what is no answer of a job, made from the history: a known result, a note, another space."""
        with self._current(now):
            self._commit(made(self._writer.history), now)

    # -- time -----------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Notice lost leases, spent time and requests of other processes; end what is done.

        Raises:
            LeaseError: another process took the study over.
        """
        with self._current(now):
            if self.closed:
                return
            for lease in self.leases.expired(now):
                silent = f"nothing was heard of {lease.worker or 'its worker'}"
                self._lose(lease, f"{silent} for {self.leases.seconds:g} s", now)
            overdue = self._writer.overdue(now)
            if overdue is not None:
                self._commit([overdue], now)
            self._commit(self._writer.tick(now), now)
            self._give_up_after_grace(now)
            self._end_if_done(now)

    def _give_up_after_grace(self, now: float) -> None:
        if self._writer.ended is None:
            self._stopping_since = None
        elif self._stopping_since is None:
            self._stopping_since = now
        elif now - self._stopping_since > GRACE:
            for lease in list(self.leases.running.values()):
                event = ev.JobFailed(
                    lease.trial, Failure.INTERRUPTED, "did not stop in time", lease.attempt, now
                )
                self._commit([ending(self._writer.history, event)], now)


def _grant(writer: Writer, event: JobStarted) -> Grant:
    """A job as an outside worker needs it."""
    place = wanted(writer.history).place
    return Grant(
        event.trial,
        event.attempt,
        writer.history.config(event.trial),
        event.start,
        event.until,
        trial_seed(writer.identity.seed, event.trial),
        event.checkpoint,
        event.gates,
        event.devices,
        "" if event.checkpoint is None else writer.history.digest_of(event),
        place if place is not None and is_url(place) else None,
    )
