"""Grid search: every combination of evenly spaced values once, where conditions allow it, then the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.errors import StudyError
from rung.samplers.base import Request, Suggestion
from rung.space.axes import make_axis
from rung.space.compiled import CompiledSpace
from rung.space.domains import Domain, Float, Integer
from rung.space.draws import Rng
from rung.space.layout import lay_out
from rung.space.values import INACTIVE, Values
from rung.trials.events import Origin
from rung.trials.history import History

_NAME: Final = "grid"
_ORIGIN: Final = Origin(_NAME)

DEFAULT: Final = 10  # values of a numeric parameter

Resolution = int | Mapping[str, int]


@dataclass(frozen=True)
class GridSampler:
    """Goes through a grid, the last parameter fastest.

    The next configuration follows from the last one of the grid that was started: there is no position to
    keep, and a suggestion costs the same everywhere.

    Args:
        resolution: how many values a numeric parameter takes at most, evenly spaced on its scale, both ends
            included (1 takes the centre); or a mapping from parameters (by name or dotted full name) to that,
            10 for those that it leaves out. All others take all their values, as do numeric ones that have
            no more.

    Raises:
        ValueError: a resolution below 1.
    """

    resolution: int | Mapping[str, int] = DEFAULT

    def __post_init__(self) -> None:
        given = self.resolution
        for count in given.values() if isinstance(given, Mapping) else [given]:
            if count < 1:
                raise ValueError(f"resolution must be at least 1, not {count}")

    def suggest(
        self, space: CompiledSpace, history: History, request: Request, rng: Rng
    ) -> Suggestion | None:
        """The next legal configuration of the grid, None after the last one.

        Raises:
            StudyError: the resolution names what is no numeric parameter of the space.
        """
        grid = _grid(space, self.resolution)
        last = _last(history)
        values = grid.first() if last is None else grid.after(last)
        while values is not None and not space.legal([values])[0]:
            values = grid.after(values)
        return None if values is None else Suggestion(values, _ORIGIN)


def _last(history: History) -> Values | None:
    """The latest configuration of the grid; those that the user put in between are passed over."""
    for number in range(len(history) - 1, -1, -1):
        if history.origins[number].sampler == _NAME:
            return history.values[number]
    return None


class Grid:
    """The grid of one space.

    Attributes:
        points: by dimension, the values' places in the unit cube, ascending.
    """

    def __init__(self, space: CompiledSpace, resolution: Resolution) -> None:
        self._space = space
        self._backwards = lay_out(space.space).order[::-1]  # dimensions, those that depend on others first
        self.points = [
            places(domain, count)
            for domain, count in zip(space.domains, _counts(space, resolution), strict=True)
        ]

    def first(self) -> Values:
        """The first value of each parameter."""
        return self._values([0] * self._space.size)

    def after(self, values: Values) -> Values | None:
        """What follows `values`, None if nothing does.

        As in an odometer the last dimension that can move does, and those after it start again. What is not
        active rests at its first value, so that nothing comes twice.
        """
        encoded = self._space.encode([values])[0]
        steps = [
            0 if value is INACTIVE else int(np.abs(points - x).argmin())
            for value, points, x in zip(values, self.points, encoded, strict=True)
        ]
        for j in self._backwards:
            if values[j] is not INACTIVE and steps[j] + 1 < len(self.points[j]):
                steps[j] += 1
                return self._values(steps)
            steps[j] = 0
        return None

    def _values(self, steps: list[int]) -> Values:
        point = [points[step] for points, step in zip(self.points, steps, strict=True)]
        return self._space.decode([point])[0]


def places(domain: Domain, count: int) -> NDArray[np.float64]:
    """Where a parameter's values lie in the unit cube, ascending: all, at most `count` if it is numeric."""
    axis = make_axis(domain)
    numeric = isinstance(domain, Float | Integer)
    if axis.count is None or (numeric and axis.count > count):
        line = np.linspace(0.0, 1.0, count) if count > 1 else np.array([0.5])
        return np.unique(axis.cube(axis.raw(line)))
    if isinstance(domain, Integer):
        return axis.cube(np.arange(domain.low, domain.high + 1))
    return (np.arange(axis.count) + 0.5) / axis.count


def _counts(space: CompiledSpace, resolution: Resolution) -> list[int]:
    """By dimension, how many values a numeric parameter takes at most."""
    if not isinstance(resolution, Mapping):
        return [resolution] * space.size
    counts = [DEFAULT] * space.size
    numeric = [isinstance(domain, Float | Integer) for domain in space.domains]
    for name, count in resolution.items():
        named = [j for j in range(space.size) if numeric[j] and name in (space.names[j], space.keys[j])]
        if not named:
            known = ", ".join(key for key, is_numeric in zip(space.keys, numeric, strict=True) if is_numeric)
            raise StudyError(
                f"the grid's resolution names {name!r}, which is no numeric parameter of the space; "
                f"those are {known or 'none'}"
            )
        for j in named:
            counts[j] = count
    return counts


_grids: WeakKeyDictionary[CompiledSpace, tuple[Resolution, Grid]] = WeakKeyDictionary()  # a cache


def _grid(space: CompiledSpace, resolution: Resolution) -> Grid:
    kept = _grids.get(space)
    if kept is None or kept[0] != resolution:
        kept = _grids[space] = (resolution, Grid(space, resolution))
    return kept[1]
