"""Bringing requests to their studies: all that wait for one study are worked off, and made durable, together.

What a study is asked and told is answered only when it is in the log. One commit for each request would have
the next wait for the disk each time; so while one batch is written the next gathers, and the busier a study
is, the more requests share a commit.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from rung.service.hosting import HostedStudy

_T = TypeVar("_T")
_THREADS: Final = 16  # so many studies are worked on at once
_SLICE: Final = 0.01  # seconds of deciding, after which those whose turn was are answered

_Request = tuple[Callable[[], Any], "asyncio.Future[Any]"]
_Outcome = tuple["asyncio.Future[Any]", Any, BaseException | None]


class Desks:
    """One queue for each study that is asked something now. Used from one event loop.

    Args:
        now: the clock, seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._waiting: dict[HostedStudy, deque[_Request]] = {}
        self._pool = ThreadPoolExecutor(_THREADS, "desk")

    async def do(self, study: HostedStudy, call: Callable[[], _T]) -> _T:
        """What `call`, which asks or tells `study` something, returns, once that is in the log.

        Raises:
            StorageError: it could not be written: it did not happen.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        with self._lock:
            queue = self._waiting.get(study)
            if queue is not None:
                queue.append((call, future))
            else:
                self._waiting[study] = deque([(call, future)])
        if queue is None:
            self._pool.submit(self._work, study, loop)
        result: _T = await future
        return result

    def _work(self, study: HostedStudy, loop: asyncio.AbstractEventLoop) -> None:
        """Answer a batch of those that wait for the study; for the rest it is another's turn first."""
        with self._lock:
            queue = self._waiting[study]
            batch, self._waiting[study] = queue, deque()
        outcomes, rest = self._answered(study, batch)
        loop.call_soon_threadsafe(_deliver, outcomes)
        with self._lock:
            self._waiting[study].extendleft(reversed(rest))
            more = bool(self._waiting[study])
            if not more:
                del self._waiting[study]
        if more:
            self._pool.submit(self._work, study, loop)

    def _answered(self, study: HostedStudy, queue: deque[_Request]) -> tuple[list[_Outcome], deque[_Request]]:
        """What came of the first requests, and those for which there was no time."""
        outcomes: list[_Outcome] = []
        until = time.monotonic() + _SLICE
        try:
            with study.together(self._now()):
                while queue and (not outcomes or time.monotonic() < until):
                    call, future = queue.popleft()
                    outcomes.append(_outcome(call, future))
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody may be left waiting
            if not outcomes:
                outcomes = [(future, None, error) for _, future in queue]
                queue.clear()
            outcomes = [(future, None, error) for future, _, _ in outcomes]
        return outcomes, queue

    def close(self) -> None:
        """Answer those who wait, then take no more."""
        self._pool.shutdown()


def _outcome(call: Callable[[], Any], future: asyncio.Future[Any]) -> _Outcome:
    try:
        return future, call(), None
    except Exception as error:  # noqa: BLE001  # it concerns this request, and not its neighbours
        return future, None, error


def _deliver(outcomes: Iterable[_Outcome]) -> None:
    """Wake those who wait, unless they have gone away."""
    for future, value, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)
