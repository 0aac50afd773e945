"""A space as columns: which entries are active, which rows are legal, and rows as values.

Works on raw columns (see `rung.space.axes`), one a slot of the layout; a rule's columns may also be scalars.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.space.axes import Array, Axis, Floats, make_axis
from rung.space.domains import NO_DEFAULT, Choice, Space
from rung.space.layout import Compare, Every, Layout, Literal, Rule, Slot, Some, family, lay_out
from rung.space.values import INACTIVE, Value, Values

Mask = NDArray[np.bool_]
Raw = list[Any]  # by slot, a column of raw numbers
Active = list[Any]  # by slot, a column of bools, or True where the slot always is active

OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "equals": operator.eq,
    "not_equals": operator.ne,
    "less": operator.lt,
    "greater": operator.gt,
    "at_most": operator.le,
    "at_least": operator.ge,
}


class Columns:
    """The compiled rules of a space, beside its axes."""

    def __init__(self, space: Space) -> None:
        self.layout: Layout = lay_out(space)
        self.axes: tuple[Axis, ...] = tuple(make_axis(slot.domain) for slot in self.layout.slots)
        self._tables: dict[tuple[int, int], tuple[Array | None, Array | None]] = {}
        self.gates = tuple(None if gate is None else self._compiled(gate) for gate in self.layout.gates)
        self.forbidden = tuple(self._compiled(rule) for rule in self.layout.forbidden)
        self.defaults = tuple(map(_default, self.layout.slots, self.axes))  # by slot, raw

    # -- rules ----------------------------------------------------------------------------------------

    def _compiled(self, rule: Rule) -> Rule:
        """The rule with raw numbers in place of values."""
        match rule:
            case Literal(slot, "one_of", values):
                return Literal(slot, "one_of", tuple(self.axes[slot].column(list(values)).tolist()))
            case Literal(slot, test, value):
                return Literal(slot, test, self.axes[slot].column([value]).tolist()[0])
            case Compare(left=left, right=right):
                self._tables[left, right] = self._comparable(left, right)
                return rule
            case Every(rules):
                return Every(tuple(map(self._compiled, rules)))
            case Some(rules):
                return Some(tuple(map(self._compiled, rules)))

    def _comparable(self, left: int, right: int) -> tuple[Array | None, Array | None]:
        """Tables from raw numbers to what a relation compares; None where raw numbers are compared."""
        lists = (self.axes[left].values, self.axes[right].values)
        if lists[0] is None or lists[1] is None:
            first, second = (
                None if values is None else np.array(values, dtype=np.float64) for values in lists
            )
            return first, second
        union = {(family(value), value) for values in lists for value in values or ()}
        ranks = {pair: i for i, pair in enumerate(sorted(union, key=_rank))}
        first, second = (np.array([ranks[family(v), v] for v in values or ()]) for values in lists)
        return first, second

    def holds(self, rule: Rule, raw: Raw, active: Active) -> Any:
        """Where the rule is true: a column of bools, or one bool for scalars."""
        match rule:
            case Literal(slot, test, value):
                return active[slot] & _test(raw[slot], test, value)
            case Compare(left, relation, right):
                tables = self._tables[left, right]
                a = raw[left] if tables[0] is None else tables[0][raw[left]]
                b = raw[right] if tables[1] is None else tables[1][raw[right]]
                return active[left] & active[right] & OPERATORS[relation](a, b)
            case Every(rules):
                return reduce(operator.and_, [self.holds(part, raw, active) for part in rules])
            case Some(rules):
                return reduce(operator.or_, [self.holds(part, raw, active) for part in rules])

    def activity(self, raw: Raw) -> Active:
        """By slot, where it is active: a column of bools, or True where it always is."""
        active: Active = [True] * len(raw)
        known: dict[Rule, Any] = {}  # the parameters of one branch share their rule
        for slot in self.layout.order:
            gate = self.gates[slot]
            if gate is not None:
                if gate not in known:
                    known[gate] = self.holds(gate, raw, active)
                active[slot] = known[gate]
        return active

    def legal(self, raw: Raw, active: Active, rows: int) -> Mask:
        """Which rows no forbidden statement meets."""
        legal = np.ones(rows, dtype=np.bool_)
        for rule in self.forbidden:
            legal &= ~self.holds(rule, raw, active)
        return legal

    # -- rows -----------------------------------------------------------------------------------------

    def raw(self, points: Floats) -> Raw:
        """Raw columns of points by column: (d, n) in [0, 1], C order."""
        return [axis.raw(points[j]) for j, axis in enumerate(self.axes)]

    def rows(self, raw: Raw, active: Active) -> list[Values]:
        """The configurations, one a row."""
        columns: list[Any] = []
        for axis, column, mask in zip(self.axes, raw, active, strict=True):
            values: list[Any] = axis.python(column)
            if mask is not True:
                values = [v if on else INACTIVE for v, on in zip(values, mask.tolist(), strict=True)]
            columns.append(values)
        return list(zip(*columns, strict=True))

    def read(self, rows: Sequence[Values]) -> tuple[Raw, list[Mask]]:
        """Raw columns of configurations, zero where not active, and where they are active."""
        raw: Raw = []
        masks: list[Mask] = []
        for axis, column in zip(self.axes, zip(*rows, strict=True), strict=True):
            present: list[Value] = [v for v in column if v is not INACTIVE]
            found = axis.column(present)
            mask = np.ones(len(rows), dtype=np.bool_)
            if len(present) < len(rows):
                mask = np.array([v is not INACTIVE for v in column])
                filled = np.zeros(len(rows), dtype=found.dtype)
                filled[mask] = found
                found = filled
            raw.append(found)
            masks.append(mask)
        return raw, masks

    def encode(self, rows: Sequence[Values]) -> Floats:
        """The configurations in the unit cube: (n, d), NaN where not active."""
        points = np.full((len(rows), len(self.axes)), np.nan)
        if not rows:
            return points
        for j, (axis, column) in enumerate(zip(self.axes, zip(*rows, strict=True), strict=True)):
            present: list[Value] = [v for v in column if v is not INACTIVE]
            if len(present) == len(rows):
                points[:, j] = axis.cube(axis.column(present))
            elif present:
                points[[v is not INACTIVE for v in column], j] = axis.cube(axis.column(present))
        return points


def _test(raw: Any, test: str, value: Any) -> Any:
    if test == "one_of":
        return reduce(operator.or_, [raw == one for one in value], False)
    return OPERATORS[test](raw, value)


def _default(slot: Slot, axis: Axis) -> Any:
    """The raw number of the default: the domain's own, exactly, else what lies at the axis's centre."""
    default: Any = getattr(slot.domain, "default", NO_DEFAULT)
    if default is NO_DEFAULT or (default is None and axis.values is None):
        return axis.raw(np.array([axis.centre]))[0]
    if isinstance(slot.domain, Choice) and default is None:
        return axis.raw(np.array([axis.centre]))[0]
    return axis.column([default])[0]


def _rank(pair: tuple[type, Value]) -> tuple[str, Any]:
    kind, value = pair
    return kind.__name__, 0 if value is None else value
