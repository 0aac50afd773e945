"""What a target of words may mean: numbers that cannot be predicted as they are written.

A column of features is read as far as it can be (`rung.tabular.forms`), its other cells being missing ones.
In a target no cell is guessed at: a bound such as `<5` is no number, and predictions would have no unit. One
sentence says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rung.tabular.forms import CLOCK, PLAIN, SIGN, form_words, number_form, units_in
from rung.tabular.names import listed
from rung.tabular.written import MISSING, NO_NUMBER, to_numbers

if TYPE_CHECKING:
    import pandas as pd

_SURE: Final = 0.95  # of the cells are numbers, if one looks past what is written beside them
_PLAIN: Final = 0.1  # of them are numbers alone, where the others are bounds of such
_UNITS: Final = 4  # different ones at most: more are names
_BOUND: Final = r"^(?:<=?|>=?|≤|≥|~|≈|ca\.? ?)\s*(?=[-+(.0-9])"
_NUMBER: Final = r"[-+]?[0-9]+(?:[.,][0-9]+)?"
_GIVE: Final = rf"^{_NUMBER}\s*(?:±|\+/-|\+-)\s*{_NUMBER}$"
_RANGE: Final = rf"^{_NUMBER}\s*(?:-|–|—|to|\.\.)\s*{_NUMBER}$"


def meant(y: pd.Series) -> str | None:
    """Why the words of a target are no numbers though they mean some, and what to do; None if they mean none,
    or are numbers.
    """
    import pandas as pd

    if pd.api.types.is_numeric_dtype(y.dtype) or pd.api.types.is_datetime64_any_dtype(y.dtype):
        return None
    words = y.dropna().astype(str).str.strip()
    given, words = words, words[~words.isin((*MISSING, *NO_NUMBER))]
    if not len(words):
        return None
    if to_numbers(given).isna().sum() == 0:
        return f"column {str(y.name)!r} holds numbers as words; write them as plain numbers, such as 1234.5"
    found = _bounds(words) or _formed(words) or _units(words) or _ranges(words)
    return None if found is None else f"column {str(y.name)!r} holds {found}"


def are_bounds(words: pd.Series) -> bool:
    """Whether all of these words are bounds of numbers, such as `<5`, `> 1,000` and `≤0.1`."""
    bare = words.str.replace(_BOUND, "", regex=True)
    return len(words) > 0 and bool((bare != words).all() and to_numbers(bare).notna().all())


def _bounds(words: pd.Series) -> str | None:
    bare = words.str.replace(_BOUND, "", regex=True)
    bounds = sorted(set(words[bare != words]))
    plain = float(to_numbers(words).notna().mean())  # of bounds alone (<=50 and >50) classes are meant
    if not bounds or plain < _PLAIN or to_numbers(bare).notna().mean() < _SURE:
        return None
    count = int((bare != words).sum())
    return (
        f"numbers, but for bounds such as {listed(map(repr, bounds), 'and', 3)} in {count:,} rows; write a "
        "number there (the bound, or half of it), or empty these cells (rows without a target are left out)"
    )


def _formed(words: pd.Series) -> str | None:
    form = number_form(words)
    if form is None or form == PLAIN:  # some cells are words: these are named
        return None
    if form == CLOCK:
        return "times; write them as numbers (hours, say), and the unit into the column's name"
    said = form_words(form if not form.startswith(SIGN) else f"point {form.removeprefix(SIGN)}")
    if form.startswith("comma") and " " not in form:
        return (
            f"numbers with decimal commas, such as {words.iloc[0]!r}; write a point there, or separate the "
            "table's cells by semicolons"
        )
    return (
        f"numbers that have something beside them ({said}), such as {words.iloc[0]!r}; write the numbers "
        "alone, as 1234.5, and the unit into the column's name"
    )


def _units(words: pd.Series) -> str | None:
    units = units_in(words, np.ones(len(words), dtype=np.intp))
    bare = units.pop("", 0)
    if not 0 < len(units) <= _UNITS or bare + sum(units.values()) < _SURE * len(words):
        return None
    shares = listed([f"{unit} in {count:,} rows" for unit, count in units.most_common()], "and")
    return f"numbers with units: {shares}; write all of them in one unit, and the unit into the column's name"


def _ranges(words: pd.Series) -> str | None:
    closed = words.str.replace(r"(?<=[0-9])[ \u00a0\u202f](?=[0-9]{3}(?:\D|$))", "", regex=True)
    if (closed != words).any() and to_numbers(closed).notna().mean() >= _SURE:
        return (
            f"numbers with blanks in them, such as {words[closed != words].iloc[0]!r}; leave the blanks out"
        )
    for pattern, what in ((_GIVE, "the number alone"), (_RANGE, "one number, the middle, say")):
        hits = words.str.contains(pattern, regex=True)
        if (hits | to_numbers(words).notna()).mean() >= _SURE and hits.any():
            kind = "numbers with their precision" if pattern == _GIVE else "ranges"
            return f"{kind}, such as {words[hits].iloc[0]!r}; write {what}"
    return None
