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


def find_neighbours(
    columns: Columns, values: Values, rng: np.random.Generator, count: int, step: float = STEP
) -> list[Values]:
    """Up to `count` different legal neighbours of a configuration; fewer where hardly any exist.

    Args:
        step: standard deviation of a numeric parameter's step, see `moved`.
    """
    movable = movables(columns, values)
    found: dict[tuple[object, ...], Values] = {}
    if not len(movable):
        return []
    for _ in range(ROUNDS):
        one = movable[rng.integers(len(movable), size=count + 4)]
        for row in moved(columns, values, np.arange(len(values))[:, None] == one, rng, step):
            if len(found) < count:
                found.setdefault((row, *map(type, row)), row)
        if len(found) >= count:
            break
    return list(found.values())


def movables(columns: Columns, values: Values) -> NDArray[np.intp]:
    """The dimensions that are active in a configuration and have more than one value."""
    active = [j for j, v in enumerate(values) if v is not INACTIVE and columns.axes[j].count != 1]
    return np.array(active, dtype=np.intp)


def moved(
    columns: Columns,
    values: Values,
    chosen: NDArray[np.bool_],
    rng: np.random.Generator,
    step: float = STEP,
) -> list[Values]:
    """The legal ones of n configurations in which some parameters of `values` are changed.

    Args:
        chosen: (d, n) which of its `movables` are changed in each.
        step: standard deviation of a numeric parameter's step in the unit cube; where values lie farther
            apart than this, one of about that distance, so that a step can reach the next value.
    """
    count: int = chosen.shape[1]
    own, present = columns.read([values])
    raw: Raw = []
    kept = np.ones(count, dtype=np.bool_)
    for axis, column, mask, change in zip(columns.axes, own, present, chosen, strict=True):
        if mask[0]:
            raw.append(np.repeat(column, count))
            rows = np.flatnonzero(change)
            if len(rows):
                raw[-1][rows], good = _step(axis, column, rng, len(rows), step)
                kept[rows] &= good
        else:
            u = rng.random(count)
            raw.append(axis.raw(u if axis.quantile is None else axis.quantile(u)))
    active = columns.activity(raw)
    kept &= columns.legal(raw, active, count)
    every = columns.rows(raw, active)
    return [every[i] for i in np.flatnonzero(kept).tolist()]


def _step(
    axis: Axis, own: Array, rng: np.random.Generator, count: int, step: float
) -> tuple[Array, NDArray[np.bool_]]:
    """Other raw numbers than `own`, and which of them are good."""
    if axis.levels:
        other = (own + 1 + rng.integers(axis.levels - 1, size=count)) % axis.levels
        return other, np.ones(count, dtype=np.bool_)
    if axis.count is not None:
        step = max(step, min(STEP, 1.0 / axis.count))
    x = rng.normal(axis.cube(own), step, (count, _DRAWS))
    raw = axis.raw(np.clip(x, 0.0, 1.0).ravel()).reshape(count, _DRAWS)
    good = (x >= 0.0) & (x <= 1.0) & (raw != own)
    each = np.arange(count)
    first = good.argmax(axis=1)
    return raw[each, first], good[each, first]
