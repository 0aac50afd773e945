"""Metrics as plain floats, whatever kind of number the objective had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.errors import StudyError


def as_number(name: str, value: Any) -> float:
    """`value` as a float: an int, a float, or a scalar of NumPy, torch, ... (what has `item()`).

    Raises:
        StudyError: it is no number; the message names the metric.
    """
    if type(value) is float:
        return value
    plain = _item(value)
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        raise StudyError(f"the metric {name!r} must be a number, not {_shown(value)}")
    try:
        return float(plain)
    except OverflowError as error:
        raise StudyError(f"the metric {name!r} is too large for a float") from error


def as_metrics(metrics: Mapping[Any, Any]) -> dict[str, float]:
    """All of `metrics` as floats, under their names; half of a surrogate pair in one is its escape."""
    named = ((str(name).encode("utf-8", "backslashreplace").decode(), metrics[name]) for name in metrics)
    return {name: as_number(name, value) for name, value in named}


def is_number(value: Any) -> bool:
    """Whether `as_number` takes it."""
    plain = _item(value)
    return isinstance(plain, int | float) and not isinstance(plain, bool)


def _item(value: Any) -> Any:
    """A scalar of an array library as Python's own; anything else as it is."""
    if isinstance(value, int | float) or not callable(getattr(value, "item", None)):
        return value
    try:
        return value.item()
    except (TypeError, ValueError, RuntimeError):  # an array or tensor of several elements
        return value


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
