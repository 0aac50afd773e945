"""One cell as a drawing: its graph, with a vertex for every label and bend, then curves and boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from rung.nas.drawing_layout import Layout, Vertex, layered
from rung.nas.drawing_scene import (
    INK,
    KINDS,
    PAPER,
    Box,
    Curve,
    Kind,
    Label,
    Mark,
    Point,
    Tip,
    kind,
    text_width,
)
from rung.nas.genotype import CellGenotype

_NODE: Final = 30.0  # a node's diameter
_END: Final = (54.0, 34.0)  # an input's or the output's box
_LABEL: Final = 11.0  # size of an operation's name
_PILL: Final = 22.0  # height of the box around it
_TIP: Final = 7.5  # length of an arrow's head
_SIGN: Final = "#dfe5ec", "#3d4a5c"  # an input's or the output's ground and line
_PLAIN: Final = Kind("", "#8a8a8a", PAPER)


@dataclass(frozen=True)
class Name:
    """What a vertex is called: a symbol and its subscript, or a number."""

    text: str
    low: str = ""

    @property
    def plain(self) -> str:
        return f"{self.text}_{{{self.low}}}" if self.low else self.text


@dataclass(frozen=True)
class Route:
    """A way through the graph: vertices in neighbouring ranks, the label among them if it has one."""

    chain: tuple[int, ...]
    operation: str = ""
    label: int = -1
    weight: float | None = None
    hint: str = ""


@dataclass
class Plan:
    """The graph of a cell while it is built.

    Attributes:
        names: of inputs, nodes and the output, by vertex.
    """

    vertices: list[Vertex] = field(default_factory=list)
    names: dict[int, Name] = field(default_factory=dict)
    ends: set[int] = field(default_factory=set)
    routes: list[Route] = field(default_factory=list)

    def end(self, rank: int, name: Name, arrows: int = 1) -> int:
        """An input or the output, high enough for its arrows."""
        height = max(_END[1], 12.0 + 9.0 * arrows)
        self.vertices.append(Vertex(rank, _END[0], height, 18.0, node=True))
        number = len(self.vertices) - 1
        self.names[number] = name
        self.ends.add(number)
        return number

    def node(self, rank: int, index: int) -> int:
        self.vertices.append(Vertex(rank, _NODE, _NODE, 18.0, node=True))
        self.names[len(self.vertices) - 1] = Name(str(index))
        return len(self.vertices) - 1

    def between(
        self, source: int, target: int, label_at: int = -1, width: float = 0.0
    ) -> tuple[list[int], int]:
        """A chain from source to target, with bends and, at rank `label_at`, a label; and that label."""
        chain, label = [source], -1
        for rank in range(self.vertices[source].rank + 1, self.vertices[target].rank):
            labelled = rank == label_at
            self.vertices.append(
                Vertex(rank, width, _PILL, 9.0) if labelled else Vertex(rank, 0.0, 0.0, 8.0, bend=True)
            )
            chain.append(len(self.vertices) - 1)
            label = chain[-1] if labelled else label
        return [*chain, target], label


def plan(cell: CellGenotype, recurrent: bool, weights: Sequence[Sequence[float]] | None) -> Plan:
    """The graph of a cell.

    Args:
        recurrent: whether its one input is the first state, made of a word and the state before.
        weights: by node, of each edge, to be shown.
    """
    made = Plan()
    depths = _depths(cell)
    base = 1 if recurrent else 0
    states = [_state(made, cell, index, base + 2 * depth, recurrent) for index, depth in enumerate(depths)]
    edges = [
        (operation, source, cell.inputs + number, None if weights is None else weights[number][place])
        for number, entering in enumerate(cell.nodes)
        for place, (operation, source) in enumerate(entering)
    ]
    ranks = _label_ranks([(base + 2 * depths[s] + 1, base + 2 * depths[t] - 1) for _, s, t, _ in edges])
    for (operation, source, target, weight), rank in zip(edges, ranks, strict=True):
        width = text_width(label_text(operation, weight), _LABEL) + 16.0
        chain, label = made.between(states[source], states[target], rank, width)
        names = made.names[states[source]].plain, made.names[states[target]].plain
        hint = f"{operation}: from {names[0]} to {names[1]}"
        made.routes.append(Route(tuple(chain), operation, label, weight, hint))
    last = max(vertex.rank for vertex in made.vertices) + 1
    output = made.end(last, Name("h", "t") if recurrent else Name("c", "k"), len(cell.concat))
    for index in cell.concat:
        chain, _ = made.between(states[index], output)
        names = made.names[states[index]].plain, made.names[output].plain
        made.routes.append(Route(tuple(chain), hint=f"{names[0]} is part of the output {names[1]}"))
    return made


def label_text(operation: str, weight: float | None) -> str:
    """What a label says: the operation, and its weight in per cent if there is one."""
    return operation if weight is None else f"{operation} {weight:.0%}"


def input_name(index: int, inputs: int) -> Name:
    """c_{k-2} and c_{k-1} of two, c_{k-1} of one."""
    return Name("c", f"k-{inputs - index}")


def _state(made: Plan, cell: CellGenotype, index: int, rank: int, recurrent: bool) -> int:
    if index >= cell.inputs:
        return made.node(rank, index)
    if not recurrent:
        return made.end(rank, input_name(index, cell.inputs))
    state = made.node(rank, index)
    for name in (Name("x", "t"), Name("h", "t-1")):
        chain, _ = made.between(made.end(0, name), state)
        made.routes.append(Route(tuple(chain), hint=f"{name.plain} enters the first state"))
    return state


def _depths(cell: CellGenotype) -> list[int]:
    """Of inputs and nodes: edges on the longest way from an input."""
    depths = [0] * cell.inputs
    for entering in cell.nodes:
        depths.append(1 + max(depths[source] for _, source in entering))
    return depths


def _label_ranks(spans: Sequence[tuple[int, int]]) -> list[int]:
    """For each edge the rank of its label, within its span in steps of two: where few others are.

    Edges with the least choice come first; in ties the rank next to the target.
    """
    load: dict[int, int] = {}
    ranks = [0] * len(spans)
    for number in sorted(range(len(spans)), key=lambda i: (spans[i][1] - spans[i][0], i)):
        first, last = spans[number]
        ranks[number] = min(range(last, first - 1, -2), key=lambda rank: load.get(rank, 0))
        load[ranks[number]] = load.get(ranks[number], 0) + 1
    return ranks


@dataclass(frozen=True)
class Picture:
    """A cell's marks, the upper left corner at 0."""

    marks: tuple[Mark, ...]
    width: float
    height: float


