"""Rows as JSON has them, checked against a model's columns and made into a frame."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rung.errors import DataError
from rung.tabular.columns import Column, Kind, prepare
from rung.tabular.dates import ISO, date_words
from rung.tabular.encode import Encoder
from rung.tabular.forms import form_numbers, form_words
from rung.tabular.names import closest

if TYPE_CHECKING:
    import pandas as pd

LEVELS: Final = 100  # of a category that the schema lists
_TAKES: Final = {
    Kind.NUMBER: "a number or null",
    Kind.CATEGORY: "a string, a number, a boolean or null",
    Kind.TEXT: "a string or null",
    Kind.DATE: "a date as a string, or null",
}


class RowError(DataError):
    """Rows that do not fit the model's columns; the message names the row and the column."""


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
        if column.format:
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
    cells = {column.name: _cells(rows, column, known.get(column.name, frozenset())) for column in used}
    frame = pd.DataFrame(cells, index=pd.RangeIndex(len(rows)))
    _check_dates(frame, used)
    frame.attrs["paths"] = False  # a client has no files of this machine
    return frame


def _cells(rows: Sequence[Mapping[str, Any]], column: Column, known: frozenset[str]) -> pd.Series:
    import pandas as pd

    values = []
    for number, row in enumerate(rows, 1):
        if column.name not in row:
            raise RowError(_lacks(number, row, column.name))
        value = row[column.name]
        value = _number(value, column) if column.form else value
        if not _fits(value, column.kind):
            raise RowError(
                f"row {number}: column {column.name!r} takes {_takes(column)}, not {_shown(value)}"
            )
        values.append(_word(value, known) if column.kind == Kind.CATEGORY else value)
    return pd.Series(values, dtype="float64" if column.kind == Kind.NUMBER else object)


def _takes(column: Column) -> str:
    if column.form:
        return f"a number, a string as in the training table ({form_words(column.form)}), or null"
    return _TAKES[Kind(column.kind)]


def _number(value: Any, column: Column) -> Any:
    """What a string means in a column whose numbers have a form; itself where it means nothing."""
    import pandas as pd

    if not isinstance(value, str):
        return value
    found = float(form_numbers(pd.Series([value.strip()], dtype=object), column.form).iloc[0])
    return value if math.isnan(found) else found


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
    return isinstance(value, str) and kind != Kind.NUMBER


def _word(value: Any, known: frozenset[str]) -> str | None:
    """As the level stands in the training table: 3.0 is "3", and true is "true" where "True" is none."""
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = str(value)
    return word.lower() if isinstance(value, bool) and word not in known else word


def _check_dates(frame: pd.DataFrame, used: Sequence[Column]) -> None:
    dates = [column for column in used if column.kind == Kind.DATE]
    if not dates:
        return
    read = prepare(frame[[column.name for column in dates]], dates)
    for column in dates:
        given = frame[column.name]
        wrong = (read[column.name].isna() & given.notna() & (given != "")).to_numpy()
        if wrong.any():
            place = int(wrong.argmax())
            form = column.format or ISO
            raise RowError(
                f"row {place + 1}: column {column.name!r} takes a date written as {date_words(form)}, "
                f"not {_shown(given.iloc[place])}"
            )


def _shown(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
