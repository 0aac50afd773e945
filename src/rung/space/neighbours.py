"""A space's own moves: one active parameter changed, as in SMAC's local search (Hutter et al. 2011, 4.3).

A numeric or ordinal parameter takes a normal step in the unit cube, a category becomes another one, and
parameters that become active get random values by their priors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rung.space.axes import Array, Axis
from rung.space.columns import Columns, Raw
from rung.space.values import INACTIVE, Values

STEP = 0.2  # standard deviation, in the unit cube
ROUNDS = 16  # of trying, when legal and new neighbours are rare
_DRAWS = 32  # of a step: the first that ends inside the cube, at another value, is taken


def find_neighbours(columns: Columns, values: Values, rng: np.random.Generator, count: int) -> list[Values]:
    """Up to `count` different legal neighbours of a configuration; fewer where hardly any exist."""
    movable = [j for j, v in enumerate(values) if v is not INACTIVE and columns.axes[j].count != 1]
    found: dict[tuple[object, ...], Values] = {}
    if not movable:
        return []
    for _ in range(ROUNDS):
        for row in _propose(columns, values, movable, rng, count + 4):
            if len(found) < count:
                found.setdefault((row, *map(type, row)), row)
        if len(found) >= count:
            break
    return list(found.values())


def _propose(
    columns: Columns, values: Values, movable: list[int], rng: np.random.Generator, count: int
) -> list[Values]:
    """The legal ones of `count` proposals."""
    own, present = columns.read([values])
    raw: Raw = []
    for axis, column, mask in zip(columns.axes, own, present, strict=True):
        if mask[0]:
            raw.append(np.repeat(column, count))
        else:
            u = rng.random(count)
            raw.append(axis.raw(u if axis.quantile is None else axis.quantile(u)))
    changed = np.array(movable)[rng.integers(len(movable), size=count)]
    kept = np.ones(count, dtype=np.bool_)
    for j in movable:
        rows = np.flatnonzero(changed == j)
        if len(rows):
            raw[j][rows], kept[rows] = _step(columns.axes[j], own[j], rng, len(rows))
    active = columns.activity(raw)
    kept &= columns.legal(raw, active, count)
    every = columns.rows(raw, active)
    return [every[i] for i in np.flatnonzero(kept).tolist()]


def _step(axis: Axis, own: Array, rng: np.random.Generator, count: int) -> tuple[Array, NDArray[np.bool_]]:
    """Other raw numbers than `own`, and which of them are good."""
    if axis.levels:
        other = (own + 1 + rng.integers(axis.levels - 1, size=count)) % axis.levels
        return other, np.ones(count, dtype=np.bool_)
    x = rng.normal(axis.cube(own), STEP, (count, _DRAWS))
    raw = axis.raw(np.clip(x, 0.0, 1.0).ravel()).reshape(count, _DRAWS)
    good = (x >= 0.0) & (x <= 1.0) & (raw != own)
    each = np.arange(count)
    first = good.argmax(axis=1)
    return raw[each, first], good[each, first]
