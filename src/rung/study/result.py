"""What a search found."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from rung.study.records import TrialRecord, trials

if TYPE_CHECKING:
    import pandas as pd

    from rung.study.study import Study


class Result:
    """A finished session's outcome; records are read from the log when first asked for."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self.study = study.name
        self.reason = study.writer.ended

    @cached_property
    def trials(self) -> list[TrialRecord]:
        """Every trial's record, in order of number."""
        records = trials(self._study.events(), self._study.space)
        for record in records:
            if record.checkpoint is not None:
                record.checkpoint = str(self._study.folder / record.checkpoint)
        return records

    @property
    def best(self) -> TrialRecord | None:
        """The incumbent: the best value among the trials at the largest resource that any reached.

        None if no trial has a value.
        """
        incumbent = self._study.history.incumbent
        if incumbent is None:
            return None
        record = self.trials[incumbent.trial]
        record.value = incumbent.value
        return record

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
        best = self._study.history.incumbent
        found = f"best {best.value:g} by trial {best.trial}" if best else "no trial has a value"
        return f"<Result of {self.study!r}: {len(self._study.history)} trials, {found}>"
