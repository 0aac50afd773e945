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
        check_values(space, config, "cannot be asked for")
        seed = key(history.identity.seed, _STREAM, history.length) >> 1
        known = {**history.fixed, **config}
        for values, _ in islice(drawn_beside(space, known, seed), _DRAWN):
            if all(any(values[i] is not INACTIVE for i in _slots(space, name)) for name in config):
                return space.to_mapping(values)
        raise SpaceError(_why_not(space, known, config)) from None
    return as_kept(config)


def unknown_yet(history: History, configs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that the study has neither tried nor enqueued; of one in part a trial has all its values."""
    space = history.space
    known = [*history.values, *(completed(space, config).values for config in history.enqueued)]
    return [config for config in configs if not _among(space, config, known)]


def _among(space: CompiledSpace, config: Mapping[str, Any], known: Sequence[Values]) -> bool:
    """Whether one of these has a configuration's values, by key or by name."""
    try:
        wanted = [
            [(slot, space.domains[slot].admit(value)) for slot in _slots(space, name)]
            for name, value in config.items()
        ]
    except (MisfitError, AttributeError):  # it is none: whoever enqueues it is told so
        return False
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


def check_values(space: CompiledSpace, values: Mapping[str, Any], refused: str) -> None:
    """Refuse a name or a value that is not in the space, whatever is active.

    Raises:
        SpaceError: naming it.
    """
    for name, value in values.items():
        slots = _slots(space, name)
        if not slots:
            raise SpaceError(f"{name!r} {refused}: the space has {', '.join(space.keys)}")
        for slot in slots:
            try:
                space.domains[slot].admit(value)
            except MisfitError as problem:
                raise SpaceError(f"parameter {space.keys[slot]!r} {problem}") from None
