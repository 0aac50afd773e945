"""What was found out about tokens, so that a request need not ask the tables each time."""

from __future__ import annotations

import threading
from typing import Final

from rung.service.access import Seen

_MOST: Final = 20_000  # tokens, wrong ones too


class TokenMemory:
    """What was found out about tokens, by digest, each until a time; at most `_MOST`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[Seen, float]] = {}

    def get(self, digest: str, now: float) -> Seen | None:
        found = self._seen.get(digest)
        return None if found is None or found[1] <= now else found[0]

    def put(self, digest: str, seen: Seen, until: float) -> None:
        with self._lock:
            if len(self._seen) >= _MOST:
                self._seen.clear()
            self._seen[digest] = (seen, until)

    def was_good(self, digest: str) -> bool:
        """Whether it was somebody's when it was last looked at."""
        found = self._seen.get(digest)
        return found is not None and found[0].principal is not None

    def clear(self) -> None:
        """Look again at all of them."""
        with self._lock:
            self._seen = {digest: (seen, 0.0) for digest, (seen, _) in self._seen.items()}
