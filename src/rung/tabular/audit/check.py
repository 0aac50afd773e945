"""The check of a table: all findings, and one line about each column."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.tabular.audit.cells import Cells, every_column
from rung.tabular.audit.columns import column_findings, missing_together
from rung.tabular.audit.finding import TABLE, Finding, by_severity, rows
from rung.tabular.audit.leakage import leakage_findings, sample_rows
from rung.tabular.audit.numbers import number_findings
from rung.tabular.audit.repeats import repeated_columns, row_findings
from rung.tabular.audit.target import encoded, settle, target_findings
from rung.tabular.audit.untidy import stray_rows, untidy_words
from rung.tabular.audit.words import word_findings
from rung.tabular.columns import Column, Kind
from rung.tabular.frames import as_pandas
from rung.tabular.task import Task, no_target

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.frames import Frame

Tell = Callable[[str], None]
SAMPLE: Final = 50_000  # rows for what is about pairs of columns


@dataclass(frozen=True, slots=True)
class Outline:
    """One column in short.

    Attributes:
        agree: share of the cells that are what the column was taken for.
        missing: share of the cells.
        low, middle, high: least, median and greatest number; None of other kinds.
        top: the most frequent value as a word, and its share of the present cells; None of numbers.
        bars: (20,) counts of the numbers between the first and the last percentile, or of the levels.
    """

    name: str
    kind: str
    agree: float
    missing: float
    distinct: int
    low: float | None
    middle: float | None
    high: float | None
    top: tuple[str, float] | None
    bars: tuple[int, ...]


@dataclass(frozen=True)
class Audit:
    """What the check of a table found.

    Attributes:
        findings: errors first.
        task: None without a target, or with one that cannot be predicted.
        notes: sentences about what was looked at in part only.
    """

    rows: int
    target: str | None
    task: Task | None
    columns: tuple[Outline, ...]
    findings: list[Finding]
    notes: list[str]
    seconds: float

    @property
    def fittable(self) -> bool:
        """Whether no finding is an error."""
        return all(one.severity != "error" for one in self.findings)


def findings(
    frame: Frame,
    target: Hashable = None,
    task: str | None = None,
    columns: Sequence[Column] | None = None,
) -> list[Finding]:
    """What somebody should know about the table before a model is fitted, errors first.

    Args:
        task: "binary", "multiclass" or "regression"; guessed if None.
        columns: without the target's, as `infer_columns` finds them, which is done if None.

    Raises:
        DataError: the target is no column, or there is no such task.
    """
    return audit_table(frame, target, task, columns).findings


def audit_table(
    frame: Frame,
    target: Hashable = None,
    task: str | None = None,
    known: Sequence[Column] | None = None,
    tell: Tell | None = None,
    asked: Mapping[Any, str] | None = None,
) -> Audit:
    """The whole check.

    Args:
        task, known: as for `findings`, where `known` is called `columns`.
        tell: called with what is being done.
        asked: by column, kinds that are not guessed.

    Raises:
        DataError: the target is no column, there is no such task, or a column is not of the kind asked for.
    """
    began = time.monotonic()
    tell = tell or (lambda text: None)
    frame = _with_text_names(as_pandas(frame))
    names = list(frame.columns)
    target = None if target is None else str(target)
    asked = {str(name): kind for name, kind in (asked or {}).items()}
    if target is not None and target not in names:
        raise no_target(frame, target)
    settled, found = settle(frame, target, task) if target is not None else (None, [])
    y = encoded(frame[target], settled) if target is not None and settled is not None else None
    kinds, outlines = [], []
    for cells in every_column(frame, target, known, asked):
        tell(f"column {cells.name}")
        kinds.append(cells.column)
        found += _of_column(cells)
        outlines.append(outline(cells))
    columns = tuple(kinds)
    tell("the table's rows")
    found += list(_of_table(frame, columns, y))
    if settled is not None and y is not None and target is not None:
        tell("what tells the target")
        found += list(target_findings(y, settled, target))
        found += list(_leakage(frame, columns, y, settled, target))
    return Audit(
        rows=len(frame),
        target=target,
        task=settled,
        columns=tuple(outlines),
        findings=by_severity(found),
        notes=_notes(len(frame), y is not None),
        seconds=time.monotonic() - began,
    )


def _with_text_names(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame on a range of rows, its columns named by texts."""
    import pandas as pd

    plain = frame.set_axis(pd.RangeIndex(len(frame)), axis=0)
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"two columns are named {twice!r}; rename one of them")
    return plain.set_axis(names, axis=1)


def _of_column(cells: Cells) -> list[Finding]:
    return [
        *column_findings(cells),
        *number_findings(cells),
        *word_findings(cells, date.today()),
        *untidy_words(cells),
    ]


def _of_table(frame: pd.DataFrame, columns: tuple[Column, ...], y: NDArray[Any] | None) -> Iterator[Finding]:
    if not any(column.used for column in columns):
        yield Finding(
            "error",
            TABLE,
            "no column is left to learn from: each is empty, constant or names the single row",
            "add columns that say something about the target",
            "no-columns",
        )
    used = sum(column.used for column in columns)
    if used > len(frame):
        yield Finding(
            "note",
            TABLE,
            f"{used:,} columns and {rows(len(frame))}",
            "rung tries learners that hold back; a score from so few rows is uncertain, so hold some out",
            "wide",
        )
    sample = frame if len(frame) <= SAMPLE else frame.sample(SAMPLE, random_state=0)
    names = [column.name for column in columns]
    yield from missing_together(sample[names])
    yield from repeated_columns(sample, columns)
    yield from row_findings(frame, columns, y)
    yield from stray_rows(frame, columns)


def _leakage(
    frame: pd.DataFrame, columns: tuple[Column, ...], y: NDArray[Any], task: Task, target: str
) -> Iterator[Finding]:
    chosen = sample_rows(y >= 0 if task.is_classification else np.isfinite(y))
    yield from leakage_findings(frame.iloc[chosen], columns, y[chosen], task, target)


def _notes(count: int, targeted: bool) -> list[str]:
    notes = []
    if count > SAMPLE:
        notes.append(f"pairs of columns were compared on {SAMPLE:,} rows, drawn at random")
    if targeted and count > 20_000:
        notes.append("leakage was looked for on 20,000 rows, drawn at random")
    return notes


def outline(cells: Cells) -> Outline:
    """The column in short."""
    column, values = cells.column, cells.finite
    bars: tuple[int, ...] = ()
    low = middle = high = None
    top = None
    if len(values):
        low, middle, high = float(values[0]), float(np.median(values)), float(values[-1])
        bars = _histogram(values)
    elif cells.present:
        top = (cells.top[0], cells.top[1] / cells.present)
        bars = () if column.kind == Kind.IDENTIFIER else tuple(cells.levels[1][:20].tolist())
    return Outline(
        column.name,
        str(column.kind),
        cells.agree,
        column.missing,
        column.distinct,
        low,
        middle,
        high,
        top,
        bars,
    )


def _histogram(values: NDArray[np.float64]) -> tuple[int, ...]:
    low, high = (float(x) for x in np.quantile(values, [0.01, 0.99]))
    if not np.isfinite(high - low) or not high > low:
        return (len(values),)
    return tuple(np.histogram(values, bins=20, range=(low, high))[0].tolist())
