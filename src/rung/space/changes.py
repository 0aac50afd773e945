"""Configurations of one space read as configurations of another, and completed where something is missing."""

from __future__ import annotations

from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Any, NamedTuple

from rung.space.columns import Active, Columns, Raw
from rung.space.compiled import CompiledSpace
from rung.space.layout import Every, MisfitError, Rule, Some, parents
from rung.space.values import INACTIVE, Values


class Completed(NamedTuple):
    """A configuration, and the keys of parameters whose known value is not in their domain."""

    values: Values
    misfits: tuple[str, ...]


def completed(space: CompiledSpace, known: Mapping[str, Any], otherwise: Values | None = None) -> Completed:
    """The configuration with these values, by key or by name; what is active and not named has its default.

    A value that is not in its domain gives way to the default. What is named and not active, or not in the
    space, is passed over. The configuration may be forbidden.

    Args:
        otherwise: by slot, a value to have in place of the default.
    """
    columns = space.columns
    defaults: Values = space.defaults if otherwise is None else otherwise
    raw: Raw = [0] * space.size
    active: Active = [False] * space.size
    values: list[Any] = [INACTIVE] * space.size
    misfits = []
    for slot in columns.layout.order:
        gate = columns.gates[slot]
        if gate is not None and not columns.holds(gate, raw, active):
            continue
        key = space.keys[slot]
        given = known.get(key, known.get(space.names[slot], _ABSENT))
        values[slot] = defaults[slot]
        if given is not _ABSENT:
            try:
                values[slot] = space.domains[slot].admit(given)
            except MisfitError:
                misfits.append(key)
        raw[slot] = columns.axes[slot].column([values[slot]]).tolist()[0]
        active[slot] = True
    return Completed(tuple(values), tuple(misfits))


def with_fixed(space: CompiledSpace, values: Values, fixed: Mapping[str, Any], drawn: Values) -> Values:
    """The configuration with the values of `fixed`, by key or by name, where these are active.

    Args:
        drawn: by slot, the value of a parameter that becomes active so and is not fixed.
    """
    if not fixed:
        return values
    known = {
        key: value
        for key, name, value in zip(space.keys, space.names, values, strict=True)
        if value is not INACTIVE and key not in fixed and name not in fixed
    }
    return completed(space, {**known, **fixed}, drawn).values


def settled(space: CompiledSpace, fixed: Mapping[str, Any]) -> dict[int, Any]:
    """By slot, the raw numbers of the values of `fixed`, by key or by name, that are in its domain."""
    numbers = {}
    for slot, (key, name) in enumerate(zip(space.keys, space.names, strict=True)):
        given = fixed.get(key, fixed.get(name, _ABSENT))
        if given is not _ABSENT:
            with suppress(MisfitError):
                value = space.domains[slot].admit(given)
                numbers[slot] = space.columns.axes[slot].column([value]).tolist()[0]
    return numbers


def switched_off(space: CompiledSpace, fixed: Mapping[str, Any]) -> set[int]:
    """The slots that are active in no configuration with the values of `fixed`, by key or by name."""
    raw: Raw = [0] * space.size
    known: Active = [False] * space.size
    off: set[int] = set()
    numbers = settled(space, fixed)
    for slot in space.columns.layout.order:
        gate = space.columns.gates[slot]
        if gate is not None and _never(space.columns, gate, (raw, known, off)):
            off.add(slot)
        elif slot in numbers:
            raw[slot], known[slot] = numbers[slot], True
    return off


def _never(columns: Columns, rule: Rule, told: tuple[Raw, Active, set[int]]) -> bool:
    """Whether a rule cannot be true.

    Args:
        told: values by slot, which of them are known, and the slots that are active nowhere.
    """
    raw, known, off = told
    match rule:
        case Every(rules=rules):
            return any(_never(columns, part, told) for part in rules)
        case Some(rules=rules):
            return all(_never(columns, part, told) for part in rules)
    slots = list(parents(rule))
    if off.intersection(slots):
        return True
    return all(known[slot] for slot in slots) and not columns.holds(rule, raw, known)


class Reread(NamedTuple):
    """A configuration of one space read as one of another.

    Attributes:
        inside: whether the other space has it: every parameter that it names, with its value.
        assumed: the names in it that it did not have itself, but by default or because they were given.
    """

    values: Values
    inside: bool
    assumed: frozenset[str]


def reread(
    space: CompiledSpace, config: Mapping[str, Any], given: Mapping[str, Any], assumed: Set[str] = frozenset()
) -> Reread:
    """A configuration of another space, by public names, read as one of `space`.

    Args:
        given: values, by key or name, of what it does not name; else there are the defaults.
        assumed: names in it that it did not have itself. A space without these may still have it.
    """
    names = dict(zip(space.keys, space.names, strict=True))
    missing = {name: value for name, value in given.items() if names.get(name, name) not in config}
    values, misfits = completed(space, {**missing, **config})
    read = {name for name, value in zip(space.names, values, strict=True) if value is not INACTIVE}
    own = config.keys() - assumed
    inside = not misfits and own <= read and bool(space.legal([values])[0])
    return Reread(values, inside, frozenset(read - own))


_ABSENT = object()
