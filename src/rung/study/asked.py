"""A job that the caller runs, and what the caller tells of it."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rung.errors import StudyError
from rung.executors.attributes import attribute
from rung.executors.metrics import as_metrics, as_number
from rung.schedulers.base import Done, Wait
from rung.space.draws import trial_seed
from rung.study.endings import ending
from rung.trials import events as ev
from rung.trials.events import Event, Failure, JobStarted
from rung.trials.states import TrialState

if TYPE_CHECKING:
    from rung.study.study import Study
    from rung.study.writer import Watch, Writer

_TICK = 0.5  # seconds between looks at other processes' requests


class Asked:
    """A job that the caller runs: trial `number` with `config`, from resource `start` up to `resource`."""

    __slots__ = ("_config", "_event", "_study", "stopped")

    def __init__(self, study: Study, event: JobStarted) -> None:
        self._study = study
        self._event = event
        self._config = study.history.config(event.trial)  # as it was asked, whatever becomes of the space
        self.stopped = False  # its latest report was answered so

    @property
    def number(self) -> int:
        return self._event.trial

    @property
    def attempt(self) -> int:
        return self._event.attempt

    @property
    def config(self) -> dict[str, Any]:
        """The configuration, as a mapping of what is active."""
        return dict(self._config)

    @property
    def start(self) -> int:
        """The resource that its checkpoint brings it to; 0 unless one was told."""
        return self._event.start

    @property
    def resource(self) -> int | None:
        """The resource to reach; None in a study without one."""
        return None if self._study.identity.resource is None else self._event.until

    @property
    def checkpoint(self) -> str | None:
        return self._event.checkpoint

    @property
    def devices(self) -> int:
        """How many it is meant to get."""
        return self._event.devices

    @property
    def seed(self) -> int:
        """The trial's own seed, a function of the study's and its number."""
        return trial_seed(self._study.identity.seed, self._event.trial)

    def set_attribute(self, name: str, value: Any) -> None:
        """Keep something of this trial beside its metrics: see `rung.executors.handle.Trial.set_attribute`.

        Raises:
            StudyError: the value is no plain data.
        """
        self._study.writer.commit([attribute(self.number, name, value, time.time())])

    def __repr__(self) -> str:
        return f"<job of trial {self.number}: {self.start} to {self._event.until}, {self.config}>"


def look(writer: Writer, looked: float, now: float) -> float:
    """Notice that the wall time is spent, and now and then what others ask; returns when that was last."""
    overdue = writer.overdue(now)
    if overdue is not None:
        writer.commit([overdue])
    if abs(now - looked) < _TICK:
        return looked
    writer.commit(writer.tick(now))
    return now


def next_job(study: Study) -> Asked | None:
    """The next job to run, or None; it runs again if an interrupt keeps it from whoever asked."""
    asked = None
    try:
        with study.alone():
            asked = _decided(study)
        return asked  # noqa: RET504  # an interrupt that waited comes between
    except KeyboardInterrupt:
        if asked is not None:
            now = time.time()
            study.writer.commit([ev.JobFailed(asked.number, Failure.INTERRUPTED, "", asked.attempt, now)])
        raise


def _decided(study: Study) -> Asked | None:
    writer = study.writer
    if writer.loops:  # whose loop would wait for the end of a job that it did not start
        raise StudyError(
            f"study {study.name!r} is being run, which takes its jobs: ask() once that has ended"
        )
    let_go(study)
    if not writer.in_session:
        writer.begin("ask and tell", 1, None, time.time())
    study.looked = look(writer, study.looked, time.time())
    while True:
        event = writer.next_event(time.time())
        if type(event) is JobStarted:
            writer.commit([event])
            return Asked(study, event)
        if isinstance(event, Wait | Done):
            return None
        writer.commit([event])


def goes_on(
    study: Study, job: Asked, resource: int, value: float | Mapping[str, Any], checkpoint: str | None
) -> bool:
    """Log a value on the way; whether the job is to go on.

    One that its scheduler stops is over at once. One that stops as its study ends may still tell its end,
    until its caller asks for another job.

    Raises:
        StudyError: the job isn't running, or the resource isn't a whole number above 0.
    """
    check_running(study, job)
    writer, at, now = study.writer, whole(f"trial {job.number}", resource), time.time()
    writer.commit(reported(job, at, value, checkpoint, now))
    writer.stop_trials(now)
    if study.history.running[job.number].stopping:
        job.stopped = True
        writer.commit([ev.JobStopped(job.number, job.attempt, now)])
        return False
    study.looked = look(writer, study.looked, now)
    job.stopped = writer.ended is not None
    if job.stopped:
        study.leaving.add((job.number, job.attempt))
    else:  # it may have been told so before
        study.leaving.discard((job.number, job.attempt))
    return not job.stopped


def let_go(study: Study) -> None:
    """End the jobs that were told to stop as the study ends, and of which nothing was told since.

    They run again when the study goes on; but one that had reported at its very end has finished.
    """
    if not study.leaving:
        return
    with study.alone():
        running, now = study.history.running, time.time()
        left = [(t, a) for t, a in sorted(study.leaving) if t in running and running[t].job.attempt == a]
        study.leaving.clear()
        study.writer.commit([ending(study.history, ev.JobStopped(t, a, now)) for t, a in left])


def take_end(
    study: Study,
    job: Asked,
    value: float | Mapping[str, Any] | None,
    checkpoint: str | None,
    error: str | None,
    infeasible: str | None,
) -> None:
    """Log how a job ended.

    Raises:
        StudyError: it does not run, or has no value.
    """
    check_running(study, job)
    good, now = error is None and infeasible is None, time.time()
    ends = finished(job, value, checkpoint, now) if good else failed(job, error, infeasible, now)
    study.writer.commit(ends)
    job.stopped = False


def check_running(study: Study, job: Asked) -> None:
    """Refuse what is told of a job that does not run.

    Raises:
        StudyError: it is none of this study's, was told already, or was stopped.
    """
    if not isinstance(job, Asked) or job._study is not study:
        raise StudyError(f"{job!r} is no job that this study handed out: ask() returns them")
    running = study.history.running.get(job.number)
    if running is None or running.job.attempt != job.attempt:
        raise StudyError(f"the job of trial {job.number} {_how_it_ended(study, job)}: ask() for another")


def _how_it_ended(study: Study, job: Asked) -> str:
    if not job.stopped:
        return "was told already"
    by_scheduler = study.history.states[job.number] is TrialState.STOPPED
    return "was stopped by the scheduler" if by_scheduler else "was stopped, as its study was to end"


def watching(study: Study, watch: Callable[[Study, Sequence[Event]], None] | None) -> Watch | None:
    """What the writer tells of its events, who hands them on beside the study."""
    check_watch(watch)
    return None if watch is None else lambda events: watch(study, events)


def check_watch(watch: Any) -> None:
    """Refuse what cannot be called with events.

    Raises:
        StudyError: it is no function.
    """
    if watch is not None and not callable(watch):
        raise StudyError(f"watch must be a function, called with the study and its new events, not {watch!r}")


def reported(
    job: Asked, at: int, value: float | Mapping[str, Any], path: str | None, now: float
) -> list[Event]:
    """The events of a value on the way, and of a checkpoint that was saved beside it."""
    metrics = metrics_of(job._study.identity.metric, value)
    events: list[Event] = [ev.Reported(job.number, at, metrics, job.attempt, now)]
    if path is not None:
        events.append(ev.CheckpointSaved(job.number, at, str(path), job.attempt, now))
    return events


def finished(
    job: Asked, value: float | Mapping[str, Any] | None, path: str | None, now: float
) -> list[Event]:
    """The events of a job's good end, and of a checkpoint that was saved there.

    Raises:
        StudyError: it has no value, neither told now nor reported at its end.
    """
    metrics = None if value is None else metrics_of(job._study.identity.metric, value)
    _check_valued(job, metrics or {})
    events: list[Event] = []
    if path is not None:
        events.append(ev.CheckpointSaved(job.number, job._event.until, str(path), job.attempt, now))
    return [*events, ev.JobFinished(job.number, job.attempt, metrics, now)]


def _check_valued(job: Asked, metrics: Mapping[str, Any]) -> None:
    history = job._study.history
    identity = history.identity
    running = history.running[job.number]
    known = running.beside(0 if identity.resource is None else running.job.until, metrics)
    missing = [goal.metric for goal in identity.goals or (identity,) if goal.metric not in known]
    if not missing or running.final is not None:
        return
    where = "" if job.resource is None else f" at {job.resource}"
    named = ", ".join(f"{name!r}: 0.31" for name in missing)
    raise StudyError(
        f"trial {job.number} has no value of {' and '.join(missing)}{where}: tell(job, {{{named}}}), "
        "or how it failed: tell(job, error='why')"
    )


def failed(job: Asked, error: str | None, infeasible: str | None, now: float) -> list[Event]:
    """The event of a job's bad end."""
    failure = Failure.ERROR if infeasible is None else Failure.INFEASIBLE
    why = str(error if infeasible is None else infeasible) or "no reason was told"
    return [ev.JobFailed(job.number, failure, why, job.attempt, now)]


def whole(what: str, resource: Any) -> int:
    """A resource that somebody tells.

    Raises:
        StudyError: it is no whole number above 0.
    """
    try:
        at = 0 if isinstance(resource, bool) else operator.index(resource)
    except TypeError:
        at = 0
    if at < 1:
        raise StudyError(f"{what}: resource {resource!r} is no whole number above 0")
    return at


def metrics_of(metric: str, value: float | Mapping[str, Any]) -> Mapping[str, Any]:
    """What was told, by name: a lone number is the study's metric."""
    return as_metrics(value) if isinstance(value, Mapping) else {metric: as_number(metric, value)}
