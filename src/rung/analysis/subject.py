"""What is looked at: one study's log, its history and its trials' records, wherever they come from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from rung.analysis.wording import Wording, wording_of
from rung.errors import StorageError, StudyError
from rung.space.compiled import CompiledSpace
from rung.storage import is_there, open_storage
from rung.study import Result, Study
from rung.study.confirm import leading
from rung.study.records import TrialRecord, trials
from rung.trials import events as ev
from rung.trials.events import Event, Goal
from rung.trials.history import History, Incumbent

if TYPE_CHECKING:
    from rung.storage.base import Storage

DEFAULT_STORAGE = "rung.db"


class Step(NamedTuple):
    """The incumbent changed: `trials` were started by then, `seconds` and `spent` gone."""

    incumbent: Incumbent
    trials: int
    seconds: float
    spent: int


@dataclass(frozen=True, eq=False)
class Subject:
    """One study as it stands in its log.

    Attributes:
        kept: what several plots need and is computed once.
    """

    name: str
    events: Sequence[Event]
    kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def _replayed(self) -> tuple[History, list[Step]]:
        history, steps = History(), []
        best: Incumbent | None = None
        for event in self.events:
            history.fold(event)
            if history.incumbent is not best:
                best = history.incumbent
                if best is not None:
                    clock = history.clock
                    steps.append(Step(best, len(history), clock.known(), history.spent))
        return history, steps

    @property
    def history(self) -> History:
        """The fold of the log."""
        return self._replayed[0]

    @property
    def steps(self) -> list[Step]:
        """Every change of the incumbent, in the order of the log."""
        return self._replayed[1]

    @property
    def space(self) -> CompiledSpace:
        return self.history.space

    @cached_property
    def records(self) -> list[TrialRecord]:
        """Every trial's record, in order of number."""
        return trials(self.events)

    @cached_property
    def wording(self) -> Wording | None:
        """How it is worded where its parameters say little one by one; None where they do."""
        return wording_of(self.history)

    def words(self, trial: int) -> list[tuple[str, str]] | None:
        """A trial's configuration as (name, text) where it is not told by its parameters."""
        return None if self.wording is None else self.wording.configuration(trial)

    @property
    def identity(self) -> ev.Identity:
        return self.history.identity

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The objectives; a study with one has one."""
        return self.identity.goals or (Goal(self.identity.metric, self.identity.mode),)

    @property
    def unit(self) -> str | None:
        """The resource's name, "epoch"; None in a study without one."""
        return self.identity.resource.name if self.identity.resource else None

    @property
    def best(self) -> int | None:
        """The trial that counts as the best: the one that repeats declared, else the incumbent."""
        best = leading(self.history)
        return None if best is None else best.trial

    def at(self, resource: int) -> str:
        """Where: " at epoch 9", or nothing in a study without a resource."""
        return f" at {self.unit} {resource}" if self.unit else ""

    def goal(self, metric: str | None = None) -> Goal:
        """The objective of this name, the first without one.

        Raises:
            StudyError: there is none of this name.
        """
        if metric is None:
            return self.goals[0]
        for goal in self.goals:
            if goal.metric == metric:
                return goal
        known = ", ".join(goal.metric for goal in self.goals)
        raise StudyError(f"study {self.name!r} has no objective {metric!r}: it has {known}")


def subject_of(given: Any, storage: str | None = None) -> Subject:
    """The subject that a result, a study or a study's name means.

    Args:
        given: a `Result`, a `Study`, a `Subject`, or a name, looked up in `storage`.
        storage: a path or a URL; `RUNG_STORAGE` or rung.db if it is not given.

    Raises:
        StudyError: it is none of these, or there is no study of this name.
        StorageError: there is no such storage.
    """
    match given:
        case Subject():
            return given
        case Study():
            return Subject(given.name, tuple(given.events()))
        case Result():
            return Subject(given.study, tuple(given.events()))
        case str():
            url = storage or os.environ.get("RUNG_STORAGE", DEFAULT_STORAGE)
            store = _existing(url)
            try:
                return Subject(given, tuple(store.read(given)))
            finally:
                store.close()
    raise StudyError(f"{given!r} is no study: give a result, a study, or a study's name")


def _existing(url: str) -> Storage:
    if not is_there(url):
        raise StorageError(f"there is no storage {url}: check the storage's name and RUNG_STORAGE")
    return open_storage(url)
