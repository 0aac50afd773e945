"""A percentile of numbers that come one by one: O(log n) to take one in, O(1) to read."""

from __future__ import annotations

import math
from heapq import heappop, heappush


class RunningPercentile:
    """The percentile of all numbers so far, interpolated linearly between two of them, as numpy does it.

    Two heaps: the smallest of the numbers, up to the one below the percentile (negated, so that the largest
    of them is at its head), and the rest.

    Args:
        percent: from 0 (the smallest) to 100 (the largest); 50 is the median.
    """

    __slots__ = ("_high", "_low", "percent")

    def __init__(self, percent: float) -> None:
        self.percent = percent
        self._low: list[float] = []
        self._high: list[float] = []

    def __len__(self) -> int:
        return len(self._low) + len(self._high)

    def add(self, number: float) -> None:
        """Take a number in; it may be infinite, but not NaN."""
        low, high = self._low, self._high
        if low and number < -low[0]:
            heappush(low, -number)
        else:
            heappush(high, number)
        wanted = math.floor(self._place()) + 1
        while len(low) < wanted:
            heappush(low, -heappop(high))
        while len(low) > wanted:
            heappush(high, -heappop(low))

    def value(self) -> float:
        """The percentile; NaN if there are no numbers."""
        if not self._low:
            return math.nan
        low = -self._low[0]
        part = self._place() % 1.0
        if part == 0.0 or self._high[0] == low:
            return low
        return (1.0 - part) * low + part * self._high[0]

    def _place(self) -> float:
        """Where the percentile stands among the sorted numbers, counted from 0."""
        return (len(self) - 1) * (self.percent / 100.0)
