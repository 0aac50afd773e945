"""Python expressions in lines that are not too long, and literals with double quotes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

WIDTH: Final = 100
_OPEN, _CLOSE = "([{", ")]}"


def quoted(text: str) -> str:
    """A Python literal in double quotes."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\x7f")


def listed(names: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, names))}]"


def laid_out(code: str, indent: int, start: int | None = None) -> str:
    """The expression, its outermost bracket spread over lines where it does not fit into one.

    Args:
        indent: blanks before its lines; the first line stands after `start` characters already.
    """
    if (indent if start is None else start) + len(code) < WIDTH:
        return code
    begin = min((code.find(c) for c in _OPEN if c in code), default=-1)
    if begin < 0 or code[-1] not in _CLOSE:
        return code
    inner = " " * (indent + 4)
    parts = [f"{inner}{_argument(part, indent + 4)},\n" for part in _parts(code[begin + 1 : -1])]
    return f"{code[: begin + 1]}\n{''.join(parts)}{' ' * indent}{code[-1]}"


def _argument(part: str, indent: int) -> str:
    """`name=value` keeps its name in front."""
    name, equals, value = part.partition("=")
    if equals and name.isidentifier():
        return f"{name}={laid_out(value, indent, indent + len(name) + 1)}"
    return laid_out(part, indent)


def _parts(inside: str) -> list[str]:
    """What the commas outside of brackets and strings part."""
    parts, depth, string, begin = [], 0, False, 0
    for place, sign in enumerate(inside):
        if sign == '"' and (place == 0 or inside[place - 1] != "\\"):
            string = not string
        elif string:
            continue
        elif sign in _OPEN + _CLOSE:
            depth += 1 if sign in _OPEN else -1
        elif sign == "," and depth == 0:
            parts.append(inside[begin:place])
            begin = place + 1
    return [part.strip() for part in [*parts, inside[begin:]] if part.strip()]
