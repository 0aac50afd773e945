"""Lines that a fit says on its way, and to whom they go: stderr, or whoever asks for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]


def _to_stderr(line: str) -> None:
    print(f"rung: {line}", file=sys.stderr)


_saying: list[Say] = [_to_stderr]


@contextmanager
def told_to(say: Say) -> Iterator[None]:
    """Progress goes to `say`, a line at a time, instead of to stderr."""
    _saying.append(say)
    try:
        yield
    finally:
        _saying.pop()


def say(line: str) -> None:
    """A line of progress, to whom it goes."""
    _saying[-1](line)
