"""A finding: one fact about a table that somebody should know before a model is fitted, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

SEVERITIES: Final = ("error", "warning", "note")
TABLE: Final = "(table)"
"""The subject of a finding that is about no single column."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about a table.

    Attributes:
        severity: "error" (no model, or none that predicts, can be fitted), "warning" (the model or its score
            may be wrong) or "note" (good to know).
        subject: the column, or "(table)".
        sentence: what was found, with numbers.
        remedy: what rung does about it, or what you should do.
        check: the check's name, as docs/check.md lists it.
    """

    severity: str
    subject: str
    sentence: str
    remedy: str
    check: str


def by_severity(found: Iterable[Finding]) -> list[Finding]:
    """Errors first, then warnings, then notes; within each, in the order in which they came."""
    return sorted(found, key=lambda one: SEVERITIES.index(one.severity))


def in_a_line(word: Any, most: int = 60) -> str:
    """A cell as it may stand within a sentence: without line breaks, and cut where it is long."""
    text = " ".join(str(word).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def rows(count: int) -> str:
    """`1 row`, `1,234 rows`."""
    return f"{count:,} row{'s' * (count != 1)}"


def share(part: float) -> str:
    """A share of 0 to 1 in per cent, without rounding a few to none or most to all."""
    if 0 < part < 0.001:
        return "under 0.1 %"
    if 0.999 < part < 1:
        return "over 99.9 %"
    return f"{part:.{0 if part in (0, 1) else 1}%}".replace("%", " %")


def quoted(values: Iterable[object], limit: int = 3) -> str:
    """The first few values as they stand in the table, long ones cut."""
    every = list(values)
    words = [_short(str(value)) for value in every[:limit]]
    return ", ".join(words) + (", …" if len(every) > limit else "")


def _short(text: str) -> str:
    return repr(text if len(text) <= 24 else text[:23] + "…")


def words_of(name: str) -> list[str]:
    """The words of a name in snake_case, camelCase or with blanks, lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+", name)]
