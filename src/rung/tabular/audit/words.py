"""What may be wrong with words and dates: mixed types, blanks, spellings, rare levels, odd dates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.audit.cells import Cells, is_code
from rung.tabular.audit.finding import Finding, quoted, rows, share
from rung.tabular.columns import Kind
from rung.tabular.dates import far_dates

if TYPE_CHECKING:
    import pandas as pd

BLANKS: Final = frozenset(
    [
        *("", "none", "nan", "na", "n.a.", "n/a", "nil", "null", "-", "--", "---", ".", "..", "?", "missing"),
        *("unknown", "not available", "not applicable", "undefined", "tbd"),
        *("#n/a", "#ref!", "#value!", "#div/0!"),
    ]
)
PLACEHOLDERS: Final = ("1970-01-01", "1900-01-01", "1899-12-30", "1899-12-31")
_RARE: Final = 5  # rows
_MANY: Final = 100  # levels
_WORDS: Final = (Kind.CATEGORY, Kind.TEXT)


def word_findings(cells: Cells, today: date) -> Iterator[Finding]:
    """All findings about one column of words or dates; none about another kind."""
    if cells.column.kind == Kind.DATE:
        yield from _dates(cells, today)
        yield from _no_moments(cells)
    if cells.column.kind not in _WORDS or cells.typed:
        return
    yield from _mixed(cells)
    yield from _codes(cells)
    yield from _blanks(cells)
    if cells.column.kind == Kind.CATEGORY:
        yield from _spelling(cells)
        yield from _rare(cells)
        yield from _many(cells)


def _mixed(cells: Cells) -> Iterator[Finding]:
    """Numbers among words."""
    import pandas as pd

    from rung.tabular.meant import are_bounds

    words, counts = cells.levels
    count = int(counts[cells.numeric].sum())
    part = 1 - cells.agree
    if not 0.05 <= part < 1:
        return
    if are_bounds(pd.Series(words[~cells.numeric], dtype=object).astype(str)):
        yield Finding(
            "warning",
            cells.name,
            f"numbers, but for bounds in {rows(int(counts.sum()) - count)}, such as "
            f"{quoted(words[~cells.numeric], 2)}",
            "rung takes all of them as categories and so does not know that one is larger; write a number "
            "there (the bound, or half of it), and mark these rows in a column of their own",
            "mixed-types",
        )
        return
    yield Finding(
        "warning",
        cells.name,
        f"numbers in {rows(count)} ({share(part)}), such as {quoted(words[cells.numeric], 2)}, and words in "
        f"the others, such as {quoted(words[~cells.numeric], 2)}",
        "rung takes all of them as categories; if it is a column of numbers, empty or correct the words",
        "mixed-types",
    )


def _codes(cells: Cells) -> Iterator[Finding]:
    words, counts = cells.levels
    coded = np.array([is_code(str(word)) for word in words], dtype=bool)
    if coded.any() and counts[coded | cells.numeric].sum() >= 0.9 * counts.sum():
        yield Finding(
            "note",
            cells.name,
            f"digits with a leading zero, such as {quoted(words[coded], 2)}",
            "rung keeps them as they stand; other programs may drop the zero",
            "leading-zeros",
        )


def _blanks(cells: Cells) -> Iterator[Finding]:
    words, counts = cells.levels
    blank = np.array([str(word).strip().lower() in BLANKS for word in words], dtype=bool)
    if blank.any() and not blank.all():
        count = int(counts[blank].sum())
        yield Finding(
            "note",
            cells.name,
            f"{quoted(words[blank])} in {rows(count)} ({share(count / cells.present)}) may stand for missing",
            "rung takes it as a category of its own, which is fine if it is meant; else empty the cells",
            "blank-words",
        )


def _spelling(cells: Cells) -> Iterator[Finding]:
    words, counts = cells.levels
    groups: dict[str, list[int]] = defaultdict(list)
    for place, word in enumerate(words):
        groups[" ".join(str(word).casefold().replace("_", " ").split())].append(place)
    several = [places for places in groups.values() if len(places) > 1]
    if several:
        count = int(sum(counts[places[1:]].sum() for places in several))
        pairs = "; ".join(quoted(words[places]) for places in several[:2])
        yield Finding(
            "warning" if count >= 0.01 * cells.present else "note",
            cells.name,
            f"levels that differ only in case, blanks or underscores: {pairs}{'; …' * (len(several) > 2)} "
            f"({rows(count)} in the rarer spellings)",
            "rung takes each spelling as a category of its own; write them alike",
            "spelling",
        )


def _rare(cells: Cells) -> Iterator[Finding]:
    words, counts = cells.levels
    rare = counts < _RARE
    count = int(counts[rare].sum())
    if rare.any() and counts.sum() >= 100 and len(words) > 2:
        yield Finding(
            "note",
            cells.name,
            f"{int(rare.sum()):,} of {cells.column.distinct:,} levels {'has' if rare.sum() == 1 else 'have'} "
            f"fewer than {_RARE} rows ({share(count / counts.sum())} of the cells that are not missing): "
            f"{quoted(words[rare], 2)}",
            "rung keeps them; nothing can be learned from so few rows, so merge them where it makes sense",
            "rare-levels",
        )


def _many(cells: Cells) -> Iterator[Finding]:
    distinct = cells.column.distinct
    if distinct > _MANY and distinct > 0.02 * cells.present:
        yield Finding(
            "note",
            cells.name,
            f"{distinct:,} levels, {cells.present / distinct:.1f} rows each on average",
            "rung tries encodings by the target and by rank for it; a coarser grouping may serve better",
            "many-levels",
        )


def _no_moments(cells: Cells) -> Iterator[Finding]:
    """Cells that are taken as missing: dates of years that no moment holds, and what is no date."""
    lost = cells.values[np.isnat(cells.dates) & cells.values.notna().to_numpy()]
    if cells.typed or not len(lost):
        return
    far = far_dates(lost, cells.column.format)
    if far.any():
        yield Finding(
            "warning",
            cells.name,
            f"in a year before 1678 or after 2261 in {_rows_of(lost[far], cells)}: programs write such dates "
            "where the date is not known",
            "rung takes these cells as missing; correct those that are meant",
            "placeholder-dates",
        )
    if not far.all():
        yield Finding(
            "warning",
            cells.name,
            f"dates, but for {_rows_of(lost[~far], cells)}",
            "rung takes these cells as missing; write all dates in one format",
            "mixed-types",
        )


def _rows_of(some: pd.Series, cells: Cells) -> str:
    words = some.astype(str).drop_duplicates().tolist()
    return f"{rows(len(some))} ({share(len(some) / cells.present)}) with {quoted(words)}"


def _dates(cells: Cells, today: date) -> Iterator[Finding]:
    moments = cells.dates[~np.isnat(cells.dates)]
    days = moments.astype("datetime64[D]")
    marks = {mark: int((days == np.datetime64(mark)).sum()) for mark in PLACEHOLDERS}
    for mark, count in marks.items():
        if count >= 2 or (count == 1 and _alone(days, np.datetime64(mark))):
            yield Finding(
                "warning",
                cells.name,
                f"{mark} in {rows(count)} ({share(count / cells.present)}): programs write it where the date "
                "is not known",
                "rung takes it as a date; empty the cells if it means missing",
                "placeholder-dates",
            )
    later = int((days > np.datetime64(today)).sum())
    if later:
        yield Finding(
            "note",
            cells.name,
            f"in the future in {rows(later)} ({share(later / cells.present)}), up to {days.max()}",
            "rung takes it as a date; check that it is known when a prediction is made",
            "future-dates",
        )


def _alone(days: NDArray[np.datetime64], mark: np.datetime64) -> bool:
    """Whether all other days are more than ten years away."""
    others = days[days != mark]
    return bool(len(others)) and bool(np.abs((others - mark).astype(int)).min() > 3650)
