"""Ctrl-C while a cell is derived: by trying, which can take long, it ends with what it has decided."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

from rung.nas.devices import world


class Heard(Exception):  # noqa: N818  # what happened
    """Ctrl-C, while something was tried: it is not to be finished."""


class Hearing:
    """Says whether there is time to try another, until it is interrupted.

    Attributes:
        interrupted: whether Ctrl-C was heard.
    """

    def __init__(self, more: Callable[[], bool]) -> None:
        self._more = more
        self.interrupted = False

    def __call__(self) -> bool:
        """Whether another may begin."""
        return not self.interrupted and self._more()

    def interrupt(self, *_: object) -> None:
        """As a signal's handler: the first is heard, one after that ends the search at once.

        Raises:
            KeyboardInterrupt: it was interrupted before.
        """
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    @contextmanager
    def cutting(self, net: nn.Module) -> Iterator[None]:
        """Within, a pass of a network after the interruption raises `Heard`; its mode is kept."""

        def check(*_: object) -> None:
            if self.interrupted:
                raise Heard

        training, handle = net.training, net.register_forward_pre_hook(check)
        try:
            yield
        finally:
            handle.remove()
            net.train(training)


@contextmanager
def hearing(more: Callable[[], bool]) -> Iterator[Hearing]:
    """Within, Ctrl-C and SIGTERM end the trying and nothing else: in the main thread, which alone hears them.

    Of several processes that search together none hears, for all have to try the same.
    """
    found = Hearing(more)
    if world() > 1 or threading.current_thread() is not threading.main_thread():
        yield found
        return
    earlier = {number: signal.signal(number, found.interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield found
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
