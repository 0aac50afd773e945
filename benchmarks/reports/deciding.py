"""The time that systems take to decide, beside rung's on the same searches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.experiments.judging import of
from benchmarks.experiments.rows import Row
from benchmarks.reports.field import MAIN
from benchmarks.reports.markdown import number, table
from benchmarks.systems import systems

SAME: Final = {"process": "Gaussian process", "density": "densities", "forest": "random forest"}
_PRICED: Final = "counting ones 8+8"


def told(rows: Sequence[Row]) -> Iterator[str]:
    """A table, the quickest first."""
    names = sorted({row.system for row in rows}, key=lambda name: (seconds(rows, name), name))
    lines = []
    for name in names:
        kept = of(rows, system=name)
        results = sum(row.evaluations for row in kept)
        each = sum(row.deciding for row in kept) / max(results, 1)
        alone = of(kept, _PRICED, workers=1)
        note = systems()[name].note if name in systems() else ""
        lines.append(
            [
                f"**{name}**" if name == MAIN else name,
                note,
                SAME.get(model(name), model(name)),
                number(float(np.mean([row.deciding for row in alone]))) if alone else "",
                number(seconds(rows, name)),
                number(1e3 * each),
                _times(rows, name),
            ]
        )
    yield (
        "### Time to decide\n\nReal seconds, of a search on counting ones 8 + 8 with one worker and of a "
        "search on average, and milliseconds a result; the last column is the median ratio to rung's on the "
        "same searches. Other work ran on the machine, so these are upper bounds: compare them within the "
        "table.\n"
    )
    head = ("system", "what", "model", "counting ones, s", "a search, s", "a result, ms", "times rung's")
    yield table(head, lines, 3)


def model(name: str) -> str:
    """The class of a system's model."""
    return systems()[name].model if name in systems() else ""


def seconds(rows: Sequence[Row], name: str) -> float:
    """On average, of a search."""
    return float(np.mean([row.deciding for row in of(rows, system=name)]))


def ratio(rows: Sequence[Row], name: str, main: str = MAIN) -> float | None:
    """The median ratio of a system's time to the main one's, on the searches that both ran."""
    both = _paired(of(rows, system=name), {row.key[1:]: row for row in of(rows, system=main)})
    return float(np.median([a / max(b, 1e-9) for a, b in both])) if both else None


def _paired(rows: Sequence[Row], others: Mapping[tuple[Any, ...], Row]) -> list[tuple[float, float]]:
    return [(row.deciding, others[row.key[1:]].deciding) for row in rows if row.key[1:] in others]


def _times(rows: Sequence[Row], name: str) -> str:
    found = ratio(rows, name)
    return "" if found is None or name == MAIN else number(found)
