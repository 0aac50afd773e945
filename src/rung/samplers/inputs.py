"""Configurations and losses as a Gaussian process takes them: columns without gaps, standardised targets.

Columns are the numbers first, as they lie in the unit cube (those of a list with an order, too), then whether
parameters are active, where other columns don't tell it already, then categories as codes. What is not active
is filled in with the centre of its range, the first category: configurations without it are alike there.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from rung.samplers.candidates import Moves
from rung.space.compiled import CompiledSpace
from rung.space.layout import Literal, Rule

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

FEW: Final = 10  # values of a number up to which a model's slope along it leads nowhere
_WIDE: Final = 5.0  # of losses beyond the median, in distances of the median from the best


class Inputs:
    """The columns of a space.

    Attributes:
        space: whose they are.
        moves: of the space.
        values: (v,) dimensions that are numbers and can vary: the first columns.
        numbers: how many columns are numbers, v and those that tell what is active.
        width: how many columns there are.
        dimensions: how many parameters can vary.
        free: (v,) which of the first columns have so many values that they can be moved along a slope.
        smooth: whether slopes lead everywhere: all that can vary is `free`, and always active.
    """

    def __init__(self, space: CompiledSpace) -> None:
        counts = np.array([0 if axis.count is None else axis.count for axis in space.columns.axes])
        self.space = space
        self.values = np.flatnonzero((counts != 1) & (space.levels == 0))
        self.free = (counts[self.values] == 0) | (counts[self.values] > FEW)
        self._categories = np.flatnonzero(space.levels > 0)
        self._levels = space.levels[self._categories]
        self._gated = _told_by_nothing_else(space)
        self.numbers = len(self.values) + len(self._gated)
        self.width = self.numbers + len(self._categories)
        self.dimensions = len(self.values) + len(self._categories)
        self._order = np.concatenate([self.values, self._gated, self._categories])
        self._gaps = any(gate is not None for gate in space.layout.gates)
        self.moves = Moves(space)
        self.smooth = bool(self.free.all()) and self.width == len(self.values)

    def __call__(self, points: Floats) -> Floats:
        """Points (n, d) of the unit cube, NaN where inactive, as columns: (n, k)."""
        found: Floats = np.take(points, self._order, axis=1)
        v = len(self.values)
        if self._gaps:
            numbers, active, codes = found[:, :v], found[:, v : self.numbers], found[:, self.numbers :]
            numbers[np.isnan(numbers)] = 0.5
            active[...] = ~np.isnan(active)
            codes[np.isnan(codes)] = 0.0
        codes = found[:, self.numbers :]
        codes *= self._levels
        np.floor(codes, out=codes)
        return found

    def movable(self, points: Floats) -> NDArray[np.bool_]:
        """(n, k) which numbers of points (n, d) may be moved along a slope: active ones of many values."""
        mask = np.zeros((len(points), self.width), dtype=np.bool_)
        mask[:, : len(self.values)] = self.free & ~np.isnan(points[:, self.values])
        return mask

    def moved(self, points: Floats, columns: Floats) -> Floats:
        """Points (n, d) with their active numbers from `columns` (n, k)."""
        found = points.copy()
        numbers = points[:, self.values]
        found[:, self.values] = np.where(np.isnan(numbers), numbers, columns[:, : len(self.values)])
        return found


def _told_by_nothing_else(space: CompiledSpace) -> Ints:
    """A dimension each for the conditions that are not just a category's being one of some."""
    first: dict[Rule, int] = {}
    for j, gate in enumerate(space.layout.gates):
        if gate is not None and not _is_category(space, gate):
            first.setdefault(gate, j)
    return np.array(list(first.values()), dtype=np.intp)


def _is_category(space: CompiledSpace, gate: Rule) -> bool:
    """Whether the condition is on a category that is always active, so that its column tells all."""
    return (
        isinstance(gate, Literal)
        and bool(space.levels[gate.slot] > 0)
        and space.layout.gates[gate.slot] is None
    )


def targets(losses: Floats, more: Floats | None = None) -> Floats:
    """Losses (n,) standardised, failed ones (`inf`) as the worst; `more` (q,), other losses, in the same way.

    What is far beyond the median is cut off there, so that a few bad values, or one huge one, leave the good
    ones apart. Only affine maps are made besides: the result does not depend on the losses' unit.

    Returns:
        (n,) array, or (q,) with `more`.
    """
    asked = losses if more is None else more
    if not np.isfinite(losses).any():
        return np.zeros(len(asked))
    top = _top(losses)
    known, beyond = np.minimum(losses, top), np.minimum(asked, top)
    unit = float(np.abs(known).max()) or 1.0  # so that no square is beyond what a float holds
    known, beyond = known / unit, beyond / unit
    deviation = float(known.std())
    standard: Floats = (beyond - known.mean()) / (deviation if deviation > 1e-12 else 1.0)
    return standard


def cut(losses: Floats) -> Floats:
    """Losses (n,) with failed ones (`inf`), and what is far beyond the median, cut off; 0 if all failed."""
    return np.minimum(losses, _top(losses)) if np.isfinite(losses).any() else np.zeros(len(losses))


def _top(losses: Floats) -> float:
    """Where losses (n,) are cut off, of which some are finite."""
    known = np.sort(losses[np.isfinite(losses)])
    half = len(known) // 2
    low, top = float(known[0]), float(known[-1])
    middle = float(known[half]) if len(known) % 2 else 0.5 * float(known[half - 1]) + 0.5 * float(known[half])
    with np.errstate(over="ignore"):
        high = middle + _WIDE * (middle - low)
    return high if middle > low and high < top else top
