"""What each column is, found once on the training table, and how any later table is brought into that
shape.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from rung.errors import DataError
from rung.tabular.cells import COMMA, WRITTEN
from rung.tabular.dates import BETWEEN, date_format, date_words, dates_in, month_first
from rung.tabular.forms import PLAIN, SIGN, form_numbers, form_words, number_form
from rung.tabular.names import closest, listed
from rung.tabular.truth import in_its_spelling, truth_format
from rung.tabular.written import texts_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


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
_LONG: Final = 500_000  # rows from which not every number is looked at, to see how many differ, but
_LOOKED_AT: Final = 100_000  # of them, and
_MANY: Final = 1_000  # different ones are enough
_PARTS: Final = 3  # of a text, on average; and of
_LISTED: Final = 1.5  # a list
_ADDRESS: Final = r"^(?:[a-z][a-z+.-]*://|www\.|/[A-Za-z0-9_.%~-]*(?:[/?]|$))"
_SHARE: Final = 0.8  # of a column's cells are addresses
_SAMPLE: Final = 5_000  # words looked at where all of them would take long


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the training table.

    Attributes:
        distinct: number of different values, missing cells not counted.
        missing: share of missing cells, 0 to 1.
        format: of dates in words, as pandas takes it (several with | between); of numbers in words that
            have a unit or decimal commas, or are times, as `rung.tabular.forms` has it; of categories that
            are true and false, their levels (`rung.tabular.truth`); None for all else.
        words: whether its cells were words, whatever is read out of them.
    """

    name: str
    kind: str
    distinct: int
    missing: float
    format: str | None = None
    words: bool = False

    @property
    def form(self) -> str | None:
        """Of numbers in words, None if they have none."""
        return self.format if self.kind == Kind.NUMBER else None

    @property
    def what(self) -> str:
        """Its kind, and what words are read as: "number (kg)"."""
        return f"{self.kind} ({form_words(self.form)})" if self.form else str(self.kind)

    @property
    def unit(self) -> str:
        """The currency or percent sign that its numbers have in whatever table; "" for all else."""
        return self.form.removeprefix(SIGN) if self.form and self.form.startswith(SIGN) else ""

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

    Words of which at least 95 % are numbers are numbers, unless one has a leading zero; so are those with one
    unit, and times (`rung.tabular.forms`). Dates may have several formats (`rung.tabular.dates`).
    Words with three or more parts on average that seldom repeat are text, and so are addresses and lists
    between bars or semicolons. Words of which 95 % or more are
    different (50 rows or more), and whole numbers that count the rows, are identifiers, which no model can
    learn from.
    """
    comma, written = bool(frame.attrs.get(COMMA)), dict(frame.attrs.get(WRITTEN, {}))
    found = []
    for name in frame.columns:
        if name != target:
            column = _infer(str(name), frame[name], comma=comma)
            unit = written.get(str(name))
            if unit and column.kind == Kind.NUMBER and column.format is None:
                column = replace(column, format=SIGN + unit)
            found.append(_as_asked(column, frame[name], asked or {}, left_out, comma=comma))
    return tuple(found)


def _as_asked(
    column: Column, values: pd.Series, asked: Mapping[str, str], left_out: Collection[str], *, comma: bool
) -> Column:
    if column.name in left_out:
        return replace(column, kind=str(Kind.DROPPED), format=None)
    kind = asked.get(column.name)
    if kind is None or kind == column.kind or column.distinct == 0:
        return column
    pattern = None
    if kind == Kind.DATE:
        pattern = date_format(_words(values.dropna()))
        if pattern is None:
            raise DataError(
                f"column {column.name!r} holds no dates that rung can read; leave its kind to rung"
            )
    elif kind == Kind.NUMBER and _worded(values):
        pattern = _form(_some(values), comma=comma, least=0.0)[1]
    return replace(column, kind=kind, format=pattern)


def column_notes(columns: Iterable[Column]) -> tuple[str, ...]:
    """One sentence for each kind of column that models do not see, and for words read as something else."""
    why = {
        Kind.CONSTANT: "hold one value only",
        Kind.EMPTY: "are empty",
        Kind.IDENTIFIER: "name the single row (--kinds NAME=number or NAME=category keeps one)",
        Kind.DROPPED: "are not to be learned from",
    }
    columns = tuple(columns)
    groups = {kind: [c.name for c in columns if c.kind == kind] for kind in why}
    return _read_otherwise(columns) + tuple(
        f"left out, because they {why[kind]}: {listed(names, 'and')}"
        for kind, names in groups.items()
        if names
    )


def _read_otherwise(columns: Iterable[Column]) -> tuple[str, ...]:
    """What words with a unit, times and dates of several formats are read as."""
    formed = [f"{c.name} ({form_words(c.form)})" for c in columns if c.form]
    mixed = [
        f"{c.name} ({date_words(c.format)})"
        for c in columns
        if c.kind == Kind.DATE and c.format and BETWEEN in c.format
    ]
    said = {
        "as numbers (--kinds NAME=category keeps words)": formed,
        "as dates of several formats (--kinds NAME=category keeps words)": mixed,
        "as dates with the month first (write days as 2026-01-31 if it is not)": _ordered(columns, True),
        "as dates with the day first (write days as 2026-01-31 if it is not)": _ordered(columns, False),
    }
    return tuple(f"read {how}: {listed(names, 'and', 10)}" for how, names in said.items() if names)


def _ordered(columns: Iterable[Column], first: bool) -> list[str]:
    """Columns of dates such as 03/04/2026 with the month first, or with the day."""
    dates = [c for c in columns if c.kind == Kind.DATE and c.format]
    return [c.name for c in dates if month_first(c.format or "") is first]


def as_they_stand(columns: Iterable[Column]) -> tuple[str, ...]:
    """The columns whose cells a later file must give as they stand: their form says what they mean, or they
    are levels and texts, of which a file with none but "1.0" and "2.10" would be read as numbers.
    """
    return tuple(column.name for column in columns if _as_it_stands(column))


def _as_it_stands(column: Column) -> bool:
    levels = column.words and column.kind in (Kind.CATEGORY, Kind.TEXT)
    return levels or bool(column.form and not column.unit)


def reading_notes(frame: pd.DataFrame) -> tuple[str, ...]:
    """What reading the table took for something else than what its cells say, in sentences."""
    names = [name for name, unit in frame.attrs.get(WRITTEN, {}).items() if not unit]
    if not names:
        return ()
    return (
        f"read as numbers, without thousands marks, and (5) as -5 (--kinds NAME=category keeps levels): "
        f"{listed(names, 'and', 10)}",
    )


def _infer(name: str, values: pd.Series, *, comma: bool) -> Column:
    import pandas as pd

    missing = float(values.isna().mean()) if len(values) else 1.0
    distinct = _distinct(values)
    kind: str
    pattern = None
    if distinct == 0:
        kind = Kind.EMPTY
    elif distinct == 1 and missing == 0:
        kind = Kind.CONSTANT
    elif pd.api.types.is_bool_dtype(values.dtype) or _codes(values):
        kind = Kind.CATEGORY
    elif pd.api.types.is_numeric_dtype(values.dtype):
        kind = Kind.NUMBER
        if _counts_rows(name, values):
            kind, distinct = Kind.IDENTIFIER, len(values)  # of a long column only some were looked at
    elif pd.api.types.is_datetime64_any_dtype(values.dtype):
        kind = Kind.DATE
    else:
        kind, pattern = _infer_words(_some(values), distinct, int(values.count()), comma=comma)
    if kind == Kind.CATEGORY and distinct <= 2:
        pattern = truth_format(_hashable(values).dropna().unique())
    return Column(name, str(kind), distinct, missing, pattern, _worded(values))


def _codes(values: pd.Series) -> bool:
    """Whether pandas is told that the numbers are levels."""
    import pandas as pd

    levels = values.dtype.categories if isinstance(values.dtype, pd.CategoricalDtype) else None
    return levels is not None and pd.api.types.is_numeric_dtype(levels.dtype)


def _distinct(values: pd.Series) -> int:
    """How many different values; of a long column of numbers that has many, at least so many."""
    import pandas as pd

    if len(values) > _LONG and pd.api.types.is_numeric_dtype(values.dtype):
        some = int(values.iloc[:: len(values) // _LOOKED_AT].nunique())
        if some > _MANY:
            return some
    return int(_hashable(values).nunique())


def _infer_words(sample: pd.Series, distinct: int, rows: int, *, comma: bool) -> tuple[str, str | None]:
    """Kind of a column of words, and the format if they are dates or numbers of a form.

    Args:
        sample: of the words, none of them missing.
        distinct, rows: of all of them.
        comma: whether the table's decimal sign is a comma.
    """
    numbers, pattern = _form(sample, comma=comma)
    if numbers:
        return Kind.NUMBER, pattern
    if (pattern := date_format(sample)) is not None:
        return Kind.DATE, pattern
    if distinct > 20 and distinct > 0.01 * rows and _are_texts(sample):
        return Kind.TEXT, None
    return (Kind.IDENTIFIER if rows >= 50 and distinct >= 0.95 * rows else Kind.CATEGORY), None


def _are_texts(sample: pd.Series) -> bool:
    """Whether words have parts that may come again in others: three on average between blanks, the places of
    addresses (`https://...`, `/shop/cart`), or lists between bars or semicolons (`a|b`).
    """
    if float(sample.str.count(r"\s+").mean()) + 1 >= _PARTS:
        return True
    if float(sample.str.contains(_ADDRESS, regex=True).mean()) >= _SHARE:
        return float(sample.str.count(r"[/?&=.]+").mean()) + 1 >= _PARTS
    return float(sample.str.count(r"[^|;\s]\s*[|;]\s*(?=[^|;\s])").mean()) + 1 >= _LISTED


def _form(sample: pd.Series, *, comma: bool, least: float | None = None) -> tuple[bool, str | None]:
    """Whether the words are numbers, and the form of those that are not plain ones."""
    words = sample.str.strip()
    coded = words.str.contains(r"^[+-]?0[0-9](?!:)", regex=True).any()
    form = None if coded and least is None else number_form(words, comma=comma, least=least)
    return form is not None, None if form == PLAIN else form


def _some(values: pd.Series) -> pd.Series:
    """Words of cells that are there, drawn from a long column."""
    there = values.dropna()
    return _words(there if len(there) <= _SAMPLE else there.sample(_SAMPLE, random_state=0))


def _worded(values: pd.Series) -> bool:
    import pandas as pd

    typed = pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(values.dtype)
    return not typed


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
    import numpy as np
    import pandas as pd

    used = [column for column in columns if column.used]
    by_name = {str(name): i for i, name in enumerate(frame.columns)}
    _refuse_missing([column.name for column in used if column.name not in by_name], list(by_name))
    comma, signs = bool(frame.attrs.get(COMMA)), frame.attrs.get(WRITTEN, {})
    cells = {
        column.name: _converted(frame.iloc[:, by_name[column.name]], column, comma=comma)
        if column.unit in ("", signs.get(column.name) or column.unit)
        else np.full(len(frame), np.nan)  # numbers of another currency tell nothing
        for column in used
    }
    return pd.DataFrame(cells, index=pd.RangeIndex(len(frame)))


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


def _converted(values: pd.Series, column: Column, *, comma: bool) -> object:
    """The cells of one column in its training kind; words as a series, because pandas would guess a type."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if column.kind == Kind.NUMBER:
        return numbers_in(values, column.form, comma=comma)
    if column.kind == Kind.DATE:
        return dates_in(values, column.format)
    if column.kind == Kind.CATEGORY and column.format:
        return in_its_spelling(_words(values), column.format)
    return _words(values)


def numbers_in(values: pd.Series, form: str | None, *, comma: bool = False) -> NDArray[np.float64]:
    """The numbers that a column's cells are, (n,); NaN where they are none of this form."""
    import numpy as np
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(values.dtype):
        values = form_numbers(texts_of(values).str.strip(), form, comma=comma)
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def _words(values: pd.Series) -> pd.Series:
    """Objects of str, None where missing."""
    import numpy as np
    import pandas as pd

    gone = values.isna().to_numpy()
    if isinstance(values.dtype, pd.StringDtype):
        texts = np.array(values.to_numpy(dtype=object))
        texts[gone] = None
        return pd.Series(texts, dtype=object)
    words = np.array([word_of(value) for value in values.to_numpy(dtype=object)], dtype=object)
    words[gone] = None
    return pd.Series(words, dtype=object)


def word_of(cell: object) -> str:
    """The cell as a word: 3.0 as "3", whatever is beside it, so that a code reads the same everywhere."""
    return str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell)
