"""Grid search: every combination of evenly spaced values once, where conditions allow it, then the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.errors import StudyError
from rung.samplers.base import Request, Suggestion
from rung.space.axes import make_axis
from rung.space.compiled import CompiledSpace
from rung.space.domains import Domain, Float, Integer
from rung.space.draws import Rng
from rung.space.layout import MisfitError, parents
from rung.space.values import INACTIVE, Values
from rung.trials.events import Origin
from rung.trials.history import History

_ORIGIN: Final = Origin("grid")

DEFAULT: Final = 10  # values of a numeric parameter

Resolution = int | Mapping[str, int]


@dataclass(frozen=True)
class GridSampler:
    """Goes through a grid, the last parameter fastest.

    The next configuration is the first one of the grid that no trial has, whoever proposed that trial: so
    nothing comes twice, and what the user enqueued or told is passed over. When the space was changed this
    holds for the new space's grid. A parameter that the user fixed has that value alone.

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
        values = _walk(space, history, self.resolution).next(history)
        return None if values is None else Suggestion(values, _ORIGIN)


class Walk:
    """A way through the grid of one space: each step costs the same, wherever it is.

    Attributes:
        values: the configuration where it stands, None at the end.
    """

    def __init__(self, space: CompiledSpace, resolution: Resolution, fixed: Mapping[str, Any]) -> None:
        self._columns = columns = space.columns
        self._told_apart = space.told_apart
        self._order = columns.layout.order  # parents before what depends on them
        place = {slot: p for p, slot in enumerate(self._order)}
        # a combination is forbidden by the values up to a place, whatever comes after it
        self._rules = [(rule, max(place[slot] for slot in parents(rule))) for rule in columns.forbidden]
        counts = _counts(space, resolution)
        self._raw = [
            _raw(space, slot, counts[slot], fixed.get(space.keys[slot], fixed.get(space.names[slot], _FREE)))
            for slot in range(space.size)
        ]
        self._python = [axis.python(raw) for axis, raw in zip(columns.axes, self._raw, strict=True)]
        self._options: list[list[Any]] = [raw.tolist() for raw in self._raw]
        self._steps = [0] * space.size
        self._seen: set[object] = set()
        self._count = 0
        self.values: Values | None = None
        self._stand()

    def next(self, history: History) -> Values | None:
        """The first configuration from here on that no trial has, None if there is none; go there."""
        for trial, mark in enumerate(self._told_apart(history.values[self._count :]), self._count):
            if trial not in history.outside:
                self._seen.add(mark)
        self._count = len(history)
        while self.values is not None and self._told_apart([self.values])[0] in self._seen:
            self.advance()
        return self.values

    def advance(self) -> None:
        """To the next legal configuration."""
        self._advance(len(self._order) - 1)

    def several(self) -> list[bool]:
        """By parameter, whether it has more than one value on the grid."""
        return [len(options) > 1 for options in self._options]

    def _advance(self, last: int) -> None:
        """To the next legal configuration that differs at place `last` or before.

        As in an odometer the last parameter that can move does, and those after it start again. What is not
        active rests at its first value, so that nothing comes twice.
        """
        if self._move(last):
            self._stand()
        else:
            self.values = None

    def _move(self, last: int) -> bool:
        """One step of the parameters up to place `last`; False if none can move."""
        steps = self._steps
        for slot in self._order[last + 1 :]:
            steps[slot] = 0
        for slot in self._order[last::-1]:
            if self._active[slot] and steps[slot] + 1 < len(self._options[slot]):
                steps[slot] += 1
                return True
            steps[slot] = 0
        return False

    def _stand(self) -> None:
        """Work out the configuration at these steps; go on to the first legal one."""
        while True:
            broken = self._read()
            if broken is None:
                return
            if not self._move(broken):
                self.values = None
                return

    def _read(self) -> int | None:
        """Set the configuration at these steps; or give the earliest place by which it is forbidden."""
        columns, steps = self._columns, self._steps
        raw = [options[step] for options, step in zip(self._options, steps, strict=True)]
        self._active: list[Any] = [True] * len(raw)
        for slot in self._order:
            gate = columns.gates[slot]
            if gate is not None:
                self._active[slot] = bool(columns.holds(gate, raw, self._active))
        ends = [end for rule, end in self._rules if columns.holds(rule, raw, self._active)]
        if ends:
            return min(ends)
        self.values = tuple(
            values[step] if on else INACTIVE
            for values, step, on in zip(self._python, steps, self._active, strict=True)
        )
        return None


def unvaried(space: CompiledSpace, resolution: Resolution, fixed: Mapping[str, Any], count: int) -> list[str]:
    """Parameters with several values that the first `count` configurations keep at one; none at the end."""
    walk = Walk(space, resolution, fixed)
    seen: list[set[object]] = [set() for _ in range(space.size)]
    for _ in range(count):
        if walk.values is None:
            return []
        for found, value in zip(seen, walk.values, strict=True):
            found.add(value)
        walk.advance()
    if walk.values is None:
        return []
    at_one = [len(found) == 1 and INACTIVE not in found for found in seen]
    return [
        key for key, one, several in zip(space.keys, at_one, walk.several(), strict=True) if one and several
    ]


def _raw(space: CompiledSpace, slot: int, count: int, fixed: Any) -> NDArray[Any]:
    """A parameter's raw numbers on the grid, ascending; that of its fixed value, if it has one.

    A value that is fixed by a name which two branches share, and fits this one not, gives way to the default.
    """
    axis, domain = space.columns.axes[slot], space.domains[slot]
    if fixed is _FREE:
        return axis.raw(places(domain, count))
    try:
        return axis.column([domain.admit(fixed)])
    except MisfitError:
        return axis.column([space.defaults[slot]])


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


class _Key(NamedTuple):
    """What a walk depends on, beside the space and the trials so far."""

    resolution: Resolution
    fixed: Mapping[str, Any]
    space_version: int


_FREE: Final = object()  # a parameter that is not fixed
_walks: WeakKeyDictionary[History, tuple[CompiledSpace, _Key, Walk]] = WeakKeyDictionary()  # a cache


def _walk(space: CompiledSpace, history: History, resolution: Resolution) -> Walk:
    kept, wanted = _walks.get(history), _Key(resolution, history.fixed, history.space_version)
    if kept is not None and kept[0] is space and kept[1] == wanted:
        return kept[2]
    walk = Walk(space, resolution, history.fixed)
    _walks[history] = (space, wanted, walk)
    return walk
