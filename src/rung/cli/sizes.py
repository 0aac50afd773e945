"""Amounts of memory as people write them: `500MB`, `2GB`, `1.5GiB`."""

from __future__ import annotations

import re

from rung.errors import UserError

_UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?", re.IGNORECASE)


def size(text: str) -> int:
    """Bytes that `text` names; a bare number is bytes.

    Raises:
        UserError: it is no amount of memory, or none at all.
    """
    match = _SIZE.fullmatch(text.strip())
    amount = int(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if amount <= 0:
        raise UserError(f"{text!r} is no amount of memory: write 500MB, 2GB or 1.5GiB")
    return amount


def spoken_size(amount: float) -> str:
    """Bytes as people read them: `512 B`, `1.4 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
