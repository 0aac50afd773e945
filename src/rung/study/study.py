"""A study: its log, the history that the log folds into, and the caller's own loop over it (ask and tell)."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rung import __version__
from rung.errors import StudyError
from rung.executors.metrics import as_metrics, as_number
from rung.samplers import make_sampler
from rung.samplers import spec_of as sampler_spec
from rung.schedulers import make_scheduler
from rung.schedulers import spec_of as scheduler_spec
from rung.schedulers.base import Done, Wait
from rung.space import compile_space, to_json
from rung.space.draws import trial_seed
from rung.storage import open_storage
from rung.storage.base import Storage, Summary
from rung.study.identity import check_settings, make_resource, own_number
from rung.study.limits import make_limits
from rung.study.result import Result
from rung.study.run import run
from rung.study.writer import Writer
from rung.trials import events as ev
from rung.trials.events import Event, Failure, Identity, JobStarted, Limits
from rung.trials.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

    from rung.executors.base import Executor


_TICK = 0.5  # seconds between looks at other processes' requests


class Asked:
    """A job that the caller runs: trial `number` with `config`, from resource `start` up to `resource`."""

    __slots__ = ("_event", "_study", "stopped")

    def __init__(self, study: Study, event: JobStarted) -> None:
        self._study = study
        self._event = event
        self.stopped = False

    @property
    def number(self) -> int:
        return self._event.trial

    @property
    def attempt(self) -> int:
        return self._event.attempt

    @property
    def config(self) -> dict[str, Any]:
        """The configuration, as a mapping of what is active."""
        return self._study.space.to_mapping(self._study.history.values[self._event.trial])

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
    def seed(self) -> int:
        """The trial's own seed, a function of the study's and its number."""
        return trial_seed(self._study.identity.seed, self._event.trial)

    def __repr__(self) -> str:
        return f"<job of trial {self.number}: {self.start} to {self._event.until}, {self.config}>"


class Study:
    """One search: a space, a sampler, a scheduler and a log.

    Opens the study of this name if the storage has it (with the same settings), else begins it.

    Args:
        space: a mapping from name to domain, a `rung.Space` or a ConfigSpace object.
        metric, mode: what the objective reports, and whether less ("min") or more ("max") of it is better.
        resource: (name, smallest, largest), whole numbers; None for a search without one.
        eta: one in `eta` trials is promoted.
        sampler, scheduler: names (see `rung methods`) or objects; "kde", and "asha" with a resource,
            else "plain", unless told.
        storage: "memory" (default), a path, or a URL such as "sqlite:///study.db".
        study: its name; one is made up if none is given.
        trials, budget, total_resource, target: when it ends (see `rung.tune`); without one it never does,
            or, if it exists already, as it was told before.
        retries: how often a job is tried again whose worker was lost.

    Raises:
        SpaceError, StudyError, StorageError: what was given cannot be used.
    """

    def __init__(  # noqa: PLR0913  # a door
        self,
        space: Any,
        *,
        metric: str = "loss",
        mode: str = "min",
        resource: Any = None,
        eta: int = 3,
        sampler: Any = None,
        scheduler: Any = None,
        seed: int = 0,
        storage: str | Storage = "memory",
        study: str | None = None,
        trials: int | None = None,
        budget: str | float | None = None,
        total_resource: int | None = None,
        target: float | None = None,
        retries: int = 3,
        trial_time: str | float | None = None,
        trial_memory: int | None = None,
        door: str = "tune",
        task: Mapping[str, Any] | None = None,
    ) -> None:
        eta, seed = own_number(eta), own_number(seed)
        check_settings(metric, mode, eta, seed)
        compiled = compile_space(_ours(space))
        amount = make_resource(resource)
        chosen = make_scheduler(scheduler or ("plain" if amount is None else "asha"))
        proposer = make_sampler(sampler or "kde")
        identity = Identity(
            space=to_json(compiled.space),
            metric=metric,
            mode=mode,
            resource=amount,
            eta=eta,
            sampler=sampler_spec(proposer),
            scheduler=scheduler_spec(chosen),
            seed=seed,
            door=door,
            task=dict(task or {}),
        )
        limits = make_limits(trials, budget, total_resource, target, retries, trial_time, trial_memory)
        self._storage = open_storage(storage) if isinstance(storage, str) else storage
        name = study or _free_name(self._storage)
        row = self._storage.find(name)
        if row is None:
            created = ev.StudyCreated(identity, __version__, time.time())
            summary = Summary(door=door, metric=metric, created=created.time, updated=created.time)
            log, state = self._storage.create(name, [created], summary), "idle"
        else:
            log, state = self._storage.open(name), row.summary.state
        self._attach(Writer(name, log, proposer, chosen, identity, state))
        if row is None or limits != Limits():  # none named: those that the study has stay
            self.set_limits(limits)

    @classmethod
    def open(cls, storage: str | Storage, study: str) -> Self:
        """An existing study, opened for writing with the settings and the limits that its log holds.

        Raises:
            StudyError: there is none of this name.
            LeaseError: another process writes it.
        """
        self = cls.__new__(cls)
        self._storage = open_storage(storage) if isinstance(storage, str) else storage
        identity = stored_identity(self._storage, study)
        sampler, scheduler = make_sampler(identity.sampler), make_scheduler(identity.scheduler)
        row = self._storage.find(study)
        state = row.summary.state if row else "idle"
        self._attach(Writer(study, self._storage.open(study), sampler, scheduler, state=state))
        return self

    def _attach(self, writer: Writer) -> None:
        self.writer = writer
        self.name = writer.name
        self._looked = -math.inf
        self.identity = writer.identity
        self.space = writer.space

    @property
    def history(self) -> History:
        """The fold of its log."""
        return self.writer.history

    # -- the caller's loop ----------------------------------------------------------------------------

    def ask(self) -> Asked | None:
        """The next job to run, or None: see `done` for whether there will be another."""
        writer = self.writer
        if not writer.in_session:
            writer.begin("ask and tell", 1, None, time.time())
        self._look(time.time())
        while True:
            event = writer.next_event(time.time())
            if type(event) is JobStarted:
                writer.commit([event])
                return Asked(self, event)
            if isinstance(event, Wait | Done):
                return None
            writer.commit([event])

    def _look(self, now: float) -> None:
        """Notice that the wall time is spent, and now and then what other processes ask."""
        overdue = self.writer.overdue(now)
        if overdue is not None:
            self.writer.commit([overdue])
        if abs(now - self._looked) >= _TICK:
            self._looked = now
            events = self.writer.tick(now)
            if events:
                self.writer.commit(events)

    @property
    def done(self) -> bool:
        """Whether nothing runs and nothing will."""
        return self.writer.done

    def report(
        self, job: Asked, resource: int, value: float | Mapping[str, Any], checkpoint: str | None = None
    ) -> bool:
        """Tell a value on the way; returns whether the job is to go on.

        Raises:
            StudyError: the job isn't running, or the resource isn't a whole number above 0.
        """
        _check_running(self, job)
        at, now = _whole(job, resource), time.time()
        events: list[Event] = [
            ev.Reported(job.number, at, _metrics(self.identity.metric, value), job.attempt, now)
        ]
        if checkpoint is not None:
            events.append(ev.CheckpointSaved(job.number, at, str(checkpoint), job.attempt, now))
        self.writer.commit(events)
        for trial in self.writer.stop_trials(now):
            if trial == job.number:
                job.stopped = True
                self.writer.commit([ev.JobStopped(job.number, job.attempt, now)])
        return not job.stopped

    def tell(
        self,
        job: Asked,
        value: float | Mapping[str, Any] | None = None,
        *,
        checkpoint: str | None = None,
        error: str | None = None,
        infeasible: str | None = None,
    ) -> None:
        """Tell how a job ended: with a value (or what it reported last), an error, or as infeasible.

        Raises:
            StudyError: the job was told already, was stopped, or is none of this study's.
        """
        _check_running(self, job)
        now = time.time()
        if error is not None or infeasible is not None:
            failure = Failure.ERROR if infeasible is None else Failure.INFEASIBLE
            message = str(error if infeasible is None else infeasible)
            self.writer.commit([ev.JobFailed(job.number, failure, message, job.attempt, now)])
            return
        events: list[Event] = []
        if checkpoint is not None:
            until = job._event.until
            events.append(ev.CheckpointSaved(job.number, until, str(checkpoint), job.attempt, now))
        metrics = None if value is None else _metrics(self.identity.metric, value)
        events.append(ev.JobFinished(job.number, job.attempt, metrics, now))
        self.writer.commit(events)

    # -- what others add ------------------------------------------------------------------------------

    def enqueue(self, config: Mapping[str, Any]) -> None:
        """Run this configuration before any that the sampler proposes.

        Raises:
            SpaceError: it is not in the space.
        """
        self.space.from_mapping(config)
        self.writer.commit([ev.Requested("enqueue", dict(config), time.time())])

    def record(self, topic: str, data: Mapping[str, Any], trial: int | None = None) -> None:
        """Keep something of the caller's in the log; `history.records[topic]` has it."""
        self.writer.commit([ev.Recorded(topic, dict(data), trial, time.time())])

    def set_limits(self, limits: Limits) -> None:
        """Change when the study ends; an event if it is a change."""
        if limits != self.history.limits:
            self.writer.set_limits(limits, time.time())

    def events(self) -> Iterator[Event]:
        """The log, from its beginning; also after `close`."""
        return self.writer.log.read()  # by its key: somebody may have renamed it

    @property
    def folder(self) -> Path:
        """Where its checkpoints and its workers' logs lie."""
        return self.writer.log.folder

    def run(
        self,
        objective: Any,
        *,
        workers: int = 1,
        executor: str | Executor | None = None,
        watch: Callable[[Study, Sequence[Event]], None] | None = None,
    ) -> Result:
        """Run the study with this objective until it ends: see `rung.tune`."""
        if watch is not None:
            self.writer.watch = lambda events: watch(self, events)
        try:
            run(self.writer, objective, workers, executor)
        finally:
            self.writer.watch = None
        return Result(self.writer, self.events)

    def close(self) -> None:
        """End the session, if one is open, and let another process write the study."""
        self.writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Study {self.name!r}: {len(self.history)} trials, best {self.history.incumbent}>"


