"""What is computed from rows: curves of regret, scores on the way, ranks with ties, pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiments.rows import Row

Floats = NDArray[np.float64]

POINTS: Final = 20  # of the budget, at which a search is looked at
_FLOOR: Final = 1e-3  # of a problem's first incumbents: less regret than that is not told apart


class Place(NamedTuple):
    """Searches that may be compared: the same problem in the same setting, but for the seed."""

    problem: str
    workers: int
    budget: float
    seconds: float | None
    variant: str

    @property
    def title(self) -> str:
        many = f", {self.workers} workers" if self.workers > 1 else ""
        return f"{self.problem}{many}{', ' if self.variant else ''}{self.variant}"


def place_of(row: Row) -> Place:
    return Place(row.problem, row.workers, row.budget, row.seconds, row.variant)


def places(rows: Iterable[Row]) -> dict[Place, dict[str, dict[int, Row]]]:
    """By place and system: the rows of each seed."""
    found: dict[Place, dict[str, dict[int, Row]]] = {}
    for row in rows:
        found.setdefault(place_of(row), {}).setdefault(row.system, {})[row.seed] = row
    return found


def floor_of(rows: Iterable[Row]) -> float:
    """The regret of a problem below which all counts as the same."""
    firsts = [row.points[0][3] - row.optimum for row in rows if row.points]
    return max(_FLOOR * float(np.median(firsts)), 1e-12) if firsts else 1e-12


def score(row: Row, floor: float, worst: float) -> float:
    """The mean over the budget of the logarithm (base 10) of the incumbent's regret; `worst` before any."""
    parts = []
    for point in range(1, POINTS + 1):
        regret = row.regret(row.budget * point / POINTS)
        parts.append(math.log10(max(worst if regret is None else regret, floor)))
    return float(np.mean(parts))


def scores(systems: Mapping[str, Mapping[int, Row]]) -> dict[str, dict[int, float]]:
    """Of all searches of a place, by system and seed."""
    rows = [row for seeds in systems.values() for row in seeds.values()]
    floor = floor_of(rows)
    worst = max([row.points[0][3] - row.optimum for row in rows if row.points] or [1.0])
    return {
        name: {seed: score(row, floor, max(worst, floor)) for seed, row in seeds.items()}
        for name, seeds in systems.items()
    }


def ranks(found: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """The rank of each system, 1 the best: one and as many as are better, half for each that is level.

    Two are compared on the seeds that both have. They are level where the mean of their differences lies
    within its standard error (of one seed: where they are equal), or where no seed is common.
    """
    names = list(found)
    return {
        one: 1.0 + sum(_behind(found[one], found[other]) for other in names if other != one) for one in names
    }


def _behind(mine: Mapping[int, float], other: Mapping[int, float]) -> float:
    """1 if the other is better, 0 if it is worse, a half if they are level."""
    common = sorted(mine.keys() & other.keys())
    if not common:
        return 0.5
    differences = np.array([mine[seed] - other[seed] for seed in common])
    error = differences.std(ddof=1) / math.sqrt(len(common)) if len(common) > 1 else 0.0
    mean = float(differences.mean())
    return 0.5 if abs(mean) <= max(float(error), 1e-9) else float(mean > 0)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile."""
    low, middle, high = np.quantile(np.asarray(values, dtype=float), (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def regrets(rows: Sequence[Row], moments: Sequence[float], clock: bool) -> Floats:
    """(seeds, moments) regrets when so much was spent, or at moments of virtual time; nan before any."""
    found = [[row.regret_at(m) if clock else row.regret(m) for m in moments] for row in rows]
    return np.array([[math.nan if value is None else value for value in one] for one in found])


def moments(end: float, begin: float, count: int = 40) -> list[float]:
    """Evenly spread in logarithm."""
    return [float(value) for value in np.geomspace(max(begin, end * 1e-4), end, count)]
