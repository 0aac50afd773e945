"""A layered layout: where the vertices of a directed acyclic graph are drawn, from left to right.

After Sugiyama, Tagawa and Toda (1981): every link joins two neighbouring ranks (longer ones are chains of
bends), the order within a rank is chosen for few crossings, then heights for straight links. Since labels and
bends are vertices with room of their own, no curve between two ranks can meet a vertex, and no two labels meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

_SWEEPS: Final = 24  # of ordering; few suffice for graphs of this size, and the best order seen is kept
_SETTLINGS: Final = 80  # of heights
_STRAIGHT: Final = 3.0  # how much more a link to a bend counts than one between two vertices


@dataclass(frozen=True)
class Vertex:
    """What takes room.

    Attributes:
        rank: its column, from 0.
        width: in pixels; 0 for a bend.
        height: in pixels; 0 for a bend.
        gap: room that it wants above and below, in pixels.
        bend: whether it is only a point that a long link runs through.
    """

    rank: int
    width: float
    height: float
    gap: float
    bend: bool = False


@dataclass(frozen=True)
class Layout:
    """Where the vertices are.

    Attributes:
        y: of each vertex's centre, in pixels; the topmost edge is 0.
        left: of each rank's column, in pixels; the first is 0.
        right: of each rank's column, in pixels.
        height: of the whole, in pixels.
    """

    y: tuple[float, ...]
    left: tuple[float, ...]
    right: tuple[float, ...]
    height: float


def layered(vertices: Sequence[Vertex], links: Sequence[tuple[int, int]], spread: float = 1.0) -> Layout:
    """Place the vertices.

    Args:
        vertices: those of the first rank are kept in the order given.
        links: (vertex, vertex of the next rank).
        spread: factor on the room between columns.
    """
    ranks = [[] for _ in range(max(v.rank for v in vertices) + 1)]  # type: list[list[int]]
    for number, vertex in enumerate(vertices):
        ranks[vertex.rank].append(number)
    ranks = _ordered(ranks, links)
    y = _heights(ranks, vertices, links)
    top = min(y[n] - v.height / 2 for n, v in enumerate(vertices))
    bottom = max(y[n] + v.height / 2 for n, v in enumerate(vertices))
    left, right = _columns(ranks, vertices, links, y, spread)
    return Layout(tuple(value - top for value in y), left, right, bottom - top)


def crossings(ranks: Sequence[Sequence[int]], links: Sequence[tuple[int, int]]) -> int:
    """How many pairs of links cross, the vertices of each rank being in this order."""
    place = {v: i for rank in ranks for i, v in enumerate(rank)}
    at = {v: r for r, rank in enumerate(ranks) for v in rank}
    return sum(
        (place[a] - place[c]) * (place[b] - place[d]) < 0
        for (a, b), (c, d) in combinations(links, 2)
        if at[a] == at[c]
    )


def _ordered(ranks: list[list[int]], links: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The ranks in the best order that sweeps of barycentres and exchanges of neighbours find."""
    best, least = [list(rank) for rank in ranks], crossings(ranks, links)
    for sweep in range(_SWEEPS):
        if least == 0:
            break
        forward = sweep % 2 == 0
        numbers = range(1, len(ranks)) if forward else range(len(ranks) - 2, 0, -1)
        for number in numbers:
            _by_barycentre(ranks, number, links, forward, late=sweep % 4 >= 2)
        _exchanged(ranks, links)
        now = crossings(ranks, links)
        if now < least:
            best, least = [list(rank) for rank in ranks], now
    return best


