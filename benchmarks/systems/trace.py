"""What a system knew at each moment of a search, and how good it truly was: the same rule for all systems."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from benchmarks.problems import Problem
from benchmarks.systems.pace import Pace


class Trace:
    """The incumbents of one search.

    The incumbent is the configuration with the least observed value at the largest resource that gave any.

    Attributes:
        points: [resource spent, virtual seconds, observed, true] at each change of the incumbent.
        evaluations: results so far.
        spent, now: resource and virtual seconds at the last result.
        deciding: processor seconds that the system took to decide, in one thread; what else runs is not in it
        pace: how fast the core was meanwhile
    """

    def __init__(self, problem: Problem) -> None:
        self.points: list[tuple[float, float, float, float]] = []
        self.evaluations = 0
        self.full = 0  # results at the largest resource
        self.spent = 0.0
        self.now = 0.0
        self.deciding = 0.0
        self.pace = Pace()
        self._problem = problem
        self._resource = 0
        self._observed = float("inf")

    def result(
        self, config: Mapping[str, Any], resource: int, observed: float, spent: float, now: float
    ) -> None:
        """One value was seen, at `now`, when `spent` of the resource had been used in all."""
        self.pace.look()
        self.evaluations += 1
        self.full += resource >= self._problem.largest
        self.spent, self.now = spent, now
        if not isfinite(observed) or resource < self._resource:
            return
        if resource > self._resource or observed < self._observed:
            self._resource, self._observed = resource, observed
            true = self._problem.true(config)
            self.points.append((spent, now, observed, true))
