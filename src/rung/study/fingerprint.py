"""A fingerprint of an objective's code, so that a change between two sessions is noticed."""

from __future__ import annotations

import functools
import hashlib
import inspect
from types import CodeType
from typing import Any

from rung.executors.command import Command


def fingerprint(objective: Any) -> str | None:
    """Sixteen hexadecimal digits of the source, or of the bytecode where there is no source; else None."""
    while isinstance(objective, functools.partial):
        objective = objective.func
    if isinstance(objective, Command):  # what it runs, not how
        return hashlib.sha256(repr(objective).encode()).hexdigest()[:16]
    code = getattr(objective, "__code__", None)
    try:
        text = inspect.getsource(objective if code is not None else type(objective)).encode()
    except (OSError, TypeError):
        if code is None:
            return None
        text = _bytecode(code)
    return hashlib.sha256(text).hexdigest()[:16]


def _bytecode(code: CodeType) -> bytes:
    """What a function does, without the addresses that the code of functions inside it is shown with."""
    constants = (c if isinstance(c, CodeType) else repr(c).encode() for c in code.co_consts)
    parts = [code.co_code, repr(code.co_names).encode()]
    return b";".join([*parts, *(_bytecode(c) if isinstance(c, CodeType) else c for c in constants)])
