"""A fingerprint of an objective's code, so that a change between two sessions is noticed."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any


def fingerprint(objective: Any) -> str | None:
    """Sixteen hexadecimal digits of the source, or of the bytecode where there is no source; else None."""
    code = getattr(objective, "__code__", None)
    try:
        text = inspect.getsource(objective if code is not None else type(objective)).encode()
    except (OSError, TypeError):
        if code is None:
            return None
        text = code.co_code + repr(code.co_consts).encode()
    return hashlib.sha256(text).hexdigest()[:16]