def _check_running(study: Study, job: Asked) -> None:
    if not isinstance(job, Asked) or job._study is not study:
        raise StudyError(f"{job!r} is no job that this study handed out: ask() returns them")
    running = study.history.running.get(job.number)
    if running is None or running.job.attempt != job.attempt:
        how = "was stopped by the scheduler" if job.stopped else "was told already"
        raise StudyError(f"the job of trial {job.number} {how}: ask() for another")


def _whole(job: Asked, resource: Any) -> int:
    try:
        at = 0 if isinstance(resource, bool) else operator.index(resource)
    except TypeError:
        at = 0
    if at < 1:
        raise StudyError(f"trial {job.number}: resource {resource!r} is no whole number above 0")
    return at


def _metrics(metric: str, value: float | Mapping[str, Any]) -> Mapping[str, Any]:
    """A lone number is the study's metric."""
    return as_metrics(value) if isinstance(value, Mapping) else {metric: as_number(metric, value)}


def stored_identity(storage: Storage, name: str) -> Identity:
    """The identity of a stored study.

    Raises:
        StudyError: there is none of this name.
    """
    first = next(iter(storage.read(name)))
    assert isinstance(first, ev.StudyCreated)
    return first.identity


def _ours(space: Any) -> Any:
    """A ConfigSpace object becomes ours."""
    if type(space).__module__.partition(".")[0] != "ConfigSpace":
        return space
    from rung.space import from_configspace

    return from_configspace(space)


def _free_name(storage: Storage) -> str:
    taken = {row.name for row in storage.list()}
    return next(name for number in range(1, len(taken) + 2) if (name := f"study-{number}") not in taken)
