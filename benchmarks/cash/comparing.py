"""What rows say of systems beside each other at one budget; arithmetic only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from benchmarks.cash.rows import TIES, Row
from benchmarks.cash.systems import SYSTEMS

_SAMPLES: Final = 5_000  # of the bootstrap
_LATE: Final = 1.1  # budgets after which a run is lost in the strict count


class Pair(NamedTuple):
    """rung and another system on one table.

    Attributes:
        mine, theirs: mean scores over the splits that both have, in the metric's own sense; a failed run's is
            the constant's.
        points: 1 rung is better, 0.5 a tie, 0 worse.
        strict: the same, where a run that is late or failed is lost.
    """

    table: str
    metric: str
    mine: float
    theirs: float
    points: float
    strict: float


class Costs(NamedTuple):
    """Of a system's runs: medians; `over` is a mean, `worst` the largest, both in seconds."""

    wall: float
    over: float
    worst: float
    start: float
    peak: float
    size: float
    predict: float
    timed: bool


class Field:
    """All runs at one budget, those of systems without a budget among them."""

    def __init__(self, budget: float, rows: Sequence[Row]) -> None:
        self.budget = budget
        self.rows = [row for row in rows if row.budget in (budget, 0.0)]
        self._by = {(row.system, row.table, row.split): row for row in self.rows}

    @cached_property
    def systems(self) -> list[str]:
        """In the order of the table of systems."""
        there = {row.system for row in self.rows}
        return [name for name in SYSTEMS if name in there] + sorted(there - set(SYSTEMS))

    @cached_property
    def all_tables(self) -> list[str]:
        return sorted({row.table for row in self.rows})

    def tables(self, system: str) -> set[str]:
        """Those that the system was run on."""
        return {row.table for row in self.rows if row.system == system}

    @cached_property
    def common(self) -> list[str]:
        """Tables of which all systems have the same splits; ranks and scales are over these."""
        splits = {
            name: {(row.table, row.split) for row in self.rows if row.system == name} for name in self.systems
        }
        shared = set.intersection(*splits.values()) if splits else set()
        return sorted({name for name, _ in shared})

    def against(self, system: str) -> list[Pair]:
        """rung and this system, table by table."""
        found = []
        for name in self.all_tables:
            splits = self._shared(name, ("rung", system))
            if splits:
                found.append(_pair([(self._by["rung", name, s], self._by[system, name, s]) for s in splits]))
        return found

    def _shared(self, table: str, systems: Iterable[str]) -> list[int]:
        sets = [
            {row.split for row in self.rows if (row.system, row.table) == (system, table)}
            for system in systems
        ]
        return sorted(set.intersection(*sets))

    def interval(self, points: Sequence[float]) -> tuple[float, float]:
        """95 % of the means of bootstrap samples of the tables."""
        rng = np.random.default_rng(0)
        drawn = np.asarray(points)[rng.integers(len(points), size=(_SAMPLES, len(points)))].mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        return float(low), float(high)

    def _losses(self, *, constant: bool = False) -> np.ndarray:
        """(tables, systems) mean losses over the splits that all systems have."""
        found = np.empty((len(self.common), len(self.systems)))
        for i, name in enumerate(self.common):
            splits = self._shared(name, self.systems)
            for j, system in enumerate(self.systems):
                rows = [self._by[system, name, s] for s in splits]
                found[i, j] = np.mean([row.loss(constant=constant) for row in rows])
        return found

    def ranks(self) -> dict[str, float]:
        """Mean over the common tables; of ties within `TIES`, the mean rank."""
        losses = self._losses()
        if not len(losses):
            return {}
        better = losses[:, None, :] < losses[:, :, None] - TIES
        tied = np.abs(losses[:, None, :] - losses[:, :, None]) <= TIES
        ranks = 1 + better.sum(axis=2) + (tied.sum(axis=2) - 1) / 2
        return dict(zip(self.systems, ranks.mean(axis=0).tolist(), strict=True))

    def scaled(self) -> dict[str, float]:
        """0 for the constant, 1 for the best."""
        losses = self._losses()
        return self._scale(losses, self._losses(constant=True).mean(axis=1)) if len(losses) else {}

    def beyond_forest(self) -> dict[str, float]:
        """0 for the random forest, 1 for the best; over the tables where the best is not the forest."""
        if "forest" not in self.systems or not self.common:
            return {}
        losses = self._losses()
        return self._scale(losses, losses[:, self.systems.index("forest")])

    def _scale(self, losses: np.ndarray, zero: np.ndarray) -> dict[str, float]:
        best = losses.min(axis=1)
        telling = zero - best > TIES
        if not telling.any():
            return {}
        scaled = (zero[telling, None] - losses[telling]) / (zero - best)[telling, None]
        means = np.clip(scaled, -1.0, 1.0).mean(axis=0)
        return dict(zip(self.systems, means.tolist(), strict=True))

    def runs(self, system: str) -> int:
        return sum(row.system == system for row in self.rows)

    def failed(self, system: str) -> int:
        return sum(row.system == system and bool(row.failed) for row in self.rows)

    def costs(self, system: str) -> Costs:
        rows = [row for row in self.rows if row.system == system]
        over = [max(0.0, row.wall - row.budget) for row in rows if row.budget]
        return Costs(
            wall=_median(rows, lambda row: row.wall),
            over=float(np.mean(over)) if over else 0.0,
            worst=max(over, default=0.0),
            start=_median(rows, lambda row: row.start),
            peak=_median(rows, lambda row: row.peak_mb),
            size=_median(rows, lambda row: row.size_mb),
            predict=_median(rows, lambda row: row.predict_ms),
            timed=bool(over),
        )


def fields(rows: Sequence[Row]) -> list[Field]:
    """One for each budget that some system was given."""
    return [Field(budget, rows) for budget in sorted({row.budget for row in rows} - {0.0})]


def _pair(runs: Sequence[tuple[Row, Row]]) -> Pair:
    first = runs[0][0]
    gain = float(np.mean([theirs.loss() - mine.loss() for mine, theirs in runs]))
    points = 0.5 if abs(gain) < TIES else float(gain > 0)
    strict = float(np.mean([_strict(mine, theirs) for mine, theirs in runs]))
    lates = [_late(mine) or _late(theirs) for mine, theirs in runs]
    return Pair(
        first.table,
        first.metric,
        float(np.mean([_shown(mine) for mine, _ in runs])),
        float(np.mean([_shown(theirs) for _, theirs in runs])),
        points,
        strict if any(lates) else points,
    )


def _strict(mine: Row, theirs: Row) -> float:
    if _late(mine) != _late(theirs):
        return float(_late(theirs))
    gain = theirs.loss() - mine.loss()
    return 0.5 if abs(gain) < TIES else float(gain > 0)


def _late(row: Row) -> bool:
    return bool(row.failed) or (row.budget > 0 and row.wall > _LATE * row.budget)


def _shown(row: Row) -> float:
    return row.constant if row.score is None else row.score


def _median(rows: Sequence[Row], value: Callable[[Row], float | None]) -> float:
    known = [found for row in rows if (found := value(row)) is not None]
    return float(np.median(known)) if known else float("nan")
