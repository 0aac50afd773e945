"""What each column is, found once on the training table, and how any later table is brought into that
shape.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from rung.errors import DataError
from rung.tabular.cells import WRITTEN
from rung.tabular.names import closest, listed
from rung.tabular.written import to_numbers

if TYPE_CHECKING:
    import pandas as pd


class Kind(StrEnum):
    """What a column holds. Compare with `==`: a saved model's kinds come back as plain text."""

    NUMBER = "number"
    CATEGORY = "category"
    TEXT = "text"
    DATE = "date"
    CONSTANT = "constant"
    EMPTY = "empty"
    IDENTIFIER = "identifier"
    DROPPED = "dropped"


USED: Final = (Kind.NUMBER, Kind.CATEGORY, Kind.TEXT, Kind.DATE)
ASKABLE: Final = ("number", "category", "text", "date")
"""Kinds that a user may ask for."""
_ROW_NAMES: Final = ("", "id", "index", "idx", "row", "rowid", "row_id", "row_number", "nr", "no")
_DAYS: Final = (
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%Y/%m/%d",
    "%m/%d/%y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%m-%Y",
    "%d/%m/%y",
    "%d.%m.%y",
    "%d-%b-%y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%A, %d %B %Y",
    "%A, %B %d, %Y",
    "%a, %d %b %Y",
)
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M:%S %p")
_FORMATS: Final = ("ISO8601", *(day + time for time in _TIMES for day in _DAYS))
_SHARE: Final = 0.95  # of the cells must be numbers (or dates) for the column to be one
_YEARS: Final = (1678, 2261)  # that moments in nanoseconds hold whole; others are missing
_LONG: Final = 500_000  # rows from which not every number is looked at, to see how many differ, but
_LOOKED_AT: Final = 100_000  # of them, and
_MANY: Final = 1_000  # different ones are enough
_SAMPLE: Final = 5_000  # words looked at where all of them would take long


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the training table.

    Attributes:
        distinct: number of different values, missing cells not counted.
        missing: share of missing cells, 0 to 1.
        format: of a date in words, as pandas takes it; None for all else.
    """

    name: str
    kind: str
    distinct: int
    missing: float
    format: str | None = None

    @property
    def used(self) -> bool:
        """Whether models see the column."""
        return self.kind in USED


def infer_columns(
    frame: pd.DataFrame,
    target: str | None = None,
    asked: Mapping[str, str] | None = None,
    left_out: Collection[str] = (),
) -> tuple[Column, ...]:
    """Every column's kind, in the frame's order, the target's left out; `asked` kinds are taken as said.

    Words of which at least 95 % are numbers are numbers, unless one has a leading zero; dates likewise.
    Words with three or more parts on average that seldom repeat are text. Words of which 95 % or more are
    different (50 rows or more), and whole numbers that count the rows, are identifiers, which no model can
    learn from.
    """
    return tuple(
        _as_asked(_infer(str(name), frame[name]), frame[name], asked or {}, left_out)
        for name in frame.columns
        if name != target
    )


def _as_asked(
    column: Column, values: pd.Series, asked: Mapping[str, str], left_out: Collection[str]
) -> Column:
    if column.name in left_out:
        return replace(column, kind=str(Kind.DROPPED), format=None)
    kind = asked.get(column.name)
    if kind is None or kind == column.kind or column.distinct == 0:
        return column
    pattern = None
    if kind == Kind.DATE:
        pattern = _date_format(_words(values.dropna()))
        if pattern is None:
            raise DataError(
                f"column {column.name!r} holds no dates that rung can read; leave its kind to rung"
            )
    return replace(column, kind=kind, format=pattern)


def column_notes(columns: Iterable[Column]) -> tuple[str, ...]:
    """One sentence for each kind of column that models do not see."""
    why = {
        Kind.CONSTANT: "hold one value only",
        Kind.EMPTY: "are empty",
        Kind.IDENTIFIER: "name the single row (--kinds NAME=number or NAME=category keeps one)",
        Kind.DROPPED: "are not to be learned from",
    }
    groups = {kind: [c.name for c in columns if c.kind == kind] for kind in why}
    return tuple(
        f"left out, because they {why[kind]}: {listed(names, 'and')}"
        for kind, names in groups.items()
        if names
    )


def reading_notes(frame: pd.DataFrame) -> tuple[str, ...]:
    """What reading the table took for something else than what its cells say, in sentences."""
    names = frame.attrs.get(WRITTEN, [])
    if not names:
        return ()
    return (
        "read as numbers, without thousands marks, currencies and percent signs (--kinds NAME=category keeps "
        f"levels): {listed(names, 'and', 10)}",
    )


def _infer(name: str, values: pd.Series) -> Column:
    import pandas as pd

    missing = float(values.isna().mean()) if len(values) else 1.0
    distinct = _distinct(values)
    kind: str
    pattern = None
    if distinct == 0:
        kind = Kind.EMPTY
    elif distinct == 1 and missing == 0:
        kind = Kind.CONSTANT
    elif pd.api.types.is_bool_dtype(values.dtype):
        kind = Kind.CATEGORY
    elif pd.api.types.is_numeric_dtype(values.dtype):
        kind = Kind.NUMBER
        if _counts_rows(name, values):
            kind, distinct = Kind.IDENTIFIER, len(values)  # of a long column only some were looked at
    elif pd.api.types.is_datetime64_any_dtype(values.dtype):
        kind = Kind.DATE
    else:
        there = values.dropna()
        some = there if len(there) <= _SAMPLE else there.sample(_SAMPLE, random_state=0)
        kind, pattern = _infer_words(_words(some), distinct, len(there))
    return Column(name, str(kind), distinct, missing, pattern)


def _distinct(values: pd.Series) -> int:
    """How many different values; of a long column of numbers that has many, at least so many."""
    import pandas as pd

    if len(values) > _LONG and pd.api.types.is_numeric_dtype(values.dtype):
        some = int(values.iloc[:: len(values) // _LOOKED_AT].nunique())
        if some > _MANY:
            return some
    return int(_hashable(values).nunique())


def _infer_words(sample: pd.Series, distinct: int, rows: int) -> tuple[str, str | None]:
    """Kind of a column of words, and the format if they are dates.

    Args:
        sample: of the words, none of them missing.
        distinct, rows: of all of them.
    """
    coded = sample.str.contains(r"^[+-]?0[0-9]", regex=True).any()
    if not coded and to_numbers(sample).notna().mean() >= _SHARE:
        return Kind.NUMBER, None
    if (pattern := _date_format(sample)) is not None:
        return Kind.DATE, pattern
    parts = float(sample.str.count(r"\s+").mean()) + 1
    if parts >= 3 and distinct > 20 and distinct > 0.01 * rows:
        return Kind.TEXT, None
    return (Kind.IDENTIFIER if rows >= 50 and distinct >= 0.95 * rows else Kind.CATEGORY), None


def _date_format(words: pd.Series) -> str | None:
    """The first format that fits 95 % of the words, None if none does."""
    import pandas as pd

    dated = words.str.contains(r"\d", regex=True) & words.str.len().between(6, 35)
    if dated.mean() < _SHARE:
        return None
    for pattern in _FORMATS:
        if pd.to_datetime(words, format=pattern, errors="coerce", utc=True).notna().mean() >= _SHARE:
            return pattern
    return None


def _counts_rows(name: str, values: pd.Series) -> bool:
    """Whether whole numbers under a name such as `id` rise by one from row to row."""
    plain = name.lower().startswith("unnamed: ") or name.lower().strip() in _ROW_NAMES
    if not plain or len(values) < 20 or values.isna().any():
        return False
    return bool((values.astype(float).diff().iloc[1:] == 1).all())


def _hashable(values: pd.Series) -> pd.Series:
    """The values themselves, or their texts where one of them (a list, an array) cannot be counted."""
    if values.dtype != object:
        return values
    try:
        values.nunique()
    except TypeError:
        return values.map(str, na_action="ignore")
    return values


def prepare(frame: pd.DataFrame, columns: Iterable[Column]) -> pd.DataFrame:
    """The used columns of any later table, in the training table's order and types, on a RangeIndex.

    Numbers are float64 (NaN where missing, infinite or no number), categories and text are object columns
    of str (None where missing; whole numbers without a decimal point), dates are datetime64[ns] without a
    zone (NaT). Columns of the table that training did not have are ignored.

    Raises:
        DataError: a used column is missing.
    """
    import pandas as pd

    used = [column for column in columns if column.used]
    by_name = {str(name): i for i, name in enumerate(frame.columns)}
    _refuse_missing([column.name for column in used if column.name not in by_name], list(by_name))
    return pd.DataFrame(
        {column.name: _converted(frame.iloc[:, by_name[column.name]], column) for column in used},
        index=pd.RangeIndex(len(frame)),
    )


def _refuse_missing(absent: list[str], there: list[str]) -> None:
    if not absent:
        return
    near = closest(absent[0], there, count=1)
    hint = f"is it {near[0]!r}?" if near else f"the table has {listed(there, 'and')}"
    noun = (
        f"column {absent[0]!r} is" if len(absent) == 1 else f"columns {listed(map(repr, absent), 'and')} are"
    )
    raise DataError(
        f"the model needs what it was trained on: {noun} missing from the table; add what is missing ({hint})"
    )


def _converted(values: pd.Series, column: Column) -> object:
    """The cells of one column in its training kind; words as a series, because pandas would guess a type."""
    if column.kind == Kind.NUMBER:
        return _numbers(values)
    if column.kind == Kind.DATE:
        return _dates(values, column.format)
    return _words(values)


def _numbers(values: pd.Series) -> object:
    import numpy as np
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(values.dtype):
        values = to_numbers(values.where(values.isna(), values.astype(str).str.strip()))
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def _dates(values: pd.Series, pattern: str | None) -> object:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values.dtype):
        values = values.astype("Int64").astype(str)
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = pd.to_datetime(
            values.where(values.isna(), values.astype(str)),
            format=pattern or "ISO8601",
            errors="coerce",
            utc=True,
        )
    if values.dt.tz is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    return values.where(values.dt.year.between(*_YEARS)).astype("datetime64[ns]").to_numpy()


def _words(values: pd.Series) -> pd.Series:
    """Objects of str, None where missing: `3.0` as `3`, so that a number that is a code reads the same
    everywhere.
    """
    import numpy as np
    import pandas as pd

    gone = values.isna().to_numpy()
    if isinstance(values.dtype, pd.StringDtype):
        texts = np.array(values.to_numpy(dtype=object))
        texts[gone] = None
        return pd.Series(texts, dtype=object)
    if pd.api.types.is_float_dtype(values.dtype):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        if bool((numbers[~gone] % 1 == 0).all()):
            values = values.astype("Int64")
    words = np.array([str(value) for value in values.to_numpy(dtype=object)], dtype=object)
    words[gone] = None
    return pd.Series(words, dtype=object)
