"""How fast a core is while a search runs: processor seconds of a piece of work that is always the same.

Processor seconds leave out the time for which others have the core, but not that a core is slower while
its twin is busy and its caches are others': with other work on the machine a decision takes two to four
times as many. Divided by what this work took meanwhile, seconds of different hours can be compared.
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np

QUIET: Final = 0.0023  # processor seconds of the work on a core that nothing disturbs
_EVERY: Final = 1.0  # real seconds between two looks, at least: a hundredth of the time at most
_VALUES: Final = np.random.default_rng(0).random(10_000)


class Pace:
    """Looks at the pace now and then, as a search tells that it goes on.

    Attributes:
        looks: processor seconds that the work took each time.
    """

    def __init__(self) -> None:
        self.looks: list[float] = []
        self._next = 0.0

    def look(self) -> None:
        """Take the work's time, unless the last look was less than a second ago."""
        if time.monotonic() < self._next:
            return
        _work()  # for caches that others filled
        began = time.process_time()
        _work()
        self.looks.append(time.process_time() - began)
        self._next = time.monotonic() + _EVERY

    def mean(self) -> float | None:
        """Processor seconds of the work, on average of the looks; None without any."""
        return float(np.mean(self.looks)) if self.looks else None


def _work() -> float:
    """Half of it Python's own steps, half NumPy's, neither in several threads."""
    total = 0.0
    for i in range(20_000):
        total += i * 0.5
    for _ in range(12):
        total += float(np.sort(np.exp(_VALUES)).sum())
    return total
