"""A space's priors moved to another centre: as densities, and as small changes of one configuration."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from rung.space.compiled import CompiledSpace

Floats = NDArray[np.float64]

_RANKS: Final = 256  # points at which a prior's standard deviation is taken
_NARROWEST: Final = 1e-6  # deviation, in the unit cube


class Shape:
    """The shape of a space's priors, whatever their centre.

    Attributes:
        numbers: (k,) dimensions whose values have an order and more than one.
        categories: dimensions that have none.
        deviations: (d,) standard deviation of a number's prior in the unit cube; `inf` without prior.
        logs: by category's dimension with a prior, its log weights, relative to equal ones.
    """

    def __init__(self, space: CompiledSpace) -> None:
        varies = np.array([axis.count != 1 for axis in space.columns.axes])
        self.space = space
        self.numbers = np.flatnonzero(varies & (space.levels == 0))
        self.categories = np.flatnonzero(varies & (space.levels > 0))
        believed = [j for j, domain in enumerate(space.domains) if getattr(domain, "prior", None) is not None]
        self.deviations: Floats = np.full(space.size, np.inf)
        ranks = np.repeat((np.arange(_RANKS) + 0.5)[:, None] / _RANKS, space.size, axis=1)
        spread = space.by_priors(ranks).std(axis=0)
        for j in np.intersect1d(self.numbers, believed).tolist():
            self.deviations[j] = max(_NARROWEST, float(spread[j]))
        self.logs: dict[int, Floats] = {
            j: _column(space, j) for j in np.intersect1d(self.categories, believed).tolist()
        }

    def log_density(self, points: Floats, centre: Floats) -> Floats:
        """(n,) log densities of `points` (n, d) under the priors moved to `centre` (d,), NaN counts as 0."""
        total = np.zeros(len(points))
        for j in np.flatnonzero(np.isfinite(self.deviations) & ~np.isnan(centre)).tolist():
            there = ~np.isnan(points[:, j])
            total[there] += _log_normal(points[there, j], centre[j], self.deviations[j])
        for j, logs in self.logs.items():
            if not np.isnan(centre[j]):
                there = ~np.isnan(points[:, j])
                own = int(centre[j] * len(logs))
                moved = logs.copy()
                moved[[own, int(logs.argmax())]] = logs[[int(logs.argmax()), own]]
                total[there] += moved[(points[there, j] * len(logs)).astype(np.int64)]
        return total

    def near(
        self, centre: Floats, mutation: float, step: float, count: int, generator: np.random.Generator
    ) -> Floats:
        """`count` points (count, d) near `centre` (d,), each with at least one parameter changed.

        A number takes a truncated normal step, a category is drawn with twice the weight on its own. What is
        not active in `centre` is by its prior.
        """
        size = self.space.size
        points = self.space.by_priors(generator.random((count, size)))
        chosen = generator.random((count, size)) < mutation
        uniforms = generator.random((count, size))
        active = ~np.isnan(centre)
        both = np.concatenate([self.numbers, self.categories])
        movable = both[active[both]]
        if len(movable):
            none = np.flatnonzero(~chosen[:, movable].any(axis=1))
            chosen[none, movable[generator.integers(len(movable), size=len(none))]] = True
        moved = np.where(active, np.nan_to_num(centre), points)
        numbers = self.numbers[active[self.numbers]]
        moved[:, numbers] = truncated_normal(centre[numbers], step, uniforms[:, numbers])
        categories = self.categories[active[self.categories]]
        levels = self.space.levels[categories]
        drawn = np.floor(uniforms[:, categories] * (levels + 1))  # one more: its own once again
        drawn = np.where(drawn == levels, np.floor(centre[categories] * levels), drawn)
        moved[:, categories] = (drawn + 0.5) / np.maximum(levels, 1)
        return np.where(active & ~chosen, np.nan_to_num(centre), moved)


def _column(space: CompiledSpace, j: int) -> Floats:
    """The log weights of a category's values."""
    m = int(space.levels[j])
    points = np.full((m, space.size), np.nan)
    points[:, j] = (np.arange(m) + 0.5) / m
    return space.log_prior(points)


def _log_normal(x: Floats, centre: float, deviation: float) -> Floats:
    """The log density of a normal distribution truncated to [0, 1], whose centre lies in it."""
    inside = ndtr((1.0 - centre) / deviation) - ndtr(-centre / deviation)
    if inside < 1e-3:  # the deviation is far wider than the cube
        return np.zeros(len(x))
    z = (x - centre) / deviation
    found: Floats = -0.5 * z * z - np.log(deviation * np.sqrt(2.0 * np.pi) * inside)
    return found


def truncated_normal(centres: Floats, width: float, uniforms: Floats) -> Floats:
    """Normal draws around `centres`, `width` wide, truncated to [0, 1], by inversion of `uniforms`."""
    low, high = ndtr(-centres / width), ndtr((1.0 - centres) / width)
    drawn: Floats = centres + width * ndtri(low + uniforms * (high - low))
    return np.clip(drawn, 0.0, 1.0)
