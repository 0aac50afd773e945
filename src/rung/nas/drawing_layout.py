"""A layered layout: where the vertices of a directed acyclic graph are drawn, from left to right.

After Sugiyama, Tagawa and Toda (1981): every link joins two neighbouring ranks (longer ones are chains of
bends), the order within a rank is chosen for few crossings, then heights for straight links. Since labels
and bends are vertices with room of their own, no curve between two ranks can meet a vertex, and no two labels
meet.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_SWEEPS: Final = 24  # of ordering; few suffice for graphs of this size, and the best order seen is kept
_SETTLINGS: Final = 160  # of heights
_ROUNDS: Final = 4  # of straightening
_STEP: Final = 400.0  # what a step costs however small, on the same scale
_STRAIGHT: Final = 60.0  # pixels: a step in a line weighs as much as a link to a node that climbs so far


@dataclass(frozen=True)
class Vertex:
    """What takes room.

    Attributes:
        rank: its column, from 0.
        width: in pixels; 0 for a bend.
        height: in pixels; 0 for a bend.
        gap: room that it wants above and below, in pixels.
        bend: whether it is only a point that a long line runs through.
        node: whether lines end at it; it is a label otherwise.
    """

    rank: int
    width: float
    height: float
    gap: float
    bend: bool = False
    node: bool = False


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
    place = {v: (number, i) for number, rank in enumerate(ranks) for i, v in enumerate(rank)}
    seen: dict[int, list[int]] = {}  # by rank of the left end: where links so far arrive, sorted
    total = 0
    for (rank, _), arrival in sorted((place[a], place[b][1]) for a, b in links):
        before = seen.setdefault(rank, [])
        total += len(before) - bisect_right(before, arrival)
        insort(before, arrival)
    return total


def _ordered(ranks: list[list[int]], links: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The ranks in the best order that sweeps of barycentres and exchanges of neighbours find."""
    near: list[list[int]] = [[] for rank in ranks for _ in rank]
    for a, b in links:
        near[a].append(b)
        near[b].append(a)
    best, least = [list(rank) for rank in ranks], crossings(ranks, links)
    for sweep in range(_SWEEPS):
        if least == 0:
            break
        forward = sweep % 2 == 0
        numbers = range(1, len(ranks)) if forward else range(len(ranks) - 2, 0, -1)
        for number in numbers:
            _by_barycentre(ranks, number, near, forward, late=sweep % 4 >= 2)
        _exchanged(ranks, near)
        now = crossings(ranks, links)
        if now < least:
            best, least = [list(rank) for rank in ranks], now
    return best


def _by_barycentre(
    ranks: list[list[int]], number: int, near: Sequence[Sequence[int]], forward: bool, late: bool
) -> None:
    """Order one rank by the mean place of the neighbours in the rank before it (after it, if backward)."""
    place = {v: i for i, v in enumerate(ranks[number - 1 if forward else number + 1])}
    old = {v: i for i, v in enumerate(ranks[number])}

    def key(v: int) -> tuple[float, int]:
        places = [place[u] for u in near[v] if u in place]
        mean = sum(places) / len(places) if places else float(old[v])
        return mean, -old[v] if late else old[v]  # ties in turn, so that a sweep may leave a local optimum

    ranks[number].sort(key=key)


def _exchanged(ranks: list[list[int]], near: Sequence[Sequence[int]]) -> None:
    """Exchange neighbours of a rank as long as that removes crossings; the first rank stays."""
    place = {v: i for rank in ranks for i, v in enumerate(rank)}
    at = {v: number for number, rank in enumerate(ranks) for v in rank}
    for number in range(1, len(ranks)):
        rank, better = ranks[number], True
        while better:
            better = False
            for i in range(len(rank) - 1):
                above, below = rank[i], rank[i + 1]
                gain = sum(
                    (place[a] > place[b]) - (place[a] < place[b])
                    for a in near[above]
                    for b in near[below]
                    if at[a] == at[b]
                )
                if gain > 0:
                    rank[i], rank[i + 1] = below, above
                    place[above], place[below] = i + 1, i
                    better = True


