"""A rung of asynchronous successive halving: which trials are among the best floor(n / eta) of all results.

A result's key is (value, trial): smaller is better, and of equal values the older trial's. Results of `inf`
(failed trials) only count in n. Everything is O(log n) in the number of results.
"""

from __future__ import annotations

from collections.abc import Set
from heapq import heapify, heappop, heappush, heappushpop

from rung.trials.history import WORST

Key = tuple[float, int]


class TopRung:
    """The best k of all results, where k never falls.

    Two heaps: the best k (turned round, so that the worst of them is at its head) and the rest.
    """

    __slots__ = ("_best", "_rest", "count", "eta", "least")

    def __init__(self, eta: int, least: int = 0) -> None:
        self.eta = eta
        self.least = least  # k is at least this
        self.count = 0  # results, failed ones included
        self._best: list[Key] = []
        self._rest: list[Key] = []

    def add(self, value: float, trial: int) -> None:
        """Take a result in."""
        self.count += 1
        best, rest = self._best, self._rest
        if value < WORST:
            key, turned = (value, trial), (-value, -trial)
            if best and turned > best[0]:
                turned = heappushpop(best, turned)
                key = (-turned[0], -turned[1])
            heappush(rest, key)
        if rest and len(best) < max(self.least, self.count // self.eta):
            value, trial = heappop(rest)
            heappush(best, (-value, -trial))

    def holds(self, value: float, trial: int) -> bool:
        """Whether the result with this key is among the best k."""
        return bool(self._best) and (-value, -trial) >= self._best[0]


class Rung(TopRung):
    """A rung from which trials are promoted to the rung above, at resource `above`.

    A third heap holds what is not promoted yet; its head is promotable if it is among the best k. If
    promotion is `delayed`, no more than k are ever promoted (Li et al. 2022, D-ASHA). Trials that are passed
    over count in n only.
    """

    __slots__ = ("_aside", "_outside", "_waiting", "above", "candidate", "delayed", "promoted")

    def __init__(self, eta: int, above: int, delayed: bool = False) -> None:
        super().__init__(eta)
        self.above = above
        self.delayed = delayed
        self.promoted = 0  # trials
        self._waiting: list[Key] = []
        self._outside: Set[int] = frozenset()
        self._aside: dict[Key, bool] = {}  # results of trials that are passed over, and whether they wait
        self.candidate = -1  # the trial to promote next, or -1

    def add(self, value: float, trial: int) -> None:
        """Take a result in."""
        outside = trial in self._outside
        super().add(WORST if outside else value, trial)
        if value < WORST:
            if outside:
                self._aside[value, trial] = True
            else:
                heappush(self._waiting, (value, trial))
        self._look()

    def pass_over(self, outside: Set[int]) -> None:
        """Promote none of these trials, but those again that were passed over before."""
        waiting = {*self._waiting, *(key for key, waits in self._aside.items() if waits)}
        ranked = sorted([*((-value, -trial) for value, trial in self._best), *self._rest, *self._aside])
        inside = [key for key in ranked if key[1] not in outside]
        best = max(self.least, self.count // self.eta)
        self._best = [(-value, -trial) for value, trial in inside[:best]]
        heapify(self._best)
        self._rest = inside[best:]  # sorted, so each of these is a heap
        self._waiting = [key for key in inside if key in waiting]
        self._outside = outside
        self._aside = {key: key in waiting for key in ranked if key[1] in outside}
        self._look()

    @property
    def best_waiting(self) -> int:
        """The best trial that is not promoted, whether or not it is among the best k; -1 if there is none."""
        return self._waiting[0][1] if self._waiting else -1

    def promote(self, trial: int) -> None:
        """`trial` goes on: it waits here no longer."""
        self.promoted += 1
        waiting = self._waiting
        if waiting and waiting[0][1] == trial:
            heappop(waiting)
        else:  # not the one that the rule names: a log that was written by another rule
            waiting[:] = [key for key in waiting if key[1] != trial]
            heapify(waiting)
            self._aside = {key: waits and key[1] != trial for key, waits in self._aside.items()}
        self._look()

    def _look(self) -> None:
        waiting = self._waiting
        room = not self.delayed or self.promoted < self.count // self.eta
        self.candidate = waiting[0][1] if room and waiting and self.holds(*waiting[0]) else -1