def _by_barycentre(
    ranks: list[list[int]], number: int, links: Sequence[tuple[int, int]], forward: bool, late: bool
) -> None:
    """Order one rank by the mean place of the neighbours in the rank before it (after it, if backward)."""
    place = {v: i for i, v in enumerate(ranks[number - 1 if forward else number + 1])}
    near: dict[int, list[int]] = {v: [] for v in ranks[number]}
    for a, b in links:
        here, there = (b, a) if forward else (a, b)
        if here in near and there in place:
            near[here].append(place[there])
    old = {v: i for i, v in enumerate(ranks[number])}

    def key(v: int) -> tuple[float, int]:
        mean = sum(near[v]) / len(near[v]) if near[v] else float(old[v])
        return mean, -old[v] if late else old[v]  # ties in turn, so that a sweep may leave a local optimum

    ranks[number].sort(key=key)


def _exchanged(ranks: list[list[int]], links: Sequence[tuple[int, int]]) -> None:
    """Exchange neighbours of a rank as long as that removes crossings; the first rank stays."""
    for number in range(1, len(ranks)):
        rank = ranks[number]
        around = [link for link in links if link[0] in rank or link[1] in rank]
        near = ranks[max(number - 1, 0) : number + 2]
        least, better = crossings(near, around), True
        while better:
            better = False
            for i in range(len(rank) - 1):
                rank[i], rank[i + 1] = rank[i + 1], rank[i]
                now = crossings(near, around)
                if now < least:
                    least, better = now, True
                else:
                    rank[i], rank[i + 1] = rank[i + 1], rank[i]


def _heights(
    ranks: Sequence[Sequence[int]], vertices: Sequence[Vertex], links: Sequence[tuple[int, int]]
) -> list[float]:
    """Heights of least squares over the links, rank after rank, each exact given the others."""
    near: list[list[tuple[int, float]]] = [[] for _ in vertices]
    for a, b in links:
        weight = _STRAIGHT if vertices[a].bend or vertices[b].bend else 1.0
        near[a].append((b, weight))
        near[b].append((a, weight))
    offsets = [_offsets(rank, vertices) for rank in ranks]
    y = [0.0] * len(vertices)
    for rank, offset in zip(ranks, offsets, strict=True):
        for v, o in zip(rank, offset, strict=True):
            y[v] = o - offset[-1] / 2
    order = list(range(len(ranks)))
    for turn in range(_SETTLINGS):
        for number in order if turn % 2 else reversed(order):
            wanted, weights = [], []
            for v, o in zip(ranks[number], offsets[number], strict=True):
                weight = sum(w for _, w in near[v])
                wanted.append(sum(w * y[u] for u, w in near[v]) / weight - o if weight else -o)
                weights.append(weight or 1e-3)
            for v, o, value in zip(ranks[number], offsets[number], isotonic(wanted, weights), strict=True):
                y[v] = value + o
    return y


def _offsets(rank: Sequence[int], vertices: Sequence[Vertex]) -> list[float]:
    """Least distances from the first vertex of a rank."""
    offsets = [0.0]
    for a, b in pairwise(vertices[v] for v in rank):
        offsets.append(offsets[-1] + (a.height + b.height) / 2 + max(a.gap, b.gap))
    return offsets


def isotonic(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The values nearest to `wanted` (weighted squares) that never fall: pool adjacent violators."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for value, weight in zip(wanted, weights, strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (m, w, n), (mean, heft, many) = blocks[-2:]
            blocks[-2:] = [((m * w + mean * heft) / (w + heft), w + heft, n + many)]
    return [mean for mean, _, many in blocks for _ in range(many)]


def _columns(
    ranks: Sequence[Sequence[int]],
    vertices: Sequence[Vertex],
    links: Sequence[tuple[int, int]],
    y: Sequence[float],
    spread: float,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Left and right of each column: the more a link climbs, the more room there is for it."""
    left, right, x = [], [], 0.0
    for number, rank in enumerate(ranks):
        if number:
            climbs = [abs(y[a] - y[b]) for a, b in links if vertices[b].rank == number]
            x += spread * min(max(26.0 + 0.2 * max(climbs, default=0.0), 30.0), 80.0)
        left.append(x)
        x += max(vertices[v].width for v in rank)
        right.append(x)
    return tuple(left), tuple(right)
