"""Tables and numbers of the document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import Final

import numpy as np

_NOTHING: Final = 1e-9  # what rounding leaves of a difference


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table; all but the first `left` columns are aligned to the right."""
    lines = [_line(head), _line(["---"] * left + ["---:"] * (len(head) - left))]
    return "\n".join([*lines, *map(_line, rows)]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def number(value: float) -> str:
    """Three digits, without an exponent where the number is of a usual size."""
    if not isfinite(value):
        return "never" if value > 0 else "–"
    if abs(value) < _NOTHING:
        return "0"
    if 1e-4 <= abs(value) < 1e5:
        digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
        return f"{value:.{digits}f}"
    return f"{value:.1e}"


def quartiles(values: Sequence[float]) -> str:
    """The median, and the quartiles in brackets."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{number(middle)} ({number(low)} to {number(high)})"


def chance(p: float) -> str:
    """A p-value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def minutes(seconds: float) -> str:
    """A length of time, as one says it."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def listed(names: Sequence[str]) -> str:
    """Names in a row, with an "and" before the last."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def span(counts: Iterable[int]) -> str:
    """So many, or from how many to how many."""
    found = sorted(set(counts))
    return f"{found[0]}" if len(found) == 1 else f"{found[0]} to {found[-1]}" if found else "0"


def picture(file: str, what: str) -> Iterator[str]:
    """A picture of the document, with what it shows for those who don't see it."""
    yield f"![{what}](images/experiments/{file})\n"
