"""Blocks in which neither another thread nor Ctrl-C comes between what is logged and what is folded."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Undisturbed:
    """One thread at a time is inside, and Ctrl-C waits until it has left; may be entered again inside."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock, _interrupt_later():
            yield


@contextmanager
def _interrupt_later() -> Iterator[None]:
    """Only the main thread hears of signals, and only a handler of Python's can wait."""
    earlier = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(earlier):
        yield
        return
    came: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)
        if came:
            earlier(*came[0])