def picture(
    cell: CellGenotype, recurrent: bool = False, weights: Sequence[Sequence[float]] | None = None
) -> Picture:
    """Draw one cell."""
    made = plan(cell, recurrent, weights)
    links = [link for route in made.routes for link in pairwise(route.chain)]
    layout = layered(made.vertices, links)
    leaving, entering = _ports(made, layout)
    lines: list[Mark] = []
    tops: list[Mark] = []
    for number, route in enumerate(made.routes):
        lines += _line(made, layout, route, leaving[number], entering[number])
        if route.operation:
            tops += _pill(made, layout, route)
    for number, name in made.names.items():
        tops += _vertex(made, layout, number, name)
    return Picture((*lines, *tops), layout.right[-1], layout.height)


def _centre(made: Plan, layout: Layout, number: int) -> Point:
    rank = made.vertices[number].rank
    return (layout.left[rank] + layout.right[rank]) / 2, layout.y[number]


Port = tuple[Point, Point]  # where a line touches a vertex, and the direction away from it


def _ports(made: Plan, layout: Layout) -> tuple[list[Port], list[Port]]:
    """For each route, its port at its source and at its target, in the order that avoids crossings."""
    routes = made.routes
    leaving: dict[int, list[int]] = {}
    entering: dict[int, list[int]] = {}
    for number, route in enumerate(routes):
        leaving.setdefault(route.chain[0], []).append(number)
        entering.setdefault(route.chain[-1], []).append(number)
    first, last = [((0.0, 0.0), (0.0, 0.0))] * len(routes), [((0.0, 0.0), (0.0, 0.0))] * len(routes)
    for vertex, numbers in leaving.items():
        numbers.sort(key=lambda n: layout.y[routes[n].chain[1]])
        for place, number in enumerate(numbers):
            first[number] = _port(made, layout, vertex, place - (len(numbers) - 1) / 2, len(numbers), 1.0)
    for vertex, numbers in entering.items():
        numbers.sort(key=lambda n: layout.y[routes[n].chain[-2]])
        for place, number in enumerate(numbers):
            last[number] = _port(made, layout, vertex, place - (len(numbers) - 1) / 2, len(numbers), -1.0)
    return first, last


