"""Many configurations at once for a model to choose among: random ones and their neighbours, as arrays.

Points are configurations in the unit cube as `CompiledSpace.encode` gives them: (n, d), NaN where inactive,
each discrete parameter at the centre of its value's part. Only the one that is chosen becomes `Values`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from rung.space.axes import Listed
from rung.space.compiled import CompiledSpace
from rung.space.values import Values
from rung.trials.history import WORST, History

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Acquisition = Callable[[Floats], Floats]  # (n, d) points -> (n,), more is better

STEPS: Final = (0.2, 0.05, 0.0125)  # of a number's move, in the unit cube; a move takes one at random
LEAST: Final = 8  # results before the first model, at least
STARTS: Final = 10  # random points from which hills are climbed
_LISTED: Final = 4  # candidates decoded at once when the best are looked through, then twice as many


def random_points(
    space: CompiledSpace, generator: np.random.Generator, count: int, *, flat: bool = False
) -> Floats:
    """Up to `count` legal points by the priors; uniform ones with `flat`."""
    return decoded(space, _drawn(space, generator, count, flat))[0]


def _drawn(space: CompiledSpace, generator: np.random.Generator, count: int, flat: bool = False) -> Floats:
    """(d, count) points by the priors, not yet moved to the centres of values."""
    points = generator.random((space.size, count))
    if not flat:
        for row, axis in zip(points, space.columns.axes, strict=True):
            if axis.quantile is not None:
                row[:] = axis.quantile(row)
    return points


class _Grid:
    """Where the points of a space lie.

    Attributes:
        bare: there are no rules: a point's coordinates say nothing about each other.
        even: (e,) dimensions whose values have equal parts of the line, none of them a continuum.
        counts: (e, 1) how many values these have.
        others: dimensions whose values have unequal parts.
    """

    def __init__(self, space: CompiledSpace) -> None:
        columns = space.columns
        self.bare = not columns.forbidden and all(gate is None for gate in columns.gates)
        counts = [axis.count or 0 for axis in columns.axes]
        even = [isinstance(axis, Listed) for axis in columns.axes]
        self.even = np.flatnonzero(even)
        self.counts = np.array(counts, dtype=np.float64)[self.even, None]
        self.others = [j for j, count in enumerate(counts) if count and not even[j]]


def _grid_of(space: CompiledSpace) -> _Grid:
    found = _grids.get(space)
    if found is None:
        found = _grids[space] = _Grid(space)
    return found


_grids: WeakKeyDictionary[CompiledSpace, _Grid] = WeakKeyDictionary()


def decoded(space: CompiledSpace, points: Floats) -> tuple[Floats, Ints]:
    """Points (d, n) as the encoding has them, (m, d), of those that are legal; and which these are."""
    columns = space.columns
    grid = _grid_of(space)
    if grid.bare:
        parts = points[grid.even]
        parts *= grid.counts
        np.floor(parts, out=parts)
        np.minimum(parts, grid.counts - 1.0, out=parts)
        parts += 0.5
        parts /= grid.counts
        points[grid.even] = parts
        for j in grid.others:
            points[j] = columns.axes[j].cube(columns.axes[j].raw(points[j]))
        return np.ascontiguousarray(points.T), np.arange(points.shape[1])
    raw: list[Any] = [axis.raw(points[j]) for j, axis in enumerate(columns.axes)]
    active = columns.activity(raw)
    for j, (axis, mask) in enumerate(zip(columns.axes, active, strict=True)):
        if axis.count is not None:
            points[j] = axis.cube(raw[j])
        if mask is not True:
            points[j] = np.where(mask, points[j], np.nan)
    if not columns.forbidden:
        return np.ascontiguousarray(points.T), np.arange(points.shape[1])
    rows = np.flatnonzero(columns.legal(raw, active, points.shape[1]))
    return np.ascontiguousarray(points.T[rows]), rows


class Moves:
    """The moves of `CompiledSpace.neighbours` from many points at once: one active parameter is changed.

    A number takes a normal step, truncated to the cube, of one of the sizes `STEPS`, but of no less than the
    mean distance of its values; a category becomes another. What becomes active gets a value by its prior.
    """

    def __init__(self, space: CompiledSpace) -> None:
        axes = space.columns.axes
        self.space = space
        self.levels = space.levels
        self.widths = np.array([0.0 if axis.count is None else 1.0 / axis.count for axis in axes])
        self.movable = self.widths != 1.0
        self.priors = any(axis.quantile is not None for axis in axes)

    def __call__(self, points: Floats, generator: np.random.Generator) -> tuple[Floats, Ints]:
        """A neighbour of each of `points` (n, d), but for steps that lead nowhere; and of which."""
        n = len(points)
        keys = generator.random(points.shape)
        keys[np.isnan(points) | ~self.movable] = -1.0
        chosen = keys.argmax(axis=1)
        rows = np.flatnonzero(keys[np.arange(n), chosen] >= 0.0)
        chosen = chosen[rows]
        old = points[rows]
        new = np.where(np.isnan(old), _drawn(self.space, generator, len(rows)).T, old)
        each = np.arange(len(rows))
        new[each, chosen] = self._moved(old[each, chosen], chosen, generator)
        found, kept = decoded(self.space, np.ascontiguousarray(new.T))
        rows, chosen = rows[kept], chosen[kept]
        went = found[np.arange(len(rows)), chosen] != points[rows, chosen]
        return found[went], rows[went]

    def _moved(self, x: Floats, chosen: Ints, generator: np.random.Generator) -> Floats:
        """Other coordinates than `x` (n,), along the dimensions `chosen`."""
        step = np.maximum(np.array(STEPS)[generator.integers(len(STEPS), size=len(x))], self.widths[chosen])
        low, high = ndtr(-x / step), ndtr((1.0 - x) / step)
        uniforms = generator.random(len(x))
        moved = np.clip(x + step * ndtri(low + uniforms * (high - low)), 0.0, 1.0)
        levels = np.maximum(self.levels[chosen], 1)
        other = np.floor(x * levels) + 1.0 + np.floor(uniforms * (levels - 1))
        found: Floats = np.where(self.levels[chosen] > 0, (other % levels + 0.5) / levels, moved)
        return found


def climb(
    moves: Moves,
    points: Floats,
    acquisition: Acquisition,
    generator: np.random.Generator,
    *,
    rounds: int = 10,
    each: int = 8,
    values: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Hill climbing from each of `points` (n, d): in a round the best of `each` neighbours is moved to.

    Args:
        values: (n,) the acquisition at `points`, where it is known.

    Returns:
        (n, d) where it ended, and (n,) the acquisition there.
    """
    points = points.copy()
    values = acquisition(points) if values is None else values.copy()
    for _ in range(rounds):
        near, parents = moves(np.repeat(points, each, axis=0), generator)
        if not len(near):
            break
        parents //= each
        found = acquisition(near)
        order = np.lexsort((-found, parents))
        first = order[np.unique(parents[order], return_index=True)[1]]  # the best of each parent
        better = first[found[first] > values[parents[first]]]
        points[parents[better]] = near[better]
        values[parents[better]] = found[better]
    return points, values


