"""What a table kept by hand has: numbers with units, dates in several formats, rows that are no cases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.audit.cells import Cells
from rung.tabular.audit.finding import TABLE, Finding, quoted, rows, share
from rung.tabular.columns import Column, Kind
from rung.tabular.dates import BETWEEN, date_words
from rung.tabular.forms import form_words, units_in
from rung.tabular.names import listed

if TYPE_CHECKING:
    import pandas as pd

_MOST: Final = 0.8  # of the cells must be so written
_LEVELS: Final = 5  # different ones at least, so that it is no small set of names
_FEW: Final = 0.01  # of them have a unit that is worth a word
_UNITS: Final = 4  # different ones at most
_LOOKED_AT: Final = 1_000  # levels, the most frequent ones
_DAY: Final = re.compile(r"(\d{1,4})([-./])\d{1,2}\2(\d{1,4})(?:[ T].*)?")
_TOTALS: Final = frozenset(
    ["total", "totals", "grand total", "sum", "summe", "gesamt", "insgesamt", "average", "mean", "mittelwert"]
)
_EARLIER: Final = 5  # rows that a total stands below, at least


def untidy_words(cells: Cells) -> Iterator[Finding]:
    """Findings about one column of words that mean numbers or dates: what rung reads them as, or why not."""
    if cells.column.form:
        yield _read(cells.name, "numbers", form_words(cells.column.form))
    if cells.typed:
        return
    if cells.column.kind == Kind.DATE and BETWEEN in (cells.column.format or ""):
        yield _read(cells.name, "dates", date_words(cells.column.format or ""))
    if cells.column.kind not in (Kind.CATEGORY, Kind.TEXT, Kind.IDENTIFIER):
        return
    words, counts = cells.levels
    words, counts = words[:_LOOKED_AT], counts[:_LOOKED_AT]
    if len(words) >= _LEVELS:
        yield from _units(cells.name, words, counts)
        yield from _dates(cells.name, words, counts)


def _read(name: str, what: str, how: str) -> Finding:
    return Finding(
        "note",
        name,
        f"words that mean {what} ({how})",
        f"rung reads the {what}; say --kinds NAME=category where they are names",
        "units" if what == "numbers" else "mixed-types",
    )


def _units(name: str, words: NDArray[Any], counts: NDArray[np.intp]) -> Iterator[Finding]:
    import pandas as pd

    texts = pd.Series(words, dtype=object).astype(str).str.strip()
    units = units_in(texts, counts)
    bare = units.pop("", 0)
    named = [(unit, count) for unit, count in units.most_common() if count >= _FEW * counts.sum()]
    if not named or bare + sum(count for _, count in named) < _MOST * counts.sum():
        return
    if len(named) > _UNITS:
        return  # letters behind numbers that tell one name from another
    shares = listed([f"{unit} in {rows(count)}" for unit, count in named], "and")
    several = len(named) > 1
    yield Finding(
        "warning",
        name,
        f"numbers with {'several units' if several else 'a unit'}: {shares}, such as {quoted(words, 2)}",
        "rung takes them as words and so does not know that one is larger; write the numbers "
        f"{'in one unit' if several else 'alone'}, and the unit into the column's name",
        "units",
    )


def _dates(name: str, words: NDArray[Any], counts: NDArray[np.intp]) -> Iterator[Finding]:
    shapes: dict[tuple[str, bool], Any] = {}  # one word of each
    dated = 0
    for word, count in zip(words, counts, strict=True):
        if match := _DAY.fullmatch(str(word)):
            dated += int(count)
            shapes.setdefault((match[2], len(match[1]) == 4), word)
    if len(shapes) > 1 and dated >= _MOST * counts.sum():
        yield Finding(
            "warning",
            name,
            f"dates in {len(shapes)} formats, such as {quoted(shapes.values())}",
            "rung takes them as words, for it cannot know which part is the day; write all of them in one "
            "format, best as 2026-01-31",
            "mixed-types",
        )


def stray_rows(frame: pd.DataFrame, columns: tuple[Column, ...]) -> Iterator[Finding]:
    """Rows that are no cases: the names once more, and a last row of totals."""
    yield from _names_again(frame)
    yield from _totals(frame, [column.name for column in columns if column.kind == Kind.NUMBER])


def _names_again(frame: pd.DataFrame) -> Iterator[Finding]:
    worded = [name for name in frame.columns if frame[name].dtype.kind in "OTU"]
    if len(worded) < 2:
        return
    hits = np.ones(len(frame), dtype=bool)
    for name in worded:
        hits &= np.asarray(frame[name].eq(name).fillna(False), dtype=bool)
        if not hits.any():
            return
    count = int(hits.sum())
    yield Finding(
        "warning",
        TABLE,
        f"{rows(count)} ({share(count / len(frame))}) {'holds' if count == 1 else 'hold'} the columns' names "
        f"once more, first row {int(hits.argmax()) + 1}",
        "rung takes them as cases, which turns numbers into words; remove these lines",
        "stray-rows",
    )


def _totals(frame: pd.DataFrame, numbers: list[str]) -> Iterator[Finding]:
    import pandas as pd

    if len(frame) <= _EARLIER:
        return
    last = frame.iloc[-1]
    called = [name for name in frame.columns if str(last[name]).strip().casefold() in _TOTALS]
    called = [name for name in called if int(frame[name].eq(last[name]).sum()) == 1]
    summed = []
    for name in numbers:
        values = np.asarray(pd.to_numeric(frame[name], errors="coerce"), dtype=np.float64)
        above, total = values[:-1][np.isfinite(values[:-1])], values[-1]
        if (
            len(above) >= _EARLIER
            and abs(total) > 2 * np.abs(above).max()
            and np.isclose(above.sum(), total, 1e-6)
        ):
            summed.append(name)
    if called or summed:
        why = (
            f"{last[called[0]]!r} in column {called[0]}"
            if called
            else f"the sum of all others in {summed[0]}"
        )
        yield Finding(
            "warning",
            TABLE,
            f"the last row seems to be no case but a total: it holds {why}",
            "rung takes it as a case, which pulls scores and scales; remove the row",
            "stray-rows",
        )
