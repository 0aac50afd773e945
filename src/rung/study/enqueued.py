"""Configurations that a user asks for, whole or in part, and the names and values that a space has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from rung.errors import SpaceError
from rung.space.beside import drawn_beside
from rung.space.changes import completed, switched_off
from rung.space.compiled import CompiledSpace
from rung.space.draws import key
from rung.space.layout import MisfitError
from rung.space.values import INACTIVE, Values
from rung.trials.codec import as_kept
from rung.trials.history import History

_DRAWN: Final = 1000  # random ones beside the values asked for: the first in which all of these are active
_STREAM: Final = 53  # apart from other keys made of a study's seed


def asked_configuration(history: History, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration that a user asks for; what it leaves out is drawn at random, beside what is fixed.

    Raises:
        SpaceError: a name or a value is not in the space, or no legal configuration has them.
    """
    space = history.space
    try:
        space.from_mapping(config)
    except SpaceError:
        if not isinstance(config, Mapping):
            raise
        known = {**history.fixed, **config}
        _check_some(space, config, known)
        seed = key(history.identity.seed, _STREAM, history.length) >> 1
        wanted = [_admitted(space, _slots(space, name), value)[0] for name, value in config.items()]
        for values, _ in islice(drawn_beside(space, known, seed), _DRAWN):
            if all(any(values[i] is not INACTIVE for i in slots) for slots in wanted):
                return space.to_mapping(values)
        raise SpaceError(_why_not(space, known, config)) from None
    return as_kept(config)


def unknown_yet(history: History, configs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that the study has neither tried nor enqueued; of one in part a trial has all its values."""
    space = history.space
    known = [*history.values, *(completed(space, config).values for config in history.enqueued)]
    return [config for config in configs if not _among(space, config, known)]


def _among(space: CompiledSpace, config: object, known: Sequence[Values]) -> bool:
    """Whether one of these has a configuration's values, by key or by name."""
    if not isinstance(config, Mapping):  # whoever enqueues it is told so
        return False
    wanted = [_admitted(space, _slots(space, name), value)[0].items() for name, value in config.items()]
    return any(all(any(_key(row[i]) == _key(value) for i, value in of) for of in wanted) for row in known)


def _key(value: object) -> tuple[type, object]:
    """True and 1 are different values."""
    return type(value), value


def _slots(space: CompiledSpace, name: str) -> list[int]:
    return [i for i in range(space.size) if name in (space.keys[i], space.names[i])]


def _why_not(space: CompiledSpace, known: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Why no configuration has these values."""
    off = switched_off(space, known)
    inactive = [name for name in config if off.issuperset(_slots(space, name))]
    if inactive:
        return f"parameter {inactive[0]!r} is not active beside the other values: leave it out"
    return f"no configuration has {dict(config)!r}: the combination is forbidden in this space"


def check_values(space: CompiledSpace, values: Mapping[str, Any]) -> None:
    """Refuse to fix a name that is not in the space, or a value that not all parameters of its name may have.

    Those aside that are active in no configuration with these values.

    Raises:
        SpaceError: naming it.
    """
    for name in values:
        _check_name(space, name, "cannot be fixed")
    wrong = misfits(space, values)
    if wrong:
        raise SpaceError(next(iter(wrong.values())))


def misfits(space: CompiledSpace, values: Mapping[str, Any]) -> dict[str, str]:
    """By name, why a parameter of it cannot have the value, though it may be active beside the others."""
    off = switched_off(space, values)
    found: dict[str, str] = {}
    for name, value in values.items():
        slots = [slot for slot in _slots(space, name) if slot not in off] or _slots(space, name)
        for why in _admitted(space, slots, value)[1]:
            found.setdefault(name, why)
    return found


def _check_some(space: CompiledSpace, config: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse a name that is not in the space, or a value that no parameter of its name may have.

    Args:
        known: all values, of which these are a part: what is active in no configuration with them is aside.

    Raises:
        SpaceError: naming it.
    """
    off = switched_off(space, known)
    for name, value in config.items():
        slots = _check_name(space, name, "cannot be asked for")
        admitted, wrong = _admitted(space, [slot for slot in slots if slot not in off] or slots, value)
        if not admitted:
            raise SpaceError(wrong[0])


def _check_name(space: CompiledSpace, name: str, refused: str) -> list[int]:
    slots = _slots(space, name)
    if not slots:
        raise SpaceError(f"{name!r} {refused}: the space has {', '.join(space.keys)}")
    return slots


def _admitted(space: CompiledSpace, slots: Sequence[int], value: object) -> tuple[dict[int, Any], list[str]]:
    """The value as the parameters at these slots have it, by slot, and why others cannot have it."""
    admitted, wrong = {}, []
    for slot in slots:
        try:
            admitted[slot] = space.domains[slot].admit(value)
        except MisfitError as problem:
            wrong.append(f"parameter {space.keys[slot]!r} {problem}")
    return admitted, wrong
