"""The grid of a space: its distinct legal configurations at a resolution, by number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from rung.errors import SpaceError
from rung.space.axes import Axis
from rung.space.columns import Columns
from rung.space.layout import parents
from rung.space.values import Values

State = tuple[Any, ...]  # what later decisions read: (raw number, active) of some slots


class Grid(Sequence[Values]):
    """The distinct legal configurations of a grid, in order, without listing them.

    A numeric parameter has at most `resolution` values, evenly spread on its scale with both ends (or the
    centre alone), every other parameter all of its values; a parameter that is not active has none. Parents
    come before what depends on them, otherwise the order is that of declaration; the last parameter
    changes fastest.

    Args:
        resolution: for all numeric parameters, or by name or key (5 for those not named).
        fixed: by slot, the raw number that is its only one.

    Raises:
        SpaceError: a resolution below 1, or of a parameter that is not there.
    """

    def __init__(
        self,
        columns: Columns,
        resolution: int | Mapping[str, int] = 5,
        fixed: Mapping[int, Any] = MappingProxyType({}),
    ) -> None:
        self._columns = columns
        self._order = columns.layout.order
        wanted = _resolutions(columns, resolution)
        self._options = [
            [fixed[slot]] if slot in fixed else _options(axis, wanted[slot])
            for slot, axis in enumerate(columns.axes)
        ]
        place = {slot: p for p, slot in enumerate(self._order)}
        ends = [max(place[slot] for slot in parents(rule)) for rule in columns.forbidden]
        self._checks = [
            [rule for rule, end in zip(columns.forbidden, ends, strict=True) if end == p]
            for p in range(len(self._order))
        ]
        self._live = _live(columns, place, ends)
        self._counts: dict[tuple[int, State], int] = {(len(self._order), ()): 1}

    @property
    def size(self) -> int:
        """How many configurations there are; `len` is the same but fails above 2**63."""
        return self._count(0, ())

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Values]:
        return (self[i] for i in range(self.size))

    def __getitem__(self, number: Any) -> Any:
        """Configuration `number`; negative numbers count from the end, slices give lists."""
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(self.size))]
        if not -self.size <= number < self.size:
            raise IndexError(f"the grid has {self.size} configurations; there is no number {number}")
        left = number % self.size
        state: State = ()
        chosen: list[Any] = [None] * len(self._order)
        for p, slot in enumerate(self._order):
            for option, after in self._steps(p, state):
                below = self._count(p + 1, after)
                if left < below:
                    chosen[slot], state = option, after
                    break
                left -= below
        raw = [np.array([0 if r is None else r]) for r in chosen]
        active = [np.array([r is not None]) for r in chosen]
        return self._columns.rows(raw, active)[0]

    def _count(self, p: int, state: State) -> int:
        """Configurations of the slots from place `p` on, given what they read of those before."""
        counts, wanted = self._counts, [(p, state)]
        while wanted:  # by hand, as a space may have more parameters than Python's stack has room
            node = wanted[-1]
            if node in counts:
                wanted.pop()
                continue
            below = [(node[0] + 1, after) for _, after in self._steps(*node)]
            missing = [other for other in below if other not in counts]
            if missing:
                wanted.extend(missing)
            else:
                counts[node] = sum(counts[other] for other in below)
        return counts[p, state]

    def _steps(self, p: int, state: State) -> Iterator[tuple[Any, State]]:
        """The options at place `p` (None: not active) that nothing forbids, and the states after them."""
        slot, columns = self._order[p], self._columns
        raw: list[Any] = [0] * len(self._order)
        active: list[Any] = [False] * len(self._order)
        for known, value in zip(self._live[p], state, strict=True):
            if value is not None:
                raw[known], active[known] = value, True
        gate = columns.gates[slot]
        on = gate is None or columns.holds(gate, raw, active)
        for option in self._options[slot] if on else (None,):
            raw[slot], active[slot] = 0 if option is None else option, option is not None
            if not any(columns.holds(rule, raw, active) for rule in self._checks[p]):
                yield option, tuple(raw[s] if active[s] else None for s in self._live[p + 1])


def _live(columns: Columns, place: Mapping[int, int], ends: Sequence[int]) -> list[list[int]]:
    """By place, the slots before it that a gate or a forbidden rule from there on reads."""
    last = dict.fromkeys(place, -1)  # the last place that reads a slot
    for slot, gate in enumerate(columns.gates):
        for parent in parents(gate):
            last[parent] = max(last[parent], place[slot])
    for rule, end in zip(columns.forbidden, ends, strict=True):
        for parent in parents(rule):
            last[parent] = max(last[parent], end)
    return [[s for s in place if place[s] < p <= last[s]] for p in range(len(place) + 1)]


def _resolutions(columns: Columns, resolution: int | Mapping[str, int]) -> list[int]:
    slots = columns.layout.slots
    if not isinstance(resolution, Mapping):
        resolution = {slot.key: resolution for slot in slots}
    unknown = set(resolution) - {name for slot in slots for name in (slot.key, slot.name)}
    if unknown:
        raise SpaceError(f"the grid's resolution names {sorted(unknown)[0]!r}, which is not in the space")
    wanted = [resolution.get(slot.key, resolution.get(slot.name, 5)) for slot in slots]
    for slot, r in zip(slots, wanted, strict=True):
        if isinstance(r, bool) or not isinstance(r, int) or r < 1:
            raise SpaceError(
                f"the grid's resolution for {slot.key!r} must be a whole number from 1, not {r!r}"
            )
    return wanted


def _options(axis: Axis, resolution: int) -> list[Any]:
    """The raw numbers of a parameter on the grid, without repeats."""
    if axis.values is not None:
        return list(range(len(axis.values)))
    if axis.count is not None and axis.count <= resolution:
        return list(axis.every().tolist())
    x = np.linspace(0.0, 1.0, resolution) if resolution > 1 else np.array([0.5])
    return list(np.unique(axis.raw(x)).tolist())
