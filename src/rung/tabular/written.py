"""Numbers as people write them: with thousands marked, a currency, a percent sign, a decimal comma."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

MISSING: Final = (
    "",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "<NA>",
    "NaN",
    "nan",
    "-nan",
    "NaT",
    "null",
    "NULL",
    "Null",
    "?",
)
"""Cells that are missing wherever they stand."""
NO_NUMBER: Final = ("None", "none", "-", "--", ".", "missing", "unknown", "Unknown")
"""Cells that are missing too where everything else is a number; elsewhere they are words."""
MINUS: Final = "\u2212"
"""The sign that typesetters write for a hyphen."""
_MONEY: Final = "(?:[$€£¥]|EUR|USD|GBP|CHF)"
_GAP: Final = "[ \u00a0\u202f]?"
_NUMBER: Final = (
    f"^(?:{_MONEY}{_GAP})?[+-]?(?:{_MONEY}{_GAP})?"
    "(?:[0-9]{{1,3}}(?:[{mark}'\u2019\u00a0\u202f][0-9]{{3}})+|[0-9]+)(?:[{point}][0-9]+)?"
    f"{_GAP}(?:%|{_MONEY})?$"
)
_BRACKETS: Final = rf"^((?:{_MONEY}{_GAP})?)\(([^()+-]*[0-9][^()+-]*)\)({_GAP}(?:%|{_MONEY})?)$"
_POINT: Final = _NUMBER.format(mark=",", point=".")
_COMMA: Final = _NUMBER.format(mark=".", point=",")
_BESIDE: Final = f"{_MONEY}|[%'\u2019\u00a0\u202f ]"


def plain_numbers(words: Any, *, comma: bool = False) -> Any:
    """The words with every number that is written for people as a computer writes it, others as they stand.

    `1,234.50`, `$1'234.5`, `12 %` and `5 EUR` become 1234.50, 1234.5, 12 and 5; with decimal commas
    `1.234,5` becomes 1234.5, and `(5)`, as accountants write it, -5. A percent sign or a currency is left
    out, not computed with.

    Args:
        words: a pyarrow array (or chunked array) of strings.
        comma: whether the comma is the decimal sign, as where cells are separated by semicolons.
    """
    import pyarrow.compute as pc

    signed = signed_words(words)
    written = pc.match_substring_regex(signed, _COMMA if comma else _POINT)
    if not pc.any(written).as_py():
        return words
    bare = pc.replace_substring_regex(signed, _BESIDE, "")
    if comma:
        bare = pc.replace_substring(pc.replace_substring(bare, ".", ""), ",", ".")
    else:
        bare = pc.replace_substring(bare, ",", "")
    return pc.if_else(pc.fill_null(written, False), bare, words)


def texts_of(cells: pd.Series) -> pd.Series:
    """The cells as objects of str, None where missing. They are put together apart from the cells' own type:
    periods' would make periods of the texts again.
    """
    import pandas as pd

    texts = cells.astype(str).to_numpy(dtype=object, copy=True)
    texts[cells.isna().to_numpy()] = None
    return pd.Series(texts, index=cells.index, dtype=object)


def signed_words(words: Any) -> Any:
    """The words with `-5` for the `(5)` of accounts, and `-$5` for `($5)` and `$(5)`; others as they stand.

    Args:
        words: a pyarrow array (or chunked array) of strings.
    """
    import pyarrow.compute as pc

    if not pc.any(pc.match_substring(words, "(")).as_py():
        return words
    return pc.replace_substring_regex(words, _BRACKETS, r"-\1\2\3")


def signs_in(cells: Any) -> list[str]:
    """The different currencies and percent signs beside the numbers, in order.

    Args:
        cells: a pyarrow array (or chunked array) of strings.
    """
    import pyarrow.compute as pc

    number = pc.match_substring_regex(cells, "^[-+(%$€£¥EUSDGBPCHF \u00a0\u202f]*[0-9]")
    found = pc.extract_regex(pc.filter(cells, pc.fill_null(number, False)), f"(?P<sign>%|{_MONEY})")
    return sorted(x for x in pc.unique(pc.struct_field(found, "sign")).to_pylist() if x)


def to_numbers(words: pd.Series) -> pd.Series:
    """float64 of words, NaN where they are no numbers: those of `plain_numbers` are.

    Args:
        words: without blanks around them; missing ones may be among them.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = pd.to_numeric(words, errors="coerce")
    rest = numbers.isna() & words.notna()
    if rest.any():
        signed = pc.replace_substring(pa.array(words[rest].astype(str), pa.string()), MINUS, "-")
        plain = plain_numbers(signed)
        numbers = numbers.astype(float)
        numbers[rest] = pd.to_numeric(plain.to_pandas(), errors="coerce").to_numpy()
    return numbers
