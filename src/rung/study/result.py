"""What a search found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from rung.errors import StudyError
from rung.schedulers.replay import Replay
from rung.study.checkpoint_places import resolved
from rung.study.confirm import declared, leading
from rung.study.foreign import RESULT, called_elsewhere
from rung.study.front import front, hypervolume
from rung.study.lineage import Stage, lineage
from rung.study.notebook import as_html
from rung.study.records import TrialRecord, further, trials
from rung.study.writer import Writer
from rung.trials.events import Event
from rung.trials.history import EXHAUSTED, History

if TYPE_CHECKING:
    import pandas as pd


class Records(Protocol):
    """Trials' records by number."""

    def __getitem__(self, trial: int, /) -> TrialRecord: ...


@called_elsewhere("a result", RESULT)
class Result:
    """What a search found so far; records are read from the log when first asked for.

    Attributes:
        study: the study's name.
        reason: why no further job was started ("budget", "target", "total_resource", "interrupted", ...);
            "failing" if all trials failed with one and the same error;
            "exhausted" if nothing is left to try; None if all that was asked for is done.
    """

    def __init__(self, writer: Writer, events: Callable[[], Iterable[Event]]) -> None:
        self._writer = writer
        self._events = events
        self.study = writer.name
        self.reason = writer.ended or ("total_resource" if writer.out_of_resource else None)
        if self.reason is None and writer.history.exhausted:
            self.reason = EXHAUSTED

    @cached_property
    def trials(self) -> list[TrialRecord]:
        """Every trial's record, in order of number; a checkpoint is the path of its folder, or its URL."""
        records = trials(self._events())
        for record in records:
            if record.checkpoint is not None:
                record.checkpoint = resolved(self._writer.log.folder, record.checkpoint)
        return records

    @property
    def history(self) -> History:
        """The fold of the study's log."""
        return self._writer.history

    @property
    def best(self) -> TrialRecord | None:
        """The incumbent: the best value among the trials at the largest resource that any reached.

        In a study that confirms it, the configuration with the best mean of its repeats, which `confirmed`
        has, and that mean as its value. None if no trial has a value, or none keeps the constraints.
        """
        return best_record(self._writer, self.trials)

    @property
    def front(self) -> list[TrialRecord]:
        """The Pareto front: trials that no other one dominates; with one objective the incumbent alone."""
        return [self.trials[trial] for trial in front(self._writer.history)]

    @property
    def hypervolume(self) -> float | None:
        """What the front dominates, down to the reference point; None with one objective."""
        return hypervolume(self._writer.history)

    def lineage(self, trial: int | None = None) -> tuple[Stage, ...]:
        """The trainings that led to a trial (the best one unless given), each from the checkpoint before."""
        if trial is None:
            best = leading(self._writer.history)
            if best is None:
                raise StudyError(f"no trial of study {self.study!r} has a value, so none has a lineage")
            trial = best.trial
        if not 0 <= trial < len(self._writer.history):
            raise StudyError(
                f"there is no trial {trial}: study {self.study!r} has {len(self._writer.history)}"
            )
        return lineage(self._writer.history, trial)

    def schedule(self, trial: int | None = None, repeats: int = 1) -> Replay:
        """A scheduler that trains a trial's lineage again: `rung.tune(train, space, scheduler=...)`."""
        stages = self.lineage(trial)
        return Replay(tuple((stage.until, dict(stage.config)) for stage in stages), repeats)

    def events(self) -> Iterable[Event]:
        """The study's log, from its beginning."""
        return self._events()

    def to_frame(self) -> pd.DataFrame:
        """One row a trial: number, state, value, resource, a column a parameter and a column an attribute.

        Metrics beside the study's own, which is `value`, have a column each, too. `started` and `ended` are
        seconds since 1970, of its first job and its last; `message` says how a job of it failed last.
        """
        import pandas as pd

        beside = further(self.trials, self._writer.history.identity.metric)
        rows: list[dict[str, Any]] = [
            {
                "number": record.number,
                "state": str(record.state),
                "value": record.value,
                "resource": record.resource,
                **{f"metric.{name}": record.metrics.get(name) for name in beside},
                **{f"config.{name}": value for name, value in record.config.items()},
                "started": record.timing.started,
                "ended": record.timing.ended,
                "attempts": record.timing.attempts,
                "message": record.timing.message,
                **{f"attribute.{name}": value for name, value in record.attributes.items()},
            }
            for record in self.trials
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        return f"<Result of {self.study!r}: {in_short(self._writer.history)}>"

    def _repr_html_(self) -> str:
        return as_html(f"{self.study}: {in_short(self.history)}", self.history, self.trials, self.best)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a result reads its study's log and cannot be pickled: keep the log (storage='study.db', "
            "study='mine'; rung.Study.open('study.db', 'mine').result), or result.to_frame()"
        )


def best_record(writer: Writer, records: Records) -> TrialRecord | None:
    """The record of the best trial, as `Result.best` describes it, with the checkpoint of its value."""
    history = writer.history
    record = best_of(history, records)
    if record is None:
        return None
    if history.incumbent and record.number == history.incumbent.trial:
        kept = history.best_checkpoint
        record.checkpoint = None if kept is None else kept.path
    if record.checkpoint is not None:
        record.checkpoint = resolved(writer.log.folder, record.checkpoint)
    return record


def best_of(history: History, records: Records) -> TrialRecord | None:
    """The record of the best trial, as `Result.best` describes it; its checkpoint is the latest one.

    Its observations end where its value was told: it may have gone on, and broken a constraint.
    """
    incumbent, confirmed = history.incumbent, declared(history)
    if incumbent is None:
        return None
    record = copy(records[incumbent.trial if confirmed is None else confirmed.trial])
    record.value = incumbent.value if confirmed is None else confirmed.value
    record.confirmed = () if confirmed is None else confirmed.repeats
    if confirmed is None and history.identity.resource is not None:
        until = [one for one in record.observations if (one.resource or 0) <= incumbent.resource]
        record.observations = until or record.observations
    return record


def in_short(history: History) -> str:
    """How many trials there are, and the best: what is shown of a study where its name stands."""
    best = leading(history)
    found = f"best {best.value:g} by trial {best.trial}" if best else "no trial has a value"
    number = len(history)
    return f"{number} trial{'' if number == 1 else 's'}, {found}"
