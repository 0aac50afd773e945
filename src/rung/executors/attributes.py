"""Attributes: what an objective or its caller keeps of a trial beside its metrics, as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from rung.errors import StudyError
from rung.trials.events import Recorded

TOPIC: Final = "attributes"  # under which the log keeps them; of two of one name the later one holds
LONGEST: Final = 1 << 16  # characters of one value, as JSON


def attribute(trial: int, name: str, value: Any, now: float) -> Recorded:
    """The event that keeps one attribute of a trial.

    Args:
        name: any text.
        value: None, a bool, a number, text, or lists and mappings of these; scalars and arrays of NumPy or
            torch become numbers and lists.
        now: seconds since the epoch.

    Raises:
        StudyError: the name is no text, or the value is something else or too long.
    """
    if not isinstance(name, str) or not name:
        raise StudyError(f"an attribute's name must be text, not {name!r}")
    kept = _plain(name, value, 0)
    if len(json.dumps(kept, ensure_ascii=False)) > LONGEST:
        raise StudyError(
            f"the attribute {name!r} is longer than {LONGEST:,} characters: "
            "write it to a file and keep the file's name"
        )
    return Recorded(TOPIC, {_text(name): kept}, trial, now)


def _text(text: str) -> str:
    """Text that UTF-8 can write: half of a surrogate pair as its escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _plain(name: str, value: Any, depth: int) -> Any:
    """`value` as what the log has."""
    if value is None or isinstance(value, bool | int | float | str):
        return _single(name, value)
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {_text(str(key)): _plain(name, item, depth + 1) for key, item in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple):
        return [_plain(name, item, depth + 1) for item in value]
    if depth < _DEEPEST and callable(getattr(value, "tolist", None)):  # an array, or a scalar of its library
        return _plain(name, value.tolist(), depth + 1)
    raise StudyError(
        f"the attribute {name!r} holds something of type {type(value).__name__}: it may be None, a bool, "
        "a number, text, or lists and mappings of these"
    )


def _single(name: str, value: bool | int | float | str | None) -> bool | int | float | str | None:
    """Exactly one of these, also of a class that is derived from it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise StudyError(f"the attribute {name!r} holds a number beyond 64 bits: keep it as text")
    return int(value) if isinstance(value, int) else float(value)


_DEEPEST: Final = 16
