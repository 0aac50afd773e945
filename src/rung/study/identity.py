"""What makes a study this study, and what differs from another that has its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from rung.errors import StudyError, UserError
from rung.trials.events import Identity, Resource

_MOST: Final = 2**53  # up to here every whole number is one in JSON as well


def make_resource(given: object) -> Resource | None:
    """The resource that `("epoch", 1, 81)`, `"epoch:1:81"`, a `Resource` or None stands for.

    Raises:
        StudyError: anything else, or bounds that are no whole numbers with 1 <= smallest <= largest.
    """
    if given is None or isinstance(given, Resource):
        return given
    parts = given.split(":") if isinstance(given, str) else given
    if not isinstance(parts, Sequence) or len(parts) != 3:
        raise StudyError(
            f"resource {given!r} is not understood: write name:smallest:largest, such as epoch:1:81"
        )
    name, low, high = parts
    if not isinstance(name, str) or not name.strip():
        raise StudyError(f"resource {given!r}: {name!r} is no name, such as epoch")
    bounds = [_whole(bound, given) for bound in (low, high)]
    if not 1 <= bounds[0] <= bounds[1]:
        raise StudyError(f"resource {given!r}: the smallest must be at least 1 and at most the largest")
    if bounds[1] > _MOST:
        raise StudyError(f"resource {given!r}: the largest may be {_MOST} at most; count in larger units")
    return Resource(str(name), *bounds)


def _whole(bound: object, given: object) -> int:
    try:
        number = float(bound)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = 0.5
    if number % 1 != 0:  # infinities and NaN included
        raise StudyError(
            f"resource {given!r}: {bound!r} is no whole number; count in smaller units, "
            "as in ('slice', 1, 512) for fractions of the data from 1/512"
        )
    return int(number)


def check_settings(metric: str, mode: str, eta: int, seed: int) -> None:
    """Refuse what no study can have.

    Raises:
        StudyError: naming the setting.
    """
    if not metric or not isinstance(metric, str):
        raise StudyError(f"metric {metric!r} is no name: give the name under which the objective reports it")
    if mode not in ("min", "max"):
        raise StudyError(f"mode {mode!r} is neither 'min' nor 'max'")
    if not isinstance(eta, int) or isinstance(eta, bool) or eta < 2:
        raise StudyError(f"eta {eta!r} is no whole number of at least 2: one in eta trials is promoted")
    if eta > _MOST:
        raise StudyError(f"eta {eta!r} is too large: one in eta trials is promoted, give at most {_MOST}")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise StudyError(f"seed {seed!r} is no whole number")
    if not -(2**63) <= seed < 2**63:
        raise StudyError(f"seed {seed!r} is too large: give one below 2**63")


def check_same(name: str, stored: Identity, asked: Identity) -> None:
    """Refuse to go on with a study under other settings.

    Raises:
        StudyError: the message shows each setting that differs.
    """
    differences = _differences(_as_logged(stored), _as_logged(asked))
    if differences:
        shown = "; ".join(differences[:8]) + ("; ..." if len(differences) > 8 else "")
        other_space = all(line.startswith("space.") for line in differences)
        more = f" (`rung extend {name} --space FILE` changes a study's space)" if other_space else ""
        raise StudyError(
            f"study {name!r} exists with other settings ({shown}): "
            f"use these, or give the new study another name{more}"
        )


def _as_logged(identity: Identity) -> Any:
    """Plain data as it comes back from a log, where tuples are lists."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(identity))


def _differences(stored: Any, asked: Any, path: str = "") -> list[str]:
    if isinstance(stored, Mapping) and isinstance(asked, Mapping):
        keys = [*stored, *(key for key in asked if key not in stored)]
        return [
            line
            for key in keys
            for line in _differences(
                stored.get(key, _ABSENT), asked.get(key, _ABSENT), f"{path}.{key}" if path else key
            )
        ]
    if stored == asked and type(stored) is type(asked):
        return []
    named = _by_name(stored), _by_name(asked)
    if named[0] and named[1]:
        found = _differences(dict(named[0]), dict(named[1]), path)
        return found or [f"{path} were in another order: {', '.join(name for name, _ in named[0])}"]
    return [f"{path} was {_shown(stored)}, now {_shown(asked)}"]


_ABSENT = object()


def _by_name(entries: Any) -> list[tuple[str, Any]]:
    """A list of entries with names (parameters, branches) as pairs; empty if it is none."""
    if not isinstance(entries, list | tuple):
        return []
    if not all(isinstance(entry, Mapping) and "name" in entry for entry in entries):
        return []
    return [(entry["name"], {k: v for k, v in entry.items() if k != "name"}) for entry in entries]


def _shown(value: object) -> str:
    """In a few words: what is long is cut."""
    text = "absent" if value is _ABSENT else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LONGEST: Final = 120


def own_number(value: Any) -> Any:
    """A scalar of NumPy as Python's own; anything else as it is."""
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value


def count(name: str, value: object, least: int = 1) -> int | None:
    """A budget that counts something.

    Raises:
        UserError: it is no whole number of at least `least`.
    """
    value = own_number(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0 or value < least:
        raise UserError(f"{name} must be a whole number of at least {least}, not {value!r}")
    if value > _MOST:
        raise UserError(f"{name} may be {_MOST} at most, not {value!r}: leave it out for no limit")
    return int(value)


def yes(name: str, value: object) -> bool:
    """A setting that is on or off; None is off.

    Raises:
        StudyError: it is neither.
    """
    value = own_number(value)
    if value is not None and not isinstance(value, bool):
        raise StudyError(f"{name} must be True or False, not {value!r}")
    return bool(value)