def best_of(
    moves: Moves,
    history: History,
    starts: Floats,
    acquisition: Acquisition,
    generator: np.random.Generator,
    count: int,
) -> Values | None:
    """The configuration of the highest acquisition that may be tried, None if there is none.

    `count` random points are compared, half of them uniform in a space with priors. From the `STARTS` best of
    them, and from `starts` (n, d), hills are climbed.
    """
    space = moves.space
    if not moves.movable.any():
        return None
    drawn = random_points(space, generator, count - count // 2 if moves.priors else count)
    if moves.priors:
        drawn = np.concatenate([drawn, random_points(space, generator, count // 2, flat=True)])
    values = acquisition(drawn)
    best = drawn[np.argsort(-values, kind="stable")[:STARTS]]
    climbed, heights = climb(moves, np.concatenate([best, starts]), acquisition, generator)
    return best_allowed(space, history, np.concatenate([climbed, drawn]), np.concatenate([heights, values]))


def best_allowed(space: CompiledSpace, history: History, points: Floats, values: Floats) -> Values | None:
    """The configuration of the largest of `values` (n,) that may be tried; None if none may.

    In a noisy study any may, in others one that no trial of the history has.
    """
    seen = set() if history.identity.noisy else configurations(space, history)
    order = np.argsort(-values, kind="stable")
    start, size = 0, _LISTED
    while start < len(order):
        rows = space.decode(points[order[start : start + size]])
        for found, mark in zip(rows, space.told_apart(rows), strict=True):
            if mark not in seen:
                return found
        start, size = start + size, 2 * size
    return None


def enough(space: CompiledSpace) -> int:
    """How many results with a value a first model has."""
    return min(max(LEAST, space.size + 1), 4 * LEAST)


def without_failures(losses: Floats) -> Floats:
    """Losses (n,), the worst of the others where a trial failed; at least one must have a value."""
    worst: float = losses[losses < WORST].max()
    return np.minimum(losses, worst)


def check(name: str, given: object, valid: bool, range_: str) -> None:
    """Refuse a setting that is not `valid`."""
    if not valid:
        raise ValueError(f"{name} must be {range_}, not {given!r}")


class _Seen:
    """What tells the configurations of a history's first `count` trials apart."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.count = 0
        self.marks: set[object] = set()


def configurations(space: CompiledSpace, history: History) -> set[object]:
    """What tells the configurations of all trials apart; kept and extended as the history grows."""
    kept = _seen.get(history)
    if kept is None or kept.version != history.space_version:
        kept = _seen[history] = _Seen(history.space_version)
    kept.marks.update(space.told_apart(history.values[kept.count :]))
    kept.count = len(history.values)
    return kept.marks


_seen: WeakKeyDictionary[History, _Seen] = WeakKeyDictionary()  # a cache: it follows from the history
