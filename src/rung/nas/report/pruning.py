"""What was pruned when: a band an edge, of as many stripes as there are operations left."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from rung.nas.report.series import CellSeries, Edge, Look, Series
from rung.nas.report.words import plural
from rung.nas.result import SearchResult
from rung.nas.strategies.described import strategy_title


class Stripe(NamedTuple):
    """An operation while it shares its edge with the same others; heights and places in shares of the band.

    Attributes:
        start, width: in epochs, from the first.
        y, height: in shares of the band.
    """

    operation: str
    look: Look
    start: int
    width: int
    y: float
    height: float


class Band(NamedTuple):
    """An edge over time, and what came of it."""

    source: str
    target: int
    stripes: tuple[Stripe, ...]
    outcome: str
    kept: bool


class CellBands(NamedTuple):
    """All edges of a cell."""

    title: str
    bands: tuple[Band, ...]


def bands(series: Series) -> tuple[CellBands, ...]:
    """Of all cells."""
    return tuple(
        CellBands(cell.title, tuple(_band(cell, edge, series) for edge in cell.edges))
        for cell in series.cells
    )


def pruning_words(result: SearchResult) -> str:
    """How much was pruned, and from when to when."""
    records = result.records
    gone = [(record["epoch"], len(record["removed"])) for record in records if record["removed"]]
    left = records[-1]["operations"]
    if not gone:
        return (
            f"Nothing was pruned: all {left:,} operations were there in the last epoch, and the cell was "
            f"chosen among them afterwards, as {strategy_title(result.strategy)} does."
        )
    count = sum(many for _, many in gone)
    when = f"in epoch {gone[0][0]}"
    when += f", the last in epoch {gone[-1][0]}" if len(gone) > 1 else ""
    return (
        f"{plural(count, 'operation')} of {count + left:,} went for good, the first {when}; "
        f"{plural(left, 'is', 'are')} left."
    )


def _band(cell: CellSeries, edge: Edge, series: Series) -> Band:
    order = {operation: i for i, operation in enumerate(cell.operations)}
    lines = sorted(edge.lines, key=lambda line: order[line.operation])
    end = series.last + 1
    bounds = sorted({series.first, end, *(line.removed for line in lines if line.removed is not None)})
    stripes = []
    for start, stop in pairwise(bounds):
        there = [line for line in lines if line.removed is None or line.removed > start]
        for place, line in enumerate(there):
            height = 1.0 / len(there)
            stripes.append(
                Stripe(
                    line.operation,
                    line.look,
                    start - series.first,
                    stop - start,
                    round(place * height, 4),
                    round(height, 4),
                )
            )
    left = sum(line.removed is None for line in lines)
    return Band(edge.source, edge.target, tuple(stripes), _outcome(edge, left), bool(edge.chosen))


def _outcome(edge: Edge, left: int) -> str:
    if edge.chosen:
        return ", ".join(edge.chosen) + (f" of {left}" if left > len(edge.chosen) else "")
    if not left:
        last = max((line.removed for line in edge.lines if line.removed is not None), default=None)
        return "gone" if last is None else f"gone in epoch {last}"
    return "not kept"
