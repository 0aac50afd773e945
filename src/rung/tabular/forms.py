"""Numbers in words of one form: with a unit, with decimal commas, shortened (1.2k), or as times of day.

A column keeps its form as a text (`Column.format`), so that every later table is read in the same way:
`point` or `comma` is the decimal sign, a star says that k, M and B are thousands, millions and billions, and
what follows after a blank is the unit: `point kg`, `comma €`, `point* $`. `sign €` has the decimal sign of
the table at hand, for a file's columns of such numbers are read with its other ones. `clock` is hours of
times such as 13:45.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.written import MINUS, MISSING, NO_NUMBER, signed_words, to_numbers

if TYPE_CHECKING:
    import pandas as pd

CLOCK: Final = "clock"
PLAIN: Final = "point"
SIGN: Final = "sign "
_FEWEST: Final = 20  # cells below which no unit is believed in
_ALIKE: Final = 0.98  # of the cells have the unit (or decimal commas, or are times)
_SHARE: Final = 0.95  # of the cells are numbers, plain ones or with a currency or percent signs
_LOOK: Final = 64  # cells that most columns of words are known by
_SHORT: Final[Mapping[str, float]] = {
    "k": 1e3,
    "K": 1e3,
    "M": 1e6,
    "B": 1e9,
    "mn": 1e6,
    "bn": 1e9,
    "Bn": 1e9,
    "Mio": 1e6,
    "Mio.": 1e6,
    "Mrd": 1e9,
    "Mrd.": 1e9,
}
_SIGNS: Final = r"(?:(?:US|A|C|R)?\p{Sc}|EUR|USD|GBP|CHF)"
_MARK: Final = rf"^(?:%|{_SIGNS})$"
_GAP: Final = "[ \u00a0\u202f]?"
_CELL: Final = (
    rf"^(?P<sign>[+-]?)(?P<front>(?:{_SIGNS})?){_GAP}"
    "(?P<number>[+-]?(?:(?:[0-9]{1,3}(?:[<mark>'\u2019\u00a0\u202f][0-9]{3})+|[0-9]+)(?:[<point>][0-9]*)?"
    rf"|[<point>][0-9]+)(?:[eE][+-]?[0-9]+)?){_GAP}"
    r"(?P<tail>(?:[^\s0-9.,:;+'-](?:[^0-9]{0,19}[0-9]?|\S{0,14}))?)$"
)
_CLOCK: Final = (
    r"^(?P<hour>[0-9]{1,3}):(?P<minute>[0-5][0-9])(?P<more>:[0-5][0-9](?:\.[0-9]+)?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?$"
)
_STYLES: Final = {"point": (",", "."), "comma": (".", ",")}  # between thousands, and the decimal sign


def number_form(words: pd.Series, *, comma: bool = False, least: float | None = None) -> str | None:
    """The form in which the words are numbers: "point" of plain ones, None if they are none.

    98 % of the words, and at least 20, must have one and the same unit; 95 % must be numbers where the only
    unit is a currency or a percent sign, or where there is none. Two units are none.

    Args:
        words: str without blanks around, none of them missing.
        comma: whether the table's decimal sign is a comma, which counts where both readings are possible.
        least: share of the words that must be numbers, in place of these.
    """
    words = words[~words.isin((*MISSING, *NO_NUMBER))]
    if not len(words):
        return None
    found = [(0.0, "")]
    if least is not None or _promising(words):
        order = ("comma", "point") if comma else ("point", "comma")
        found += [_styled(words, style, least, comma=comma) for style in order]
        found.append(_timed(words, _ALIKE if least is None else least))
    share, form = max(found, key=lambda one: one[0])
    return form if share > 0 else None


def form_numbers(words: pd.Series, form: str | None, *, comma: bool = False) -> pd.Series:
    """float64 of words, NaN where they are no numbers of this form; one without the unit is taken to have it.

    Args:
        words: str without blanks around; missing ones may be among them.
        form: as `number_form` found it; None for numbers as computers, or people, write them.
        comma: whether the table's decimal sign is a comma, where the form leaves that open.
    """
    import pandas as pd

    if form is None:
        return to_numbers(words)
    if form.startswith(SIGN):
        form = f"{'comma' if comma else 'point'} {form.removeprefix(SIGN)}"
    if form == CLOCK:
        return pd.Series(_hours(words), index=words.index)
    style, _, unit = form.partition(" ")
    parts = _parts(words, style.rstrip("*"))
    told = [_meaning(pair, short=style.endswith("*")) for pair in parts.pairs]
    factors = np.array([size if name in ("", unit) else np.nan for size, name in told] + [np.nan])
    return pd.Series(parts.values * factors[parts.codes], index=words.index)


def form_words(form: str) -> str:
    """What a form is, for a sentence: "kg", "€, decimal comma", "times, in hours"."""
    if form == CLOCK:
        return "times, in hours"
    style, _, unit = form.partition(" ")
    said = [unit] if unit else []
    said += ["k for thousands, M for millions"] if style.endswith("*") else []
    said += ["decimal comma"] if style.startswith("comma") else []
    return ", ".join(said)


def units_in(words: pd.Series, counts: NDArray[np.intp]) -> Counter[str]:
    """How many cells are numbers with which unit, "" for none, whatever their decimal sign.

    Args:
        counts: (n,) how many cells are that word.
    """
    found: Counter[str] = Counter()
    point, comma = _parts(words, "point"), _parts(words, "comma")
    for parts, there in ((point, point.codes >= 0), (comma, (comma.codes >= 0) & (point.codes < 0))):
        sums = np.bincount(parts.codes[there], weights=counts[there], minlength=len(parts.pairs))
        for pair, count in zip(parts.pairs, sums.tolist(), strict=True):
            found[_meaning(pair, short=False)[1]] += int(count)
    return +found


class _Parts(NamedTuple):
    """Words taken apart.

    Attributes:
        values: (n,) the numbers, NaN where there is none.
        codes: (n,) which of the pairs is beside it, -1 where there is no number.
        pairs: what stands before a number and behind it.
    """

    values: NDArray[np.float64]
    codes: NDArray[np.intp]
    pairs: list[tuple[str, str]]


def _parts(words: pd.Series, style: str) -> _Parts:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    mark, point = _STYLES[style]
    cells = pa.array(words.astype(object).where(words.notna(), None), pa.string())
    cells = signed_words(pc.replace_substring(cells, MINUS, "-"))
    pattern = _CELL.replace("<mark>", mark).replace("<point>", point)
    found = pc.extract_regex(cells, pattern=pattern)
    sign, front, number, tail = (pc.struct_field(found, k) for k in ("sign", "front", "number", "tail"))
    bare = pc.replace_substring_regex(number, f"[{mark}'\u2019\u00a0\u202f]", "")
    bare = pc.binary_join_element_wise(sign, pc.replace_substring(bare, point, "."), "")
    values = pd.to_numeric(bare.to_pandas(), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    beside = pc.binary_join_element_wise(front, tail, "\n").dictionary_encode()
    codes = pc.fill_null(beside.indices, -1).to_numpy(zero_copy_only=False).astype(np.intp)
    pairs = [(a, b.strip()) for a, b in (x.split("\n", 1) for x in beside.dictionary.to_pylist())]
    return _Parts(values, codes, pairs)


def _meaning(pair: tuple[str, str], *, short: bool) -> tuple[float, str]:
    """By what a number is multiplied, and its unit: "kg", "$", or "" for none; two of them are one."""
    front, tail = pair
    size = 1.0
    if short:
        first = tail.split(" ")[0].rstrip("€$£¥")
        if first in _SHORT:
            size, tail = _SHORT[first], tail[len(first) :].strip()
    units = [unit for unit in (front, _singular(tail)) if unit]
    return size, " ".join(units)


def _singular(unit: str) -> str:
    """`year` for `years`: a letter alone has no plural (m and ms are two units)."""
    return unit[:-1] if len(unit) > 2 and unit[-1] == "s" and unit.isalpha() else unit


def _is_mark(unit: str) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    return bool(pc.match_substring_regex(pa.array([unit]), _MARK)[0].as_py())


def _promising(words: pd.Series) -> bool:
    """Whether half of the first words have a digit near their beginning; most columns are seen at once."""
    return bool(words.head(_LOOK).str.slice(0, 5).str.contains(r"[0-9]", regex=True).mean() >= 0.5)


def _styled(words: pd.Series, style: str, least: float | None, *, comma: bool) -> tuple[float, str]:
    """The share of the words that are numbers of the best form with this decimal sign, 0 if they are too few.

    Args:
        comma: whether the table's decimal sign is a comma.
    """
    parts = _parts(words, style)
    counts = np.bincount(parts.codes[parts.codes >= 0], minlength=len(parts.pairs)).tolist()
    short = any(_meaning(pair, short=True)[0] > 1 for pair in parts.pairs)
    units: Counter[str] = Counter()
    for pair, count in zip(parts.pairs, counts, strict=True):
        units[_meaning(pair, short=short)[1]] += count
    bare = units.pop("", 0)
    unit, count = units.most_common(1)[0] if units else ("", 0)
    form = f"{style}{'*' * short}{' ' * bool(unit)}{unit}"
    share, plain = (count + bare) / len(words), not unit or _is_mark(unit)
    if form == PLAIN:
        share = float(to_numbers(words).notna().mean())  # which is how they will be read
    if plain and unit and not short and comma == (style == "comma"):
        form = SIGN + unit
    if least is not None:
        return share * (share > least), form
    if plain and not short and (style == "point" or comma):
        return share * (share >= _SHARE), form
    sure = share if plain or short else count / len(words)
    return share * (sure >= _ALIKE and len(words) >= _FEWEST), form


def _timed(words: pd.Series, least: float) -> tuple[float, str]:
    share = float(np.isfinite(_hours(words)).mean())
    return share * (share >= least and len(words) >= _FEWEST), CLOCK


def _hours(words: pd.Series) -> NDArray[np.float64]:
    """Hours since midnight, (n,); NaN where there is no time. 25:30 is none where others have seconds: it may
    be minutes.
    """
    import pandas as pd

    found = words.astype(object).str.extract(_CLOCK)
    hour, minute, second = (
        pd.to_numeric(part, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        for part in (found["hour"], found["minute"], found["more"].str.slice(1))
    )
    half = found["half"].str.lower()
    late = half.eq("p").to_numpy(dtype=bool, na_value=False)
    hour = np.where(half.notna().to_numpy(), hour % 12, hour) + 12 * late
    hours = hour + minute / 60 + np.nan_to_num(second) / 3600
    unclear = (hour > 23) & np.isnan(second) & bool(np.isfinite(second).any())
    return np.where(unclear, np.nan, hours)
