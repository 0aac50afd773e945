"""A job's events on their way to the service, which may be away for a while."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from rung.errors import UserError
from rung.service.delivery import Delivery
from rung.service.wire import Word
from rung.trials.events import CheckpointSaved, Event

ROOM: Final = 1000  # events kept; a job that tells more must wait


class Outbox:
    """Brings events to the service in a thread of its own, in order, so that the job need not wait for it.

    Args:
        obey: is told what the service says to each.

    Attributes:
        broken: why nothing is brought any more; None as long as it is.
    """

    def __init__(self, delivery: Delivery, obey: Callable[[Word], None], room: int = ROOM) -> None:
        self._delivery = delivery
        self._obey = obey
        self._room = room
        self._events: deque[tuple[Event, bool]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.broken: UserError | None = None
        self._thread = threading.Thread(target=self._bring, name="rung-outbox", daemon=True)
        self._thread.start()

    def put(self, event: Event, *, leaving: bool = False) -> None:
        """Have it brought; waits while too many others wait."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._events) < self._room or self.broken is not None)
            self._events.append((event, leaving))
            self._changed.notify_all()

    def settle(self, seconds: float | None = None) -> bool:
        """Wait until all has been brought; whether that is so, or never will be."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._events or self.broken is not None, seconds)

    def close(self) -> None:
        """End the thread, once it has brought what it can."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _bring(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._events) or self._closed)
                if not self._events:
                    return
                event, leaving = self._events[0]
                outdated = isinstance(event, CheckpointSaved) and any(
                    isinstance(later, CheckpointSaved) for later, _ in list(self._events)[1:]
                )
            try:
                if outdated:
                    self._delivery.forget(event)  # type: ignore[arg-type]
                else:
                    self._obey(self._delivery.deliver(event, leaving=leaving))
            except UserError as error:
                with self._changed:
                    self.broken = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._events.popleft()
                self._changed.notify_all()
