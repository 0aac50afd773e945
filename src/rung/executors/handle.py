"""The trial as an objective sees it: `def train(trial): ...`."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from rung.errors import Stopped, StudyError
from rung.executors.attributes import attribute
from rung.executors.base import Job
from rung.executors.checkpoint_files import DamagedError, NotSavedError
from rung.executors.files import opened_checkpoint, save_checkpoint, within
from rung.executors.metrics import as_metrics
from rung.trials.events import CheckpointDamaged, CheckpointFailed, CheckpointSaved, Event, Reported


class Link(Protocol):
    """The way from a running job to whoever runs it."""

    def tell(self, event: Event, *, waits: bool = False) -> None:
        """Hand an event over; with `waits` return only when the study has had its word on it."""

    def stopping(self) -> bool:
        """Whether the job is told to stop."""

    def now(self) -> float:
        """Seconds since the epoch."""


class Trial:
    """One job of a trial, as the objective sees it.

    Attributes:
        number: of the trial, from 0.
        config: the configuration, a plain dict of what is active; the objective's own copy.
        start: the resource that the checkpoint carries the trial to; 0 without one.
        resource: the resource to reach, or None in a study without a resource.
        seed: the trial's own, below 2**31, the same in each of its jobs.
        checkpoint: the folder that an earlier job of this trial saved (path), or None.
        devices: how many it gets.
    """

    def __init__(
        self, job: Job, link: Link, folder: str, save_every: float = 60.0, checkpoints: str | None = None
    ) -> None:
        self.number = job.trial
        self.config: dict[str, Any] = dict(job.config)
        self.start = job.start
        self.resource: int | None = None if job.plain else job.until
        self.seed = job.seed
        self.checkpoint = job.checkpoint
        self.devices = job.devices
        self.told: set[str] = set()  # names of all metrics so far
        self.reached = 0  # the largest resource reported
        self.stopped = False  # it was told to stop, by an exception
        self._job = job
        self._link = link
        self._folder = folder
        self._place = checkpoints  # where checkpoints lie instead, see `Setup.checkpoints`
        self._save_every = save_every
        self._saved_at = time.monotonic()
        self._passed = 0  # gates behind it
        self._unsaved: tuple[int, Callable[[str], object]] | None = None  # offered by the latest report

    if not TYPE_CHECKING:  # a type checker is to see what there is

        def __getattr__(self, name: str) -> Any:
            """Only what is not there: says what Optuna's names are here.

            Raises:
                AttributeError: always.
            """
            hint = _OPTUNA.get("suggest" if name.startswith("suggest_") else name)
            raise AttributeError(f"a trial has no {name!r}" + (f": {hint}" if hint else ""))

    def __repr__(self) -> str:
        return f"<trial {self.number}: {self.config}, from {self.start} to {self.resource}>"

    def report(
        self,
        resource: int | None = None,
        *,
        save: Callable[[str], object] | None = None,
        **metrics: Any,
    ) -> None:
        """Tell the metrics that the trial has at `resource`, which is the job's end unless given.

        `save(folder)` is called if a checkpoint is needed now: at the end of the job, when told to stop, and
        when a minute has gone since the last one. The report comes first and the checkpoint after it, so
        that a crash in between can lose a checkpoint but never leave one whose result is unknown: a job that
        starts from it would have nothing left to train and nothing to report.

        Raises:
            Stopped: the trial is told to stop; what `save` offered is saved. Let it pass.
            StudyError: no metric, one that is no number, or a resource that is no whole number.
        """
        job = self._job
        at = job.until if resource is None else _whole(resource)
        if not metrics:
            raise StudyError("report needs a metric, by name: trial.report(epoch + 1, loss=0.31)")
        numbers = as_metrics(metrics)
        self.told.update(numbers)
        self.reached = max(self.reached, at)
        self._link.tell(
            Reported(job.trial, at, numbers, job.attempt, self._link.now()), waits=self._passes_gate(at)
        )
        stopping = self._link.stopping()
        self._unsaved = None if save is None else (at, save)
        if stopping or self._save_is_due(at):
            self.save_now()
        if stopping:
            self.stopped = True
            raise Stopped(f"trial {job.trial} is told to stop")

    def set_attribute(self, name: str, value: Any) -> None:
        """Keep something of this trial beside its metrics: a model's size, a file's name, the folds' scores.

        It is in the trial's record (`result.trials[3].attributes`), in `rung export` and in the report.

        Args:
            name: any text; the same one again takes the earlier one's place.
            value: None, a bool, a number, text, or lists and mappings of these.

        Raises:
            StudyError: it is something else, or longer than 65,536 characters as JSON.
        """
        self._link.tell(attribute(self.number, name, value, self._link.now()))

    def save_now(self) -> None:
        """Save what the latest report offered, unless it is saved already.

        The executor calls it when the objective has returned: without a resource no report is known to be
        the last.
        """
        if self._unsaved is None:
            return
        (at, save), self._unsaved = self._unsaved, None
        attempt, now = self._job.attempt, self._link.now
        try:
            saved = save_checkpoint(self._place or self._folder, self.number, at, save)
        except NotSavedError as error:
            self._link.tell(CheckpointFailed(self.number, at, str(error), attempt, now()))
        else:
            path = saved.path if self._place is None else within(self._place, saved.path)
            self._link.tell(CheckpointSaved(self.number, at, path, attempt, now(), saved.size, saved.digest))
        self._saved_at = time.monotonic()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """While the job runs, `checkpoint` is a folder of this machine that holds what was saved.

        Raises:
            DamagedError: it does not, or is gone; the study is told.
            StorageError: the store that has it does not answer.
        """
        job = self._job
        if job.checkpoint is None:
            yield
            return
        with ExitStack() as stack:
            try:
                self.checkpoint = stack.enter_context(opened_checkpoint(job.checkpoint, job.digest))
            except DamagedError as error:
                self._link.tell(CheckpointDamaged(job.trial, str(error), job.attempt, self._link.now()))
                raise
            yield

    def told_to_stop(self) -> bool:
        """Whether it is told to stop, by an exception or not yet."""
        return self.stopped or self._link.stopping()

    def _save_is_due(self, at: int) -> bool:
        ends = self.resource is not None and at >= self.resource
        return ends or time.monotonic() - self._saved_at >= self._save_every

    def _passes_gate(self, at: int) -> bool:
        """Whether a report at `at` reaches a gate that no earlier one did."""
        gates, before = self._job.gates, self._passed
        while self._passed < len(gates) and gates[self._passed] <= at:
            self._passed += 1
        return self._passed > before


_OPTUNA: Final = {
    "suggest": "parameters are declared beforehand, as {'lr': rung.Float(1e-5, 0.1, log=True)}, and are in "
    "trial.config['lr']",
    "params": "it is trial.config",
    "set_user_attr": "it is trial.set_attribute(name, value)",
    "should_prune": "trial.report(epoch + 1, loss=...) raises rung.Stopped where it is to stop",
}


def _whole(resource: Any) -> int:
    try:
        return operator.index(resource)
    except TypeError:
        if isinstance(resource, float) and resource.is_integer():
            return int(resource)
    raise StudyError(
        f"report's resource must be a whole number, not {resource!r}; "
        "metrics go by name: trial.report(epoch + 1, loss=0.31)"
    )
