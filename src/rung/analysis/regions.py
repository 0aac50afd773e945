"""The parts of a space in which the same parameters are active, as importance of parameters sees them.

A space without conditions is one region, the unit cube itself, evenly weighted. Of a space with conditions
each pattern of active parameters is a region: its share of the space, and how its share lies along each
parameter that others depend on, are counted on random points. Within a region parameters are taken as
independent of each other. Inside a region no parameter is missing, so that a model of it needs no made-up
values. Only patterns with few results of their own are pooled, with each other and, while these are still
few, with the smallest region: no result is left out, and few of them say little beside many others.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.space.axes import make_axis
from rung.space.compiled import CompiledSpace
from rung.space.layout import parents

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

DRAWS: Final = 20_000  # random points that a conditional space is measured with
MOST: Final = 12  # regions; what is left is one more, in which what is not active is filled in
CELLS: Final = 32  # of a parameter whose values are not few


class Region(NamedTuple):
    """One part of the space; its columns are those of `varying`.

    Attributes:
        share: of the whole space, by measure.
        rows: (n,) the configurations that lie in it.
        active: (k,) the columns that are active.
        points: (rows, k) its configurations, filled in with 0.5 where not active.
        weights: by column, (cells,) how the region's share lies over equal cells of the column; None: evenly.
    """

    share: float
    rows: Ints
    active: Mask
    points: Floats
    weights: tuple[Floats | None, ...]

    def below(self, column: int, x: Floats) -> Floats:
        """The share of the region that lies below `x` (any shape) along `column`."""
        weights = self.weights[column]
        if weights is None:
            return x
        edges = np.linspace(0.0, 1.0, len(weights) + 1)
        found: Floats = np.interp(x, edges, np.concatenate([[0.0], np.cumsum(weights)]))
        return found


def varying(space: CompiledSpace) -> Ints:
    """The dimensions that have more than one value."""
    return np.flatnonzero([make_axis(domain).count != 1 for domain in space.domains]).astype(np.int64)


def counts(space: CompiledSpace, columns: Ints) -> Ints:
    """(k,) how many values of equal width each column has; 0: a continuum, or of unequal width."""
    found = []
    for column in columns.tolist():
        axis = make_axis(space.domains[column])
        log = bool(getattr(space.domains[column], "log", False))
        found.append(0 if axis.count is None or log else axis.count)
    return np.array(found, dtype=np.int64)


def find_regions(space: CompiledSpace, columns: Ints, points: Floats, least: int) -> list[Region]:
    """The regions, the largest first, the pooled one last; their shares sum to 1.

    Each has at least `least` configurations, or all that there are. Patterns without any are left out, unless
    others are pooled: then they are taken to be like these.

    Args:
        points: (n, k) configurations in the unit cube, NaN where not active.
    """
    even: tuple[Floats | None, ...] = (None,) * len(columns)
    if all(gate is None for gate in space.layout.gates):
        return [Region(1.0, np.arange(len(points)), np.ones(len(columns), bool), points, even)]
    draws = np.random.default_rng(0).random((DRAWS, space.size))
    pattern, member = _patterns(space.activity(space.decode(draws))[:, columns], ~np.isnan(points))
    drawn, given = member[:DRAWS], member[DRAWS:]
    groups = _groups(len(pattern), drawn, given, least)
    gating = _gating(space, columns)
    regions = []
    for patterns in groups:
        active = np.asarray(pattern[patterns].any(axis=0))
        inside, rows = np.isin(drawn, patterns), np.flatnonzero(np.isin(given, patterns))
        filled = np.where(np.isnan(points[rows]), 0.5, points[rows])
        weights = _weights(draws[inside][:, columns], gating, counts(space, columns))
        regions.append(Region(float(inside.mean()), rows, active, filled, weights))
    total = sum(region.share for region in regions)
    return [region._replace(share=region.share / total) for region in regions]


def _patterns(drawn: Mask, given: Mask) -> tuple[Mask, Ints]:
    """All patterns of active columns (p, k), and which one each row, drawn ones first, has."""
    pattern, member = np.unique(np.concatenate([drawn, given]), axis=0, return_inverse=True)
    return pattern, member.reshape(-1)


def _groups(number: int, drawn: Ints, given: Ints, least: int) -> list[Ints]:
    """Which of `number` patterns make a region together, by the pattern of each point drawn and given."""
    measure, sizes = (np.bincount(member, minlength=number) for member in (drawn, given))
    order = np.argsort(-measure, kind="stable").tolist()
    kept = [i for i in order if sizes[i] >= least and measure[i] > 0][:MOST]
    others = np.setdiff1d(np.arange(number), kept)
    while kept and sizes[others].sum() > 0 and (sizes[others].sum() < least or not measure[others].any()):
        others = np.append(others, kept.pop())
    return [np.array([i]) for i in kept] + ([others] if sizes[others].any() else [])


def _gating(space: CompiledSpace, columns: Ints) -> Mask:
    """(k,) the columns on which the activity of others depends."""
    slots = {slot for gate in space.layout.gates if gate is not None for slot in parents(gate)}
    return np.isin(columns, list(slots))


def _weights(draws: Floats, gating: Mask, numbers: Ints) -> tuple[Floats | None, ...]:
    found: list[Floats | None] = []
    for j, gates in enumerate(gating):
        cells = int(numbers[j]) if 0 < numbers[j] <= CELLS else CELLS
        if not gates or not len(draws):
            found.append(None)
            continue
        cell = np.minimum((draws[:, j] * cells).astype(np.int64), cells - 1)
        found.append(np.bincount(cell, minlength=cells) / len(draws))
    return tuple(found)
