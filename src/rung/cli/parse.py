"""Lengths of time and shares as people type them."""

from __future__ import annotations

from rung.errors import UserError
from rung.study.durations import seconds


def parse_duration(text: str) -> float:
    """Seconds: `90`, `90s`, `5m`, `1h30m`.

    Raises:
        UserError: it is no length of time, or not a positive one.
    """
    return seconds(text)


def parse_share(text: str, what: str = "share") -> float:
    """A part of a whole, above 0 and below 1: `20%`, `0.2`.

    Raises:
        UserError: it is no share, or none of something, or all of it.
    """
    words = text.strip()
    try:
        value = float(words.removesuffix("%").rstrip()) / (100 if words.endswith("%") else 1)
    except ValueError:
        raise UserError(f"{text!r} is no {what}: write 20% or 0.2") from None
    if not 0 < value < 1:
        hint = f"; did you mean {words}%?" if 1 <= value < 100 and "%" not in words else ""
        raise UserError(f"a {what} of {text} is not between 0% and 100%: write 20% or 0.2{hint}")
    return value


def parse_latency(text: str) -> float:
    """Seconds, of times that are mostly less than one: `1ms`, `50us`, `0.5s`.

    Raises:
        UserError: it is no such time, or not a positive one.
    """
    words = text.strip().lower()
    unit = next((u for u in ("ms", "us", "s") if words.endswith(u)), "")
    try:
        value = float(words.removesuffix(unit)) * {"ms": 1e-3, "us": 1e-6, "s": 1.0}[unit]
    except (ValueError, KeyError):
        raise UserError(f"{text!r} is no time for a row: write 1ms, 50us or 0.5s") from None
    if not 0 < value < float("inf"):
        raise UserError(f"the time for a row must be above 0, not {text}: write 1ms, 50us or 0.5s")
    return value
