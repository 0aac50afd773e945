"""Weights of operations over time, edge by edge, as lines of small plots."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from rung.nas.drawing_cell import input_name
from rung.nas.drawing_scene import KINDS, kind
from rung.nas.genotype import CellGenotype
from rung.nas.result import SearchResult
from rung.nas.space import SPACES

UNITS: Final = 1000  # of a drawing's height, for a weight of one
CANDIDATES: Final = "candidates"  # in a result's settings: by cell, the names of its operations
_MOST_POINTS: Final = 80_000  # of all small plots together
_DASHES: Final = ("", "5 2.5", "1.5 2", "7 2 1.5 2")  # of a kind's first, second, ... operation


class Look(NamedTuple):
    """How an operation is drawn: as in the drawing of a cell, further ones of a kind dashed and paler."""

    colour: str
    dash: str
    opacity: float


class Line(NamedTuple):
    """The weight of one operation on one edge.

    Attributes:
        operation, look: whose.
        chosen: whether the derived cell has it there.
        removed: the epoch before which it was pruned, None if it never was.
        segments: points as SVG has them, x the epoch and y the negative weight in `UNITS`.
    """

    operation: str
    look: Look
    chosen: bool
    removed: int | None
    segments: tuple[str, ...]


class Edge(NamedTuple):
    """A small plot."""

    number: int
    source: str
    target: int
    chosen: tuple[str, ...]
    lines: tuple[Line, ...]


class CellSeries(NamedTuple):
    """All small plots of a cell: by node, the edges that enter it."""

    name: str
    title: str
    operations: tuple[str, ...]
    nodes: tuple[tuple[int, tuple[Edge, ...]], ...]

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All of them, in the order of their numbers."""
        return tuple(edge for _, edges in self.nodes for edge in edges)

    @property
    def most(self) -> int:
        """Of edges that enter a node."""
        return max((len(edges) for _, edges in self.nodes), default=0)


class Series(NamedTuple):
    """All cells, and the stretch of weights that all small plots show."""

    cells: tuple[CellSeries, ...]
    first: int
    last: int
    low: float
    high: float

    @property
    def box(self) -> str:
        """The viewBox of a small plot."""
        wide = max(self.last - self.first, 1)
        return f"{self.first} {-round(self.high * UNITS)} {wide} {round((self.high - self.low) * UNITS)}"


def looks(operations: Sequence[str]) -> dict[str, Look]:
    """By operation, so that any two differ."""
    seen: Counter[str] = Counter()
    made = {}
    for operation in operations:
        of = kind(operation)
        rank = seen[of]
        seen[of] += 1
        own = " ".join(f"{stroke:g}" for stroke in KINDS[of].dash)
        dash = own if rank == 0 else _DASHES[rank % len(_DASHES)]
        made[operation] = Look(KINDS[of].line, dash, max(1.0 - 0.35 * rank, 0.3))
    return made


def series(result: SearchResult) -> Series:
    """Of a search with one record at least."""
    records = result.records
    stride = _stride(result)
    cells = tuple(
        _cell(result, name, cell, stride)
        for name, cell in result.genotype.cells
        if all(record["mixtures"].get(name) for record in records)
    )
    values = [(-int(y) or 0) / UNITS for cell in cells for y in _heights(cell)]
    low, high = _stretch(values)
    return Series(cells, records[0]["epoch"], records[-1]["epoch"], low, high)


def operations_of(result: SearchResult, cell: str, width: int) -> tuple[str, ...]:
    """Names of the columns of a cell's mixtures; numbers where the result does not name them."""
    named = dict(result.settings.get(CANDIDATES) or {}).get(cell)
    if named is None and result.space in SPACES:
        named = next((own.operations for own in SPACES[result.space].cells if own.name == cell), None)
    if named is not None and len(named) == width:
        return tuple(named)
    return tuple(f"operation {column + 1}" for column in range(width))


def final_weights(result: SearchResult) -> dict[str, list[list[float]]] | None:
    """The weights of the derived edges in the last epoch, for the drawing; None where they tell nothing."""
    if not result.records:
        return None
    weights: dict[str, list[list[float]]] = {}
    for name, cell in result.genotype.cells:
        mixture = result.records[-1]["mixtures"].get(name)
        if not mixture:
            return None
        columns = {op: i for i, op in enumerate(operations_of(result, name, len(mixture[0])))}
        numbers = {(source, target): i for i, (source, target) in enumerate(_edges(cell))}
        try:
            weights[name] = [
                [float(mixture[numbers[source, cell.inputs + i]][columns[op]]) for op, source in edges]
                for i, edges in enumerate(cell.nodes)
            ]
        except (KeyError, IndexError, TypeError):
            return None
    flat = [value for nodes in weights.values() for edges in nodes for value in edges]
    tells = all(0.0 <= value <= 1.0 for value in flat) and min(flat) < 0.995
    return weights if tells else None


