"""Waking those who wait: streams of events and workers that ask for jobs."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Signals:
    """A bell that any thread may ring, and coroutines wait for.

    A ring while nobody waits is not lost: `wait` returns at once if it rang since the number given.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None
        self.number = 0
        self.ending = False  # the service ends: whoever waits is to go

    def attach(self) -> None:
        """From here on the running event loop is the one that is woken."""
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Something changed. May be called from any thread."""
        self.number += 1
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with suppress(RuntimeError):  # closed in between
                loop.call_soon_threadsafe(self._wake)

    def end(self) -> None:
        """The service ends: wake everybody for the last time."""
        self.ending = True
        self.ring()

    def _wake(self) -> None:
        if self._event is not None:
            self._event.set()
            self._event = asyncio.Event()

    async def wait(self, since: int, timeout: float) -> int:
        """Until it rings after number `since`, or `timeout` seconds have passed; returns the number now."""
        if self.number == since and self._event is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._event.wait(), timeout)
        return self.number

    async def rest(self, seconds: float) -> None:
        """Let a burst of rings pass."""
        await asyncio.sleep(seconds)
