"""Lengths of time as people write them: `90`, `90s`, `5m`, `1h30m`, `2d`."""

from __future__ import annotations

import math
import re

from rung.errors import UserError

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([dhms])")


def seconds(text: str | float) -> float:
    """Seconds that `text` names; a bare number is seconds.

    Raises:
        UserError: it is no length of time, or not a positive one.
    """
    value = float(text) if isinstance(text, int | float) and not isinstance(text, bool) else _parse(str(text))
    if value is None or not math.isfinite(value):
        raise UserError(f"{text!r} is no length of time: write 90, 90s, 5m or 1h30m")
    if value <= 0:
        raise UserError(f"{text} is no time at all: give a length of time above 0, such as 60s")
    return value


def _parse(text: str) -> float | None:
    text = text.strip().lower().replace(" ", "")
    try:
        return float(text)
    except ValueError:
        pass
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    units = [unit for _, unit in parts]
    if sorted(units, key="dhms".index) != units or len(set(units)) != len(units):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def spoken(value: float) -> str:
    """A length of time as people read it: `0.4 s`, `42 s`, `3m 05s`, `1h 30m`."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m"
