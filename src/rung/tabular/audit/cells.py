"""One column's cells, looked at once: its numbers, its distinct words, and how many agree with its kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.columns import Column, Kind, prepare

if TYPE_CHECKING:
    import pandas as pd

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
        import pandas as pd

        if self.column.kind != Kind.NUMBER:
            return np.empty(0)
        if self.typed:
            values = self.values.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            words = pd.Series(self.levels[0], dtype=object)
            values = np.repeat(pd.to_numeric(words, errors="coerce").to_numpy(float), self.levels[1])
        return np.asarray(values[~np.isnan(values)], dtype=np.float64)

    @cached_property
    def finite(self) -> NDArray[np.float64]:
        """(m,) the finite ones of the numbers, ascending."""
        return np.sort(self.numbers[np.isfinite(self.numbers)])

    @cached_property
    def levels(self) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Distinct cells as words, the most frequent first, and how often each stands there."""
        words = self.values.dropna()
        if words.dtype == object:
            words = words.map(str)
        counts = words.value_counts().head(MOST_LEVELS)
        texts = np.array([str(word) for word in counts.index], dtype=object)
        return texts, np.asarray(counts.to_numpy(), dtype=np.intp)

    @cached_property
    def present(self) -> int:
        """Cells that are not missing."""
        return int(self.values.notna().sum())

    @cached_property
    def numeric(self) -> NDArray[np.bool_]:
        """(levels,) which of the distinct words are numbers."""
        import pandas as pd

        words = pd.Series(self.levels[0], dtype=object)
        return np.asarray(pd.to_numeric(words, errors="coerce").notna())

    @cached_property
    def dates(self) -> NDArray[np.datetime64]:
        """(n,) moments, NaT where missing or no date."""
        cells = prepare(self.values.to_frame(self.name), [self.column])
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


def is_code(word: str) -> bool:
    """Whether the word is digits with a leading zero, which a number would lose."""
    return len(word) > 1 and word[0] == "0" and word.isdecimal()


def every_column(frame: pd.DataFrame, columns: tuple[Column, ...]) -> Iterator[Cells]:
    """The columns, one after the other."""
    place = {str(name): i for i, name in enumerate(frame.columns)}
    for column in columns:
        yield Cells(column, frame.iloc[:, place[column.name]])
