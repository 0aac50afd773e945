"""Ctrl-C while a model is made of what a search found: the first hurries it, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from rung.tabular.deadline import Hurry
from rung.tabular.saying import say

SOON: Final = 5.0
"""Seconds that are left for the model from the first Ctrl-C on."""
_THREADS: Final = "rung-fit"  # how the names of threads begin that an interrupt does not wait for


@contextmanager
def heeded(hurry: Hurry) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM within hurries, one after that ends: in the main thread, which alone hears.

    Raises:
        KeyboardInterrupt: there is hurry already.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heed(*_: object) -> None:
        if hurry.begun:
            raise KeyboardInterrupt
        hurry.begin(SOON)
        say("interrupted, making a model of what was found; Ctrl-C again stops at once")

    wanted = [signal.SIGINT, signal.SIGTERM]
    earlier = {number: signal.signal(number, heed) for number in wanted}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextmanager
def threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """So many threads, whose work is waited for; but not after Ctrl-C, when it ends with the process."""
    pool = ThreadPoolExecutor(count, thread_name_prefix=_THREADS)
    wait = True
    try:
        yield pool
    except KeyboardInterrupt:
        wait = False
        raise
    finally:
        pool.shutdown(wait=wait, cancel_futures=not wait)


def abandoned() -> bool:
    """Whether work goes on that nobody waits for: Python would do so before it lets a process end."""
    return any(thread.name.startswith(_THREADS) for thread in threading.enumerate())