def _heights(
    ranks: Sequence[Sequence[int]], vertices: Sequence[Vertex], links: Sequence[tuple[int, int]]
) -> list[float]:
    """Heights that keep links short and lines straight, rank after rank, each exact given the others.

    Least squares at links that end at a node; within a long line least distances (squares whose weights are
    divided by the distance), for which it makes one step where squares would spread it over many.
    """
    near: list[list[tuple[int, bool]]] = [[] for _ in vertices]
    for a, b in links:
        line = (vertices[a].bend and not vertices[b].node) or (vertices[b].bend and not vertices[a].node)
        near[a].append((b, line))
        near[b].append((a, line))
    offsets = [_offsets(rank, vertices) for rank in ranks]
    y = [0.0] * len(vertices)
    for rank, offset in zip(ranks, offsets, strict=True):
        for v, o in zip(rank, offset, strict=True):
            y[v] = o - offset[-1] / 2
    numbers = list(range(len(ranks)))
    for turn in range(_SETTLINGS):
        soft = max(64.0 * 0.96**turn, 0.5)
        for number in numbers if turn % 2 else reversed(numbers):
            _settled(ranks[number], offsets[number], near, y, soft)
    _straightened(ranks, offsets, vertices, links, y)
    return y


def _settled(
    rank: Sequence[int],
    offsets: Sequence[float],
    near: Sequence[Sequence[tuple[int, bool]]],
    y: list[float],
    soft: float,
) -> None:
    """Put one rank where its links want it; within a line, less than `soft` pixels still count squared."""
    wanted, weights = [], []
    for v, offset in zip(rank, offsets, strict=True):
        pulls = [(y[u], _STRAIGHT / max(abs(y[u] - y[v]), soft) if line else 1.0) for u, line in near[v]]
        weight = sum(w for _, w in pulls)
        wanted.append((sum(w * at for at, w in pulls) / weight if weight else 0.0) - offset)
        weights.append(weight or 1e-9)
    for v, offset, value in zip(rank, offsets, isotonic(wanted, weights), strict=True):
        y[v] = value + offset


def _straightened(
    ranks: Sequence[Sequence[int]],
    offsets: Sequence[Sequence[float]],
    vertices: Sequence[Vertex],
    links: Sequence[tuple[int, int]],
    y: list[float],
) -> None:
    """Move whole lines where that takes steps out of them: one by one, their vertices cannot leave a step."""
    place = {v: (number, i) for number, rank in enumerate(ranks) for i, v in enumerate(rank)}

    def room(v: int) -> tuple[float, float]:
        """From where to where a vertex may be moved, its neighbours in the rank staying."""
        number, i = place[v]
        rank, at = ranks[number], offsets[number]
        low = y[rank[i - 1]] + at[i] - at[i - 1] if i else -math.inf
        high = y[rank[i + 1]] - at[i + 1] + at[i] if i + 1 < len(rank) else math.inf
        return low, high

    lines = _lines(vertices, links)
    for _ in range(_ROUNDS):
        for source, line, target in lines:
            rooms = [room(v) for v in line]
            ends = y[source], y[target]
            options = [[y[v] for v in line], *_flat(rooms, ends)]
            best = min(options, key=lambda option: _unrest(option, ends))
            for v, value in zip(line, best, strict=True):
                y[v] = value


def _lines(vertices: Sequence[Vertex], links: Sequence[tuple[int, int]]) -> list[tuple[int, list[int], int]]:
    """Of each link between nodes through others: its source, what it runs through, and its target."""
    after = {a: b for a, b in links if not vertices[a].node}
    lines = []
    for source, first in links:
        if not vertices[source].node or vertices[first].node:
            continue
        line = [first]
        while not vertices[after[line[-1]]].node:
            line.append(after[line[-1]])
        lines.append((source, line, after[line[-1]]))
    return lines


def _flat(rooms: Sequence[tuple[float, float]], ends: tuple[float, float]) -> Iterator[list[float]]:
    """Heights for a line with no step, or with one, as far as there is room for it."""
    for cut in range(len(rooms)):
        heights: list[float] = []
        for piece, end in ((rooms[:cut], ends[0]), (rooms[cut:], ends[1])):
            low, high = max((r[0] for r in piece), default=0.0), min((r[1] for r in piece), default=0.0)
            if low > high:
                break
            wish = end if cut else (ends[0] + ends[1]) / 2
            heights += [min(max(wish, low), high)] * len(piece)
        if len(heights) == len(rooms):
            yield heights


def _unrest(heights: Sequence[float], ends: tuple[float, float]) -> float:
    """What the steps of a line and the way to its ends cost."""
    steps = [abs(a - b) for a, b in pairwise(heights)]
    climbs = (heights[0] - ends[0]) ** 2 + (heights[-1] - ends[1]) ** 2
    return climbs + sum(_STRAIGHT * step + _STEP for step in steps if step > 1e-6)


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
