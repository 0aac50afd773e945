"""A study: its log, the history that the log folds into, and the caller's own loop over it (ask and tell)."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rung.storage.base import Storage
from rung.study.asked import Asked, goes_on, let_go, next_job, take_end, watching
from rung.study.changing import add_known, fixed_events, record_event, space_events
from rung.study.checkpoint_places import changed
from rung.study.devices import Scaling, allotment_events, make_allotment
from rung.study.durations import seconds
from rung.study.enqueued import asked_configuration
from rung.study.foreign import STUDY, called_elsewhere
from rung.study.limits import make_limits, other_end, told_anew
from rung.study.opening import Opened, open_or_begin, open_stored
from rung.study.records import Following
from rung.study.result import Result, best_record, in_short
from rung.study.run import run
from rung.study.settings import Settings, make_task
from rung.study.transfer import COST, declared_cost
from rung.study.undisturbed import Undisturbed
from rung.study.writer import Writer
from rung.trials import events as ev
from rung.trials.events import Event, Identity, Limits
from rung.trials.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

    from rung.executors.base import Executor
    from rung.executors.setup import Engine
    from rung.space.compiled import CompiledSpace
    from rung.study.records import TrialRecord


@called_elsewhere("a study", STUDY)
class Study:
    """One search: a space, a sampler, a scheduler and a log.

    Opens the study of this name if the storage has it (with the same settings), else begins it.

    Args:
        space: a mapping from name to domain, a `rung.Space` or a ConfigSpace object.
        metric, mode: what the objective reports, and whether "min" or "max" of it is wanted; or lists.
        reference: by objective, the value from which improvement counts in the hypervolume.
        constraints: such as "memory <= 2e9", of metrics that the objective reports beside.
        resource: (name, smallest, largest), whole numbers; None for a search without one.
        eta: one in `eta` trials is promoted.
        sampler, scheduler: names (see `rung methods`), with settings if need be, as in
            "tpe(multivariate=False)", or objects. Unless told, both are chosen by what the study is.
        noisy: a configuration that was tried may come again.
        confirm: how often the best configurations are evaluated again before one is declared.
        deterministic: take results in the order of so many simulated workers (True: 8) of any number.
        transfer: earlier studies to learn from: names in the same storage, `Study`s or `Result`s.
        evaluation_cost: seconds (or text, as "10m") that one evaluation takes, if known beforehand.
        storage: "memory" (default), a path, or a URL such as "sqlite:///study.db".
        study: its name; one is made up if none is given.
        trials, budget, total_resource, target: when it ends (see `rung.tune`); without one it never does,
            or, if it exists already, as it was told before.
        trial_time, trial_memory, retries: limits on one job, likewise.

    Raises:
        SpaceError, StudyError, StorageError: what was given cannot be used.
    """

    def __init__(  # noqa: PLR0913  # a door
        self,
        space: Any,
        *,
        metric: str | Sequence[str] = "loss",
        mode: str | Sequence[str] = "min",
        reference: float | Sequence[float] | None = None,
        constraints: Sequence[str] = (),
        resource: Any = None,
        eta: int = 3,
        sampler: Any = None,
        scheduler: Any = None,
        seed: int = 0,
        noisy: bool = False,
        confirm: int = 0,
        deterministic: bool | int = False,
        transfer: Sequence[Any] = (),
        evaluation_cost: str | float | None = None,
        storage: str | os.PathLike[str] | Storage = "memory",
        study: str | None = None,
        trials: int | None = None,
        budget: str | float | None = None,
        total_resource: int | None = None,
        target: float | None = None,
        retries: int | None = None,
        trial_time: str | float | None = None,
        trial_memory: int | None = None,
        door: str = "tune",
        task: Mapping[str, Any] | None = None,
    ) -> None:
        named = locals()  # first of all, so that it has the arguments and nothing else
        limits = make_limits(trials, budget, total_resource, target, retries, trial_time, trial_memory)
        cost = None if evaluation_cost is None else seconds(evaluation_cost)
        named["task"] = {**make_task(task), "transfer": bool(transfer)}
        settings = Settings(**{name: named[name] for name in Settings.__dataclass_fields__})
        opened = open_or_begin(space, settings, storage, study, transfer)
        self._attach(opened)
        self.set_limits(told_anew(self.history.limits, limits, retries))
        if cost is not None and declared_cost(self.history) != cost:
            self.record(COST, {"seconds": cost})

    @classmethod
    def open(cls, storage: str | os.PathLike[str] | Storage, study: str) -> Self:
        """An existing study, opened for writing with the settings and the limits that its log holds.

        Raises StudyError or LeaseError: there is none of this name, or another process writes it.
        """
        self = cls.__new__(cls)
        self._attach(open_stored(storage, study))
        return self

    def _attach(self, opened: Opened) -> None:
        self.storage = opened.storage
        self.writer: Writer = opened.writer
        self.name = opened.writer.name
        self.looked = -math.inf  # when it last asked what others want
        self.leaving: set[tuple[int, int]] = set()  # trial and attempt of jobs that stop as it ends
        self._records = Following(opened.writer.log.read)
        self.alone = Undisturbed(self.writer.catch_up)  # what an interrupt left half done is read anew

    @property
    def history(self) -> History:
        """The fold of its log."""
        return self.writer.history

    @property
    def identity(self) -> Identity:
        """What makes it this study."""
        return self.writer.identity

    @property
    def space(self) -> CompiledSpace:
        """Where its configurations come from now."""
        return self.writer.space

    @property
    def result(self) -> Result:
        """What it has found so far: `result.best`, `result.trials`, `result.to_frame()`."""
        return Result(self.writer, self.events)

    @property
    def best(self) -> TrialRecord | None:
        """The best trial so far: its `config`, its `value`; None while none has a value."""
        return best_record(self.writer, self._records)

    def ask(self) -> Asked | None:
        """The next job to run, or None: see `done` for whether there will be another."""
        return next_job(self)

    @property
    def done(self) -> bool:
        """Whether nothing runs and nothing will."""
        return self.writer.done

    def report(
        self, job: Asked, resource: int, value: float | Mapping[str, Any], checkpoint: str | None = None
    ) -> bool:
        """Tell a value on the way; returns whether the job is to go on.

        It is not where the scheduler stops its trial, or where the study ends: a limit on time or the target
        is reached, or somebody has paused or stopped it. In the latter case the job runs again when the study
        goes on, unless its end is told before another is asked for.

        Raises StudyError: the job isn't running, or the resource isn't a whole number above 0.
        """
        with self.alone():
            return goes_on(self, job, resource, value, checkpoint)

    def tell(
        self,
        job: Asked | Mapping[str, Any],
        value: float | Mapping[str, Any] | None = None,
        *,
        resource: int | None = None,
        checkpoint: str | None = None,
        error: str | None = None,
        infeasible: str | None = None,
    ) -> None:
        """Tell how a job ended: with a value (or what it reported last), an error, or as infeasible.

        A value stands in the place of what the job reported at its end, other metrics beside it.

        In place of a job it may be a configuration, whose value at `resource` (the largest unless given) is
        known from elsewhere: it counts as a trial that no scheduler asked for, and teaches the sampler.

        Raises:
            StudyError: the job was told already, was stopped, is none of this study's, or has no value.
            SpaceError: the configuration is not in the space.
        """
        with self.alone():
            if isinstance(job, Mapping):
                add_known(self.writer, job, value, resource)
            else:
                take_end(self, job, value, checkpoint, error, infeasible)

    def enqueue(self, config: Mapping[str, Any]) -> None:
        """Run this configuration next; what it leaves out is drawn at random, beside what is fixed.

        Raises SpaceError: a name or a value is not in the space, or no legal configuration has them.
        """
        with self.alone():
            asked = asked_configuration(self.history, config)
            self.writer.commit([ev.Requested("enqueue", asked, time.time())])

    def stop(self) -> None:
        """Start no further job; those that run stop at their next report. `run` would go on."""
        self.writer.want_stop(time.time())

    def fix(self, values: Mapping[str, Any]) -> None:
        """Give new configurations these values, by name; an empty mapping fixes nothing any more.

        Raises SpaceError: a name or a value is not in the space, or no legal configuration has them.
        """
        with self.alone():
            self.writer.commit(fixed_events(self.history, values, time.time()))

    def change_space(self, space: Any, given: Mapping[str, Any] | None = None) -> None:
        """Draw configurations from another space from now on; what was observed is read as of that space.

        A trial with a parameter that it has not is outside: nothing is learnt from it. To go on learning
        from it, keep the parameter and `fix` it.

        Args:
            space: as in the constructor.
            given: the value that a new parameter had in earlier trials, where it was not its default.

        Raises SpaceError: the space is not valid, or a value of `given` is not in it.
        """
        with self.alone():
            self.writer.commit(space_events(self.history, space, given or {}, time.time()))

    def record(self, topic: str, data: Mapping[str, Any], trial: int | None = None) -> None:
        """Keep a mapping of numbers, text and lists in the log; `history.records[topic]` has it."""
        with self.alone():
            self.writer.commit([record_event(topic, data, trial, time.time())])

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

    def run(  # noqa: PLR0913  # a door
        self,
        objective: Any,
        *,
        workers: int | None = None,
        executor: str | Engine | Executor | None = None,
        watch: Callable[[Study, Sequence[Event]], None] | None = None,
        checkpoints: str | os.PathLike[str] | None = None,
        checkpoint_limit: int | None = None,
        trials: int | None = None,
        budget: str | float | None = None,
        total_resource: int | None = None,
        target: float | None = None,
    ) -> Result:
        """Run the study with this objective until it ends, or to the end named here: see `rung.tune`."""
        let_go(self)
        self.set_limits(other_end(self.history.limits, trials, budget, total_resource, target))
        self.keep_checkpoints(checkpoints, checkpoint_limit)
        run(self.writer, objective, workers, executor, watching(self, watch))
        return self.result

    def keep_checkpoints(self, place: str | os.PathLike[str] | None = None, limit: int | None = None) -> None:
        """Say where checkpoints lie from now on, and how many bytes they may be; the log holds it.

        Args:
            place: a folder, a URL that fsspec knows, or "study" for its own folder; None: where they lie now.
            limit: bytes; 0 for no limit; None: as it is now.

        Raises StudyError, StorageError: the place cannot be used, or not be written.
        """
        self.writer.commit(changed(self.writer.log, self.history, place, limit, time.time()))

    def allot(self, devices: int | str, efficiency: float = 0.75, scaling: Scaling | None = None) -> None:
        """Say how many devices a job gets from now on; the log holds it. See `rung.tune`.

        Raises StudyError: what was given cannot be used.
        """
        asked = make_allotment(devices, efficiency, scaling)
        self.writer.commit(allotment_events(self.history, asked, time.time()))

    def close(self) -> None:
        """End the session, if one is open, and let another process write the study."""
        try:
            let_go(self)
        finally:
            self.writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Study {self.name!r}: {in_short(self.history)}>"

    def _repr_html_(self) -> str:
        return self.result._repr_html_()