def _port(made: Plan, layout: Layout, vertex: int, place: float, many: int, side: float) -> Port:
    """The port number `place` (0 in the middle) on the right (side 1) or left (-1) of a vertex."""
    x, y = _centre(made, layout, vertex)
    box = made.vertices[vertex]
    if vertex in made.ends:
        step = min(9.0, (box.height - 12.0) / max(many - 1, 1))
        return (x + side * box.width / 2, y + place * step), (side, 0.0)
    angle = place * min(math.radians(34), math.radians(120) / max(many - 1, 1))
    away = side * math.cos(angle), math.sin(angle)
    return (x + away[0] * _NODE / 2, y + away[1] * _NODE / 2), away


def _line(made: Plan, layout: Layout, route: Route, leaving: Port, entering: Port) -> list[Mark]:
    """The curve of a route, and its arrow's head."""
    look = KINDS[kind(route.operation)] if route.operation else _PLAIN
    apex, away = entering
    base = apex[0] + away[0] * _TIP, apex[1] + away[1] * _TIP
    start, direction = leaving
    points: list[Point] = [start]
    for number in route.chain[1:-1]:
        rank, y = made.vertices[number].rank, layout.y[number]
        here = layout.left[rank], y
        points += _bezier(points[-1], direction, here, (-1.0, 0.0))
        direction = (1.0, 0.0)
        if layout.right[rank] > here[0]:
            there = layout.right[rank], y
            points += [here, there, there]
    points += _bezier(points[-1], direction, base, away)
    thick = 1.1 if not route.operation else 1.6 if route.weight is None else 0.8 + 2.4 * route.weight
    side = -away[1] * _TIP * 0.42, away[0] * _TIP * 0.42
    tip = Tip(
        (apex, (base[0] + side[0], base[1] + side[1]), (base[0] - side[0], base[1] - side[1])), look.line
    )
    return [Curve(tuple(points), look.line, thick, look.dash, route.hint), tip]


def _bezier(start: Point, out: Point, end: Point, back: Point) -> list[Point]:
    """Control points and end of a curve that leaves along `out` and arrives against `back`."""
    reach = 0.5 * abs(end[0] - start[0])
    return [
        (start[0] + out[0] * reach, start[1] + out[1] * reach),
        (end[0] + back[0] * reach, end[1] + back[1] * reach),
        end,
    ]


def _pill(made: Plan, layout: Layout, route: Route) -> list[Mark]:
    look = KINDS[kind(route.operation)]
    rank = made.vertices[route.label].rank
    x, y = _centre(made, layout, route.label)
    width = layout.right[rank] - layout.left[rank]
    text = label_text(route.operation, route.weight)
    return [
        Box(x, y, width, _PILL, _PILL / 2, look.fill, look.line, hint=route.hint),
        Label(x, y, text, _LABEL),
    ]


def _vertex(made: Plan, layout: Layout, number: int, name: Name) -> list[Mark]:
    x, y = _centre(made, layout, number)
    box = made.vertices[number]
    if number in made.ends:
        fill, line = _SIGN
        return [
            Box(x, y, box.width, box.height, 5.0, fill, line),
            Label(x, y, name.text, 14.0, low=name.low, slanted=True),
        ]
    return [Box(x, y, _NODE, _NODE, _NODE / 2, PAPER, INK, 1.4), Label(x, y, name.text, 13.0, colour=INK)]
