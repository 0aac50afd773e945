"""What a search found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rung.study.records import TrialRecord, trials
from rung.study.writer import Writer
from rung.trials.events import Event
from rung.trials.states import TrialState

if TYPE_CHECKING:
    import pandas as pd


class Result:
    """What a search found so far; records are read from the log when first asked for.

    Attributes:
        study: the study's name.
        reason: why no further job was started ("budget", "target", "total_resource", "interrupted", ...);
            None if all that was asked for is done.
    """

    def __init__(self, writer: Writer, events: Callable[[], Iterable[Event]]) -> None:
        self._writer = writer
        self._events = events
        self.study = writer.name
        self.reason = writer.ended or ("total_resource" if writer.out_of_resource else None)

    @cached_property
    def trials(self) -> list[TrialRecord]:
        """Every trial's record, in order of number; a checkpoint is the path of its folder."""
        records = trials(self._events(), self._writer.space)
        for record in records:
            if record.checkpoint is not None:
                record.checkpoint = str(self._writer.log.folder / record.checkpoint)
        return records

    @property
    def best(self) -> TrialRecord | None:
        """The incumbent: the best value among the trials at the largest resource that any reached.

        None if no trial has a value.
        """
        incumbent = self._writer.history.incumbent
        if incumbent is None:
            return None
        record = self.trials[incumbent.trial]
        record.value = incumbent.value
        kept = self._writer.history.best_checkpoint
        record.checkpoint = None if kept is None else str(self._writer.log.folder / kept.path)
        return record

    def events(self) -> Iterable[Event]:
        """The study's log, from its beginning."""
        return self._events()

    def to_frame(self) -> pd.DataFrame:
        """One row a trial: number, state, value, resource, and a column a parameter."""
        import pandas as pd

        rows: list[dict[str, Any]] = [
            {
                "number": record.number,
                "state": str(record.state),
                "value": record.value,
                "resource": record.resource,
                **{f"config.{name}": value for name, value in record.config.items()},
            }
            for record in self.trials
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        best = self._writer.history.incumbent
        found = f"best {best.value:g} by trial {best.trial}" if best else "no trial has a value"
        return f"<Result of {self.study!r}: {len(self._writer.history)} trials, {found}>"


def failures(records: Sequence[TrialRecord], metric: str) -> str:
    """How many trials failed and the commonest reason, as a part of a sentence; "" if none did."""
    failed = [r for r in records if r.state in (TrialState.FAILED, TrialState.INFEASIBLE)]
    if not failed:
        return ""
    reasons = Counter(record.timing.message or f"a {metric} that is NaN or infinite" for record in failed)
    reason, count = reasons.most_common(1)[0]
    how = "" if count == len(failed) else f", {count} of them"
    return f"{len(failed)} of {len(records)} failed{how} with: {reason}"
