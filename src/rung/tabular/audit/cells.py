"""One column's cells, looked at once: its numbers, its distinct words, and how many agree with its kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.cells import COMMA
from rung.tabular.columns import Column, Kind, infer_columns, prepare
from rung.tabular.forms import form_numbers
from rung.tabular.frames import with_columns

if TYPE_CHECKING:
    import pandas as pd

SAMPLE: Final = 200_000  # rows that the kinds of a long table are found on
_YEARS: Final = (1678, 2261)  # that moments in nanoseconds hold whole
MOST_LEVELS: Final = 100_000  # distinct words that are looked at, the most frequent ones


@dataclass(frozen=True)
class Cells:
    """One column.

    Attributes:
        column: what it was taken for.
        values: (n,) the cells as they came.
    """

    column: Column
    values: pd.Series

    @property
    def name(self) -> str:
        """The column's."""
        return self.column.name

    @cached_property
    def typed(self) -> bool:
        """Whether the cells are numbers or booleans by type, not words."""
        import pandas as pd

        return bool(pd.api.types.is_numeric_dtype(self.values.dtype))

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """(m,) the cells that are numbers, infinite ones too; empty unless the column is one of numbers."""
        if self.column.kind != Kind.NUMBER:
            return np.empty(0)
        if self.typed:
            values = self.values.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            values = np.repeat(self._worded, self.levels[1])
        return np.asarray(values[~np.isnan(values)], dtype=np.float64)

    @cached_property
    def finite(self) -> NDArray[np.float64]:
        """(m,) the finite ones of the numbers, ascending."""
        return np.sort(self.numbers[np.isfinite(self.numbers)])

    @property
    def levels(self) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Distinct cells as words, the most frequent first, and how often each stands there."""
        return self._counted[:2]

    @cached_property
    def _counted(self) -> tuple[NDArray[Any], NDArray[np.intp], int]:
        """The levels, and how many there are."""
        words = self.values.dropna()
        if words.dtype == object:
            words = words.map(str)
        every = words.value_counts()
        counts = every.head(MOST_LEVELS)
        texts = np.array([str(word) for word in counts.index], dtype=object)
        return texts, np.asarray(counts.to_numpy(), dtype=np.intp), len(every)

    @cached_property
    def top(self) -> tuple[str, int]:
        """The most frequent value as a word, and how often it stands there; "" and 0 of an empty column."""
        if self.column.kind == Kind.NUMBER and self.typed and len(self.finite):
            starts = self._starts
            lengths = np.diff(starts, append=len(self.finite))
            place = int(lengths.argmax())
            return f"{self.finite[starts[place]]:.15g}", int(lengths[place])
        if not self.present:
            return "", 0
        if self.column.kind == Kind.IDENTIFIER:  # counting them all would take long, for next to nothing
            return str(self.values.dropna().iloc[0]), 1
        return str(self.levels[0][0]), int(self.levels[1][0])

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        """Where each different finite number begins."""
        return np.flatnonzero(np.r_[True, self.finite[1:] != self.finite[:-1]])

    @cached_property
    def distinct(self) -> int:
        """Different values; of numbers the finite ones."""
        if self.column.kind == Kind.NUMBER and self.typed:
            return len(self._starts) if len(self.finite) else 0
        return self._counted[2]

    @cached_property
    def present(self) -> int:
        """Cells that are not missing."""
        return int(self.values.notna().sum())

    @cached_property
    def numeric(self) -> NDArray[np.bool_]:
        """(levels,) which of the distinct words are numbers."""
        return ~np.isnan(self._worded)

    @cached_property
    def _worded(self) -> NDArray[np.float64]:
        """(levels,) the numbers that the distinct words are, NaN where they are none."""
        import pandas as pd

        words = pd.Series(self.levels[0], dtype=object)
        if self.column.form:
            comma = bool(self.values.attrs.get(COMMA))
            return np.asarray(form_numbers(words.str.strip(), self.column.form, comma=comma), np.float64)
        return np.asarray(pd.to_numeric(words, errors="coerce"), dtype=np.float64)

    @cached_property
    def dates(self) -> NDArray[np.datetime64]:
        """(n,) moments, NaT where missing or no date."""
        cells = prepared(self.values.to_frame(self.name), [self.column])
        return np.asarray(cells[self.name].to_numpy(dtype="datetime64[ns]"))

    @cached_property
    def agree(self) -> float:
        """Share of the cells that are what the column was taken for, 0 to 1."""
        if self.typed or not self.present or self.column.kind in (Kind.CONSTANT, Kind.EMPTY):
            return 1.0
        words, counts = self.levels
        if self.column.kind == Kind.DATE:
            return float((~np.isnat(self.dates)).sum() / self.present)
        numbers = float(counts[self.numeric].sum() / max(counts.sum(), 1))
        if self.column.kind == Kind.NUMBER:
            return numbers
        coded = any(is_code(str(word)) for word in words[:1000])
        return 1.0 if coded else 1.0 - numbers


def prepared(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """As `rung.tabular.columns.prepare`, with dates that no moment can hold (9999-12-31) taken as missing."""
    import pandas as pd

    try:
        return prepare(frame, columns)
    except pd.errors.OutOfBoundsDatetime:
        names = [column.name for column in columns if column.kind == Kind.DATE]
        return prepare(with_columns(frame, {name: _holdable(frame[name]) for name in names}), columns)


def _holdable(values: pd.Series) -> pd.Series:
    """Dates with a year that moments in nanoseconds hold whole; the others missing."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        years = values.dt.year
    else:
        years = pd.to_numeric(values.astype(str).str.extract(r"\b(\d{4})\b")[0], errors="coerce")
    far = (years < _YEARS[0]) | (years > _YEARS[1])
    return values.mask(far.fillna(False).astype(bool))


