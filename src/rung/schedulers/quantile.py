"""A percentile of numbers that come and go one by one: O(log n) for each, on the whole; O(1) to read."""

from __future__ import annotations

import math
from collections import Counter
from heapq import heappop, heappush


class _Heap:
    """Numbers, the smallest at the head; one that is removed from below it goes when it gets there."""

    __slots__ = ("_gone", "_numbers", "_size")

    def __init__(self) -> None:
        self._numbers: list[float] = []
        self._gone: Counter[float] = Counter()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def head(self) -> float:
        return self._numbers[0]

    def push(self, number: float) -> None:
        heappush(self._numbers, number)
        self._size += 1

    def pop(self) -> float:
        self._size -= 1
        number = heappop(self._numbers)
        self._settle()
        return number

    def remove(self, number: float) -> None:
        """Take out one that is among them."""
        self._size -= 1
        self._gone[number] += 1
        self._settle()

    def _settle(self) -> None:
        while self._gone and (head := self.head) in self._gone:
            heappop(self._numbers)
            self._gone[head] -= 1
            if not self._gone[head]:
                del self._gone[head]


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
        self._low = _Heap()
        self._high = _Heap()

    def __len__(self) -> int:
        return len(self._low) + len(self._high)

    def add(self, number: float) -> None:
        """Take a number in; it may be infinite, but not NaN."""
        if self._low and number < -self._low.head:
            self._low.push(-number)
        else:
            self._high.push(number)
        self._balance()

    def remove(self, number: float) -> None:
        """Take out a number that was taken in."""
        if number <= -self._low.head:
            self._low.remove(-number)
        else:
            self._high.remove(number)
        self._balance()

    def value(self) -> float:
        """The percentile; NaN if there are no numbers."""
        if not self._low:
            return math.nan
        low = -self._low.head
        part = self._place() % 1.0
        if part == 0.0 or self._high.head == low:
            return low
        return (1.0 - part) * low + part * self._high.head

    def _balance(self) -> None:
        wanted = min(len(self), math.floor(self._place()) + 1)
        while len(self._low) < wanted:
            self._low.push(-self._high.pop())
        while len(self._low) > wanted:
            self._high.push(-self._low.pop())

    def _place(self) -> float:
        """Where the percentile stands among the sorted numbers, counted from 0."""
        return (len(self) - 1) * (self.percent / 100.0)
