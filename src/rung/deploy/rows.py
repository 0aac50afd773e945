"""Rows as JSON has them, checked against a model's columns and made into a frame."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rung.errors import DataError
from rung.tabular.columns import Column, Kind, prepare, word_of
from rung.tabular.dates import ISO, date_words, far_dates
from rung.tabular.encode import Encoder
from rung.tabular.forms import form_numbers, form_words
from rung.tabular.names import closest

if TYPE_CHECKING:
    import pandas as pd

Fault = tuple[int, str]
"""A row's number, and what is wrong with it."""
LEVELS: Final = 100  # of a category that the schema lists
TOLD: Final = 5  # faults of a batch of rows
_HALF: Final = re.compile("[\ud800-\udfff]")
_TAKES: Final = {
    Kind.NUMBER: "a number or null",
    Kind.CATEGORY: "a string, a number, a boolean or null",
    Kind.TEXT: "a string or null",
    Kind.DATE: "a date as a string, or null",
}


class RowError(DataError):
    """Rows that do not fit the model's columns; the message names rows and columns, the first few."""


def schema(encoder: Encoder) -> list[dict[str, Any]]:
    """Each column that the model reads: its name, kind, and what is known of its values."""
    levels = dict(zip(encoder.names(Kind.CATEGORY), encoder.levels, strict=True))
    columns = []
    for column in encoder.columns:
        if not column.used:
            continue
        told: dict[str, Any] = {
            "name": column.name,
            "kind": str(column.kind),
            "takes": _takes(column),
        }
        if column.kind == Kind.CATEGORY:
            told["levels"] = [str(level) for level in levels[column.name][:LEVELS]]
            told["more_levels"] = max(len(levels[column.name]) - LEVELS, 0)
        if column.format and column.kind != Kind.CATEGORY:  # whose levels say all
            told["format"] = column.format
        columns.append(told)
    return columns


def frame_of(rows: Any, encoder: Encoder) -> pd.DataFrame:
    """A frame of these rows: a list of objects from column names to values; columns that the model does not
    read are ignored.

    Raises:
        RowError: `rows` is no such list, or a row lacks a column or holds a value that is none of its column.
    """
    import pandas as pd

    if not isinstance(rows, list) or not rows:
        raise RowError('"rows" must be a list of one object a row, at least one')
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise RowError(f"row {number} must be an object from column names to values, not {_shown(row)}")
    levels = dict(zip(encoder.names(Kind.CATEGORY), encoder.levels, strict=True))
    known = {name: frozenset(map(str, some)) for name, some in levels.items()}
    used = [column for column in encoder.columns if column.used]
    faults: list[Fault] = []
    cells = {
        column.name: _cells(rows, column, known.get(column.name, frozenset()), faults) for column in used
    }
    frame = pd.DataFrame(cells, index=pd.RangeIndex(len(rows)))
    faults += _bad_dates(frame, used)
    if faults:
        faults.sort(key=lambda fault: fault[0])
        more = f"; and {len(faults) - TOLD:,} more" if len(faults) > TOLD else ""
        raise RowError("; ".join(sentence for _, sentence in faults[:TOLD]) + more)
    frame.attrs["paths"] = False  # a client has no files of this machine
    return frame


def _cells(
    rows: Sequence[Mapping[str, Any]], column: Column, known: frozenset[str], faults: list[Fault]
) -> pd.Series:
    """The column's cells; what is wrong with them is added to `faults`, and such cells are missing."""
    import pandas as pd

    given = [row.get(column.name) for row in rows]
    values = _read(given, column) if column.form else given
    for i, row in enumerate(rows):
        if column.name not in row:
            faults.append((i + 1, _lacks(i + 1, row, column.name)))
        elif not _fits(values[i], column.kind):
            told = f"row {i + 1}: column {column.name!r} takes {_takes(column)}, not {_shown(given[i])}"
            faults.append((i + 1, told))
            values[i] = None
    if column.kind == Kind.CATEGORY:
        values = [_word(value, known) for value in values]
    return pd.Series(values, dtype="float64" if column.kind == Kind.NUMBER else object)


def _read(given: list[Any], column: Column) -> list[Any]:
    """What strings mean in a column whose numbers have a form; themselves where they mean nothing."""
    import pandas as pd

    found = list(given)
    places = [i for i, value in enumerate(given) if isinstance(value, str) and _is_text(value)]
    words = pd.Series([given[i].strip() for i in places], dtype=object)
    for i, number in zip(places, form_numbers(words, column.form), strict=True):
        found[i] = given[i] if math.isnan(number) else float(number)
    return found


def _takes(column: Column) -> str:
    if column.form:
        return f"a number, a string as in the training table ({form_words(column.form)}), or null"
    return _TAKES[Kind(column.kind)]


def _lacks(number: int, row: Mapping[str, Any], name: str) -> str:
    near = closest(name, map(str, row), count=1)
    hint = f"is it {near[0]!r}?" if near else "give null where it is not known"
    return f"row {number} lacks column {name!r}; {hint}"


def _fits(value: Any, kind: str) -> bool:
    if value is None:
        return True
    if isinstance(value, bool):
        return kind == Kind.CATEGORY
    if isinstance(value, int | float):
        return kind in (Kind.NUMBER, Kind.CATEGORY) and abs(value) < 1e300
    return isinstance(value, str) and kind != Kind.NUMBER and (kind != Kind.DATE or _is_text(value))


def _is_text(word: str) -> bool:
    """JSON can spell half of a surrogate pair, which is none: no date or number is read from it."""
    return not _HALF.search(word)


def _word(value: Any, known: frozenset[str]) -> str | None:
    """As the level stands in the training table: 3.0 is "3" where "3.0" is none, and so is true "true"."""
    if value is None or (value == "" and value not in known):  # a frame's level can be an empty word
        return None
    word = str(value)
    if word in known:
        return word
    return word.lower() if isinstance(value, bool) else word_of(value)


def _bad_dates(frame: pd.DataFrame, used: Sequence[Column]) -> list[Fault]:
    dates = [column for column in used if column.kind == Kind.DATE]
    if not dates:
        return []
    read = prepare(frame[[column.name for column in dates]], dates)
    found = []
    for column in dates:
        given = frame[column.name]
        wrong = (read[column.name].isna() & given.notna() & (given != "")).to_numpy()
        wrong = wrong & ~far_dates(given, column.format)  # which are missing, as in a table
        takes = f"column {column.name!r} takes a date written as {date_words(column.format or ISO)}"
        found += [
            (i + 1, f"row {i + 1}: {takes}, not {_shown(given.iloc[i])}") for i in wrong.nonzero()[0].tolist()
        ]
    return found


def _shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
