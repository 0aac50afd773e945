"""Which tokens there are: by it a guess is told from a token that was never shown here, without a query."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import Connection, select

from rung.service.tables import tokens

EVERY: Final = 3.0  # seconds between two looks
_SLACK: Final = 3600.0  # seconds by which the clocks of processes that make tokens may differ


class TokenIndex:
    """The digests of all tokens that were ever made, those that count no more too. For several threads.

    Args:
        reading: a connection to the tables.
    """

    def __init__(self, reading: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._reading = reading
        self._lock = threading.Lock()
        self._digests: set[str] = set()
        self._newest = 0.0  # when the newest of them was made
        self._looked = -EVERY

    def has(self, digest: str, now: float) -> bool:
        """Whether there is a token of this digest; of one that another process made, within `EVERY` seconds.

        Raises:
            StorageError: the tables cannot be read.
        """
        due = not 0.0 <= now - self._looked < EVERY
        if digest not in self._digests and due and self._lock.acquire(blocking=False):
            try:
                self._looked = now  # first: where the tables cannot be read, not each guess is to try
                self._look()
            finally:
                self._lock.release()
        return digest in self._digests

    def _look(self) -> None:
        query = select(tokens.c.digest, tokens.c.created).where(tokens.c.created >= self._newest - _SLACK)
        with self._reading() as connection:
            for digest, created in connection.execute(query):
                self._digests.add(digest)
                self._newest = max(self._newest, created)
