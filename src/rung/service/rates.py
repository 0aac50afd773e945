"""How often somebody may come: a token bucket for each of them."""

from __future__ import annotations

from typing import Final

_MOST: Final = 50_000  # buckets kept; full ones are nobody's loss


class Rates:
    """A bucket a key, of `burst` drops, filled by `rate` drops a second. For one thread.

    Args:
        rate: per second, above 0.
        burst: how many at once; None: what comes in two seconds, at least 10.
    """

    def __init__(self, rate: float, burst: float | None = None) -> None:
        self.rate = rate
        self.burst = max(10.0, 2 * rate) if burst is None else burst
        self._buckets: dict[str, tuple[float, float]] = {}  # drops, and when

    def _level(self, key: str, now: float) -> float:
        drops, since = self._buckets.get(key, (self.burst, now))
        return min(self.burst, drops + max(0.0, now - since) * self.rate)  # requests overtake each other

    def wait(self, key: str, now: float) -> float:
        """Seconds until there is a drop for `key`; 0: now. Takes none."""
        return max(0.0, (1.0 - self._level(key, now)) / self.rate)

    def take(self, key: str, now: float) -> float:
        """Take a drop if there is one, and return 0; else the seconds until there is."""
        if len(self._buckets) >= _MOST:
            self._forget(now)
        level = self._level(key, now)
        if level < 1.0:
            return (1.0 - level) / self.rate
        _, since = self._buckets.get(key, (0.0, now))
        self._buckets[key] = (level - 1.0, max(now, since))
        return 0.0

    def _forget(self, now: float) -> None:
        """Drop full buckets, which are like new ones; all if there is none."""
        kept = {key: value for key, value in self._buckets.items() if self._level(key, now) < self.burst}
        self._buckets = kept if len(kept) < _MOST else {}
