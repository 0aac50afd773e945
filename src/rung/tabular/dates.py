"""Dates in words: the formats that they may have, one or several in a column, and the moments they mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rung.tabular.written import texts_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

ISO: Final = "ISO8601"
BETWEEN: Final = "|"
"""Between a column's formats, where it has several."""
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
_OTHERS: Final = (
    "%d/%b/%Y:%H:%M:%S %z",  # of web servers' logs
    "%a, %d %b %Y %H:%M:%S %Z",  # of letters and of HTTP
    "%a, %d %b %Y %H:%M:%S %z",
    "%a %b %d %H:%M:%S %Y",  # of C
    "%b-%Y",  # months
    "%b %Y",
    "%B %Y",
    "%b-%y",
    "%m/%Y",
)
_FORMATS: Final = (ISO, *(day + time for time in _TIMES for day in _DAYS), *_OTHERS)
_SHARE: Final = 0.95  # of the cells must be dates of the only format for the column to be one of dates
_ALIKE: Final = 0.98  # and of several formats, in
_FEWEST: Final = 20  # cells
_FIRST: Final = 200  # words that most formats are seen not to fit by, for fewer than
_LIKELY: Final = 0.5  # of them have it
_SAMPLE: Final = 1_000  # words on which several formats are looked for
_REPEATED: Final = 4  # words on the same day of months, at least, for that to be no chance
_MOST: Final = 4  # formats
_READING: Final = ("now", "today")  # words that pandas takes for the moment at which it reads them
_YEARS: Final = (1678, 2261)  # that moments in nanoseconds hold whole; others are missing
_DIGITS: Final = 1e15  # numbers from which are no dates such as 20260131
_DATED: Final = r"^\D{0,12}\d{1,4}(?:[-./ ]\d{1,2}[-./ ]|[- ]?[A-Za-z]{3,9}|,)"
_YEAR: Final = r"(?<![0-9])([0-9]{4})(?![0-9])"  # \d would be the digits of other scripts, too
_ORDERED: Final = re.compile(r"%[md]/%[md]")


def date_format(words: pd.Series) -> str | None:
    """The first format that fits 95 % of the words; else several, with | between, that together fit 98 % of
    20 or more; None if none does. Where 03/04/2026 may be both days, its format is not one of several; where
    all words are so, the first part is the month, unless it is the same in all: 01/02/2026 beside 01/03/2026
    are firsts of months.

    Args:
        words: str, none of them missing.
    """
    dated = words.str.contains(r"\d", regex=True) & words.str.len().between(6, 35)
    if dated.mean() < _SHARE:
        return None
    some = words if len(words) <= _FIRST else words.sample(_FIRST, random_state=0)
    for pattern in _FORMATS:
        likely = len(some) == len(words) or moments_of(some, pattern).notna().mean() >= _LIKELY
        if likely and moments_of(words, pattern).notna().mean() >= _SHARE:
            return _of_one_day(words, _swapped(pattern)) or pattern
    return _several(words)


def moments_of(words: pd.Series, pattern: str) -> pd.Series:
    """Moments in UTC, NaT where a word has none of the formats, or names no moment ("now")."""
    import pandas as pd

    words = words.where(~words.isin(_READING))
    first, *others = pattern.split(BETWEEN)
    found = pd.to_datetime(words, format=first, errors="coerce", utc=True)
    for other in others:
        rest = found.isna() & words.notna()
        if not rest.any():
            break
        found = found.where(~rest, pd.to_datetime(words.where(rest), format=other, errors="coerce", utc=True))
    return found


def dates_in(values: pd.Series, pattern: str | None) -> object:
    """The moments of a column's cells, words or not: datetime64[ns], NaT where there is none."""
    import numpy as np
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = pd.Series(values.to_numpy(dtype=np.float64, na_value=np.nan), index=values.index)
        whole = (numbers % 1 == 0) & (numbers.abs() < _DIGITS)
        values = numbers.where(whole).astype("Int64").astype(str)
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = moments_of(texts_of(values), pattern or ISO)
    if values.dt.tz is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    return values.where(values.dt.year.between(*_YEARS)).astype("datetime64[ns]").to_numpy()


def far_dates(values: pd.Series, pattern: str | None) -> NDArray[np.bool_]:
    """Which cells are dates of a year that no moment holds, such as 9999-12-31: they are missing; (n,)."""
    import numpy as np

    return np.asarray(far_years(values, pattern) != 0)


def far_years(values: pd.Series, pattern: str | None) -> NDArray[np.int64]:
    """The years of such cells, 0 of all others; (n,)."""
    import numpy as np
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        years, there = values.dt.year, values.notna()
    else:
        words = values.astype(str)
        years = pd.to_numeric(words.str.extract(_YEAR)[0])
        there = moments_of(words.str.replace(_YEAR, "2000", n=1, regex=True), pattern or ISO).notna()
    far = years.notna() & ~years.between(*_YEARS) & there
    return np.asarray(years.where(far, 0), dtype=np.int64)


def date_words(pattern: str) -> str:
    """Formats for a sentence: `2026-01-31 and %d.%m.%Y`."""
    from rung.tabular.names import listed

    return listed(("2026-01-31" if one == ISO else one for one in pattern.split(BETWEEN)), "and")


def _several(words: pd.Series) -> str | None:
    """Formats of which each fits what the others leave, the most frequent first."""
    some = words if len(words) <= _SAMPLE else words.sample(_SAMPLE, random_state=0)
    if len(some) < _FEWEST or some.str.contains(_DATED, regex=True).mean() < _ALIKE:
        return None
    fits = {pattern: moments_of(some, pattern).notna() for pattern in _FORMATS}
    chosen: list[str] = []
    left = ~some.isna()
    while left.any() and len(chosen) < _MOST:
        best = max(fits, key=lambda pattern: int((fits[pattern] & left).sum()))
        if not (fits[best] & left).any():
            break
        twin = _swapped(best)
        if twin != best and (twin in chosen or not (fits[best] & left & ~fits[twin]).any()):
            return None  # nothing says which part is the day, or both are
        chosen.append(best)
        left &= ~fits[best]
    enough = float((~left).mean()) >= _ALIKE and len(chosen) > 1
    return BETWEEN.join(chosen) if enough else None


def _of_one_day(words: pd.Series, pattern: str) -> str | None:
    """The format if it fits as many words, and has them all on the same day of several months."""
    moments = moments_of(words, pattern) if len(words) >= _REPEATED else words.iloc[:0]
    if not len(moments) or moments.notna().mean() < _SHARE:
        return None
    return pattern if moments.dt.day.nunique() == 1 < moments.dt.month.nunique() else None


def month_first(pattern: str) -> bool | None:
    """Whether the month stands before the day where both are numbers between slashes; None for others."""
    found = _ORDERED.search(pattern)
    return None if found is None or BETWEEN in pattern else found[0].startswith("%m")


def _swapped(pattern: str) -> str:
    """The format with day and month the other way round, the pattern itself where there is none."""
    return _ORDERED.sub(lambda found: "/".join(reversed(found[0].split("/"))), pattern)