def is_code(word: str) -> bool:
    """Whether the word is digits with a leading zero, which a number would lose."""
    return len(word) > 1 and word[0] == "0" and word.isdecimal()


def every_column(
    frame: pd.DataFrame, target: str | None, known: Sequence[Column] | None, asked: Mapping[str, str]
) -> Iterator[Cells]:
    """The columns, one after the other, the target's left out.

    Of a long table the kinds are found on a sample; where more rows may change it, on all; those that are
    known already, and the kinds that are asked for, are taken as they are.
    """
    if known is not None:
        yield from (Cells(column, frame[column.name]) for column in known)
        return
    long = len(frame) > SAMPLE
    sample = frame.sample(SAMPLE, random_state=0) if long else frame
    for name in frame.columns:
        if name == target:
            continue
        if name in asked:
            yield Cells(infer_columns(frame[[name]], asked=asked)[0], frame[name])
            continue
        cells = Cells(infer_columns(sample[[name]])[0], frame[name])
        if long:
            cells = _settled(cells)
        yield cells


def _settled(cells: Cells) -> Cells:
    """With what holds for all rows, of a column whose kind was found on a sample."""
    column = cells.column
    firm = column.kind in (Kind.NUMBER, Kind.CATEGORY, Kind.DATE) or (
        column.kind == Kind.TEXT and column.distinct > 0.5 * SAMPLE
    )
    missing = (len(cells.values) - cells.present) / len(cells.values)
    every = column.kind == Kind.NUMBER and cells.distinct == len(cells.values)
    if not firm or every:
        return Cells(infer_columns(cells.values.to_frame(cells.name))[0], cells.values)
    settled = Cells(replace(column, distinct=cells.distinct, missing=missing), cells.values)
    # what was counted holds on: of frozen values only the cached ones are in the dictionary
    settled.__dict__.update({k: v for k, v in cells.__dict__.items() if k not in ("column", "values")})
    return settled