def _cell(result: SearchResult, name: str, cell: CellGenotype, stride: int) -> CellSeries:
    mixtures = [record["mixtures"][name] for record in result.records]
    operations = operations_of(result, name, len(mixtures[0][0]))
    look = looks(operations)
    removed = removals(result.records, name)
    epochs = [record["epoch"] for record in result.records]
    kept = {
        (source, cell.inputs + number): tuple(op for op, other in edges if other == source)
        for number, edges in enumerate(cell.nodes)
        for _, source in edges
    }
    nodes: dict[int, list[Edge]] = {}
    for number, (source, target) in enumerate(_edges(cell)[: len(mixtures[0])]):
        chosen = kept.get((source, target), ())
        lines = []
        for column, operation in enumerate(operations):
            values = [_value(mixture, number, column) for mixture in mixtures]
            gone = removed.get((number, operation))
            if not any(values) and gone is None and operation not in chosen:
                continue  # it is no candidate here
            points = [
                (epoch, value)
                for i, (epoch, value) in enumerate(zip(epochs, values, strict=True))
                if (gone is None or epoch < gone) and (i % stride == 0 or i == len(epochs) - 1)
            ]
            segments = _segments(points)
            lines.append(Line(operation, look[operation], operation in chosen, gone, segments))
        ordered = tuple(sorted(lines, key=lambda line: line.chosen))  # the chosen one lies on top
        edge = Edge(number, _source(name, cell, source), target, chosen, ordered)
        nodes.setdefault(target, []).append(edge)
    return CellSeries(
        name, cell_title(name), operations, tuple((node, tuple(edges)) for node, edges in nodes.items())
    )


def cell_title(name: str) -> str:
    """Of a cell, on the page."""
    titles = {"normal": "Normal cell", "reduce": "Reduction cell", "recurrent": "Recurrent cell"}
    return titles.get(name, f"Cell {name}")


def removals(records: Sequence[Mapping[str, Any]], cell: str) -> dict[tuple[int, str], int]:
    """By (edge, operation), the epoch before which it was pruned."""
    return {
        (int(edge), str(operation)): int(record["epoch"])
        for record in records
        for of, edge, operation in record.get("removed", ())
        if of == cell
    }


def _edges(cell: CellGenotype) -> list[tuple[int, int]]:
    """(source, target) of all edges that were searched, by target, then by source."""
    targets = range(cell.inputs, cell.inputs + len(cell.nodes))
    return [(source, target) for target in targets for source in range(target)]


def _source(name: str, cell: CellGenotype, index: int) -> str:
    if index >= cell.inputs or name == "recurrent":
        return str(index)
    return input_name(index, cell.inputs).plain


def _value(mixture: Sequence[Sequence[Any]], edge: int, column: int) -> float:
    value = mixture[edge][column]
    return math.nan if value is None else float(value)


def _segments(points: Sequence[tuple[int, float]]) -> tuple[str, ...]:
    """Stretches of finite values."""
    stretches: list[list[str]] = [[]]
    for epoch, value in points:
        if math.isfinite(value):
            stretches[-1].append(f"{epoch},{-round(value * UNITS)}")
        elif stretches[-1]:
            stretches.append([])
    whole = (stretch * 2 if len(stretch) == 1 else stretch for stretch in stretches if stretch)
    return tuple(" ".join(stretch) for stretch in whole)  # a single point twice: round ends make it a dot


def _heights(cell: CellSeries) -> list[str]:
    lines = (line for edge in cell.edges for line in edge.lines)
    return [pair.split(",")[1] for line in lines for segment in line.segments for pair in segment.split()]


def _stretch(values: Sequence[float]) -> tuple[float, float]:
    """From zero, unless all weights lie close together: then a part that shows their differences."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if high <= low:
        return min(low, 0.0), max(high, 1.0)
    if low > 0.5 * high:
        room = 0.05 * (high - low)
        return low - room, high + room
    return min(low, 0.0), high if high > 0.9 else high * 1.05


def _stride(result: SearchResult) -> int:
    """Every how manieth epoch is drawn, so that the page stays small."""
    mixtures = result.records[0]["mixtures"].values()
    points = sum(len(rows) * len(rows[0]) for rows in mixtures if rows) * len(result.records)
    return max(1, math.ceil(points / _MOST_POINTS))
