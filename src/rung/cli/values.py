"""Which values of a command line need no reading: for the others Typer loads pydantic, which takes long."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

_READ: Final = (int, float, bool)


def spare_reading(params: Iterable[Any]) -> None:
    """Have a command's parameters read only what must be read: a number, a choice, a path that was typed.

    Args:
        params: as Typer makes them; those of a version that reads all values by itself stay as they are.
    """
    for param in params:
        if hasattr(param, "get_runtime_param"):
            param.get_runtime_param = _Sparing(param.get_runtime_param).itself


class _Sparing:
    """Typer's reader of one parameter, loaded when there is something to read."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load

    def itself(self) -> _Sparing:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value that a command is called with.

        Args:
            value: what was typed, what the environment has, or the default; None: nothing of all these.
        """
        if param.nargs == 1 and not param.multiple:
            if _is_read(value, param):
                return value
            if _is_count(value, param):
                return int(value)
        return self._load().coerce(value, param=param, ctx=ctx)


def _is_read(value: Any, param: Any) -> bool:
    """Whether a value is what the command asks for."""
    if value is None:
        return True
    if isinstance(value, str):
        return param.type_descriptor.annotation is str
    return type(value) in _READ and value is param.default


def _is_count(value: Any, param: Any) -> bool:
    """Whether a value is a whole number as it is mostly written, and one that the command takes."""
    known = param.type_descriptor
    if (
        known.annotation is not int
        or not isinstance(value, str)
        or re.fullmatch(r"[0-9]{1,15}", value) is None
    ):
        return False
    least, most = known.parameter_info.min, known.parameter_info.max
    return (least is None or int(value) >= least) and (most is None or int(value) <= most)
