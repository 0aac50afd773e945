"""The time that systems take to decide, beside rung's on the same searches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from benchmarks.experiments.judging import of
from benchmarks.experiments.rows import Row
from benchmarks.reports.field import MAIN
from benchmarks.reports.markdown import number, table
from benchmarks.systems import systems

SAME: Final = {"process": "Gaussian process", "density": "densities", "forest": "random forest"}
_PRICED: Final = "counting ones 8+8"
_ABOUT: Final = """\
### Time to decide

Processor seconds, of a search on counting ones 8 + 8 with one worker and of a search on average, and
milliseconds a result; the last column is the median ratio to rung's on the same searches. Other work ran on
the machine and slowed its cores. Where a search tells what a fixed piece of work took meanwhile (its pace,
`benchmarks/systems/pace.py`) its seconds are scaled to a core that nothing disturbs; only such searches count
for a system that has any, and a ratio is of two of them. \\* marks systems without any: as they were
measured, upper bounds. The averages are of the searches that a system has, which are not the same for all:
compare by the last column.
"""


def told(rows: Sequence[Row]) -> Iterator[str]:
    """A table, the quickest first."""
    names = sorted({row.system for row in rows}, key=lambda name: (seconds(rows, name), name))
    lines = []
    for name in names:
        kept = comparable(of(rows, system=name))
        results = sum(row.evaluations for row in kept)
        each = sum(row.decided for row in kept) / max(results, 1)
        alone = of(kept, _PRICED, workers=1)
        note = systems()[name].note if name in systems() else ""
        lines.append(
            [
                (f"**{name}**" if name == MAIN else name) + ("" if kept[0].pace else r" \*"),
                note,
                SAME.get(model(name), model(name)),
                number(float(np.mean([row.decided for row in alone]))) if alone else "",
                number(seconds(rows, name)),
                number(1e3 * each),
                _times(rows, name),
            ]
        )
    yield _ABOUT
    head = ("system", "what", "model", "counting ones, s", "a search, s", "a result, ms", "times rung's")
    yield table(head, lines, 3)


def model(name: str) -> str:
    """The class of a system's model."""
    return systems()[name].model if name in systems() else ""


def comparable(rows: Sequence[Row]) -> Sequence[Row]:
    """Those whose pace is known; all of them where none is."""
    return [row for row in rows if row.pace is not None] or rows


def seconds(rows: Sequence[Row], name: str) -> float:
    """On average, of a search."""
    return float(np.mean([row.decided for row in comparable(of(rows, system=name))]))


def ratio(rows: Sequence[Row], name: str) -> float | None:
    """The median of these; None without any."""
    found = ratios(rows, name)
    return float(np.median(found)) if found else None


def ratios(rows: Sequence[Row], name: str, main: str = MAIN) -> list[float]:
    """A system's time as a ratio to the main one's, on the searches that both ran.

    Of those whose pace is known for both, if there are any; else of those where it is known for neither,
    which ran in the same hours.
    """
    others = {row.key[1:]: row for row in of(rows, system=main)}
    both = [(row, others[row.key[1:]]) for row in of(rows, system=name) if row.key[1:] in others]
    for known in (True, False):
        pairs = [(a, b) for a, b in both if (a.pace is not None, b.pace is not None) == (known, known)]
        if pairs:
            return [a.decided / max(b.decided, 1e-9) for a, b in pairs]
    return []


def _times(rows: Sequence[Row], name: str) -> str:
    found = ratio(rows, name)
    return "" if found is None or name == MAIN else number(found)
