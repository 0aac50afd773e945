"""Truth values in words: a model that has seen `True` and `False` takes `true` and `FALSE`, `t` and `f`, or 1
and 0, as databases, JSON and R write them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from rung.tabular.dates import BETWEEN

if TYPE_CHECKING:
    import pandas as pd

_SPELLINGS: Final = {"true": ("true", "t", "1"), "false": ("false", "f", "0")}


def truth_format(levels: Iterable[Any]) -> str | None:
    """How a column writes true and false, with | between; None if it has other levels."""
    words = sorted(map(str, levels))
    meant = {word.lower() for word in words}
    return BETWEEN.join(words) if meant and meant <= set(_SPELLINGS) and len(meant) == len(words) else None


def in_its_spelling(words: pd.Series, pattern: str) -> pd.Series:
    """The words with true and false as the column writes them; other words as they are.

    Args:
        words: str, None where missing.
        pattern: see `truth_format`.
    """
    import pandas as pd

    known = pattern.split(BETWEEN)
    if words.dropna().isin(known).all():
        return words
    own = {spelling: word for word in known for spelling in _SPELLINGS[word.lower()]}
    cells = [None if word is None else own.get(word.strip().lower(), word) for word in words]
    return pd.Series(cells, dtype=object)
