"""How a search is laid out, from the size of the table and the budget: pure arithmetic, no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rung.tabular.learners.base import Learner
from rung.tabular.learners.table import learners

_CORE = 8.0  # the cost of the core defaults together, LightGBM's being 1: as many seconds should fit, and
_ALL = 2.0  # times that with networks, which more than three folds should leave time for
_MOST_FOLDS = ((1_500, 8), (15_000, 5), (30_000, 3))  # up to so many rows, at most so many folds
_MOST_TRIALS = (
    (100, 10),
    (500, 25),
    (1_500, 60),
    (4_000, 120),
)  # up to so many rows: more overfits the validation
SHORT = 8.0  # seconds of budget below which starting workers does not pay
_START = 1.3  # seconds that workers take to start on an idle machine, and
_PAYS = 1.3  # times the work of one process that several must do to be started
_SMALLEST = 2_000  # rows of the lowest rung
LARGE = 500_000  # rows from which the lowest rungs are lower, and first trials
_FAST = 0.2  # as short as this part of other tables': what comes before them has taken time, and
_HELD = 50_000  # rows are enough for a holdout


@dataclass(frozen=True)
class Scheme:
    """What belongs to the study's identity.

    Attributes:
        folds: 1 is a holdout of `share` of the rows.
        smallest: rows of the lowest rung.
        rungs: by learner, how many of the highest rungs its defaults climb; 1 unless named.
    """

    folds: int
    share: float
    smallest: int
    rungs: Mapping[str, int]


@dataclass(frozen=True)
class Plan:
    """How one session runs.

    Attributes:
        trials: at most so many configurations, None for as many as the time allows.
        workers: processes; 1 is in line.
        certain: the number of trials is what ends the search, not the clock (on an ordinary machine).
    """

    trials: int | None
    workers: int
    certain: bool


def make_scheme(rows: int, width: int, classes: int, budget: float, workers: int) -> Scheme:
    """Folds that the budget can pay, the lowest rung, and where the defaults start."""
    one = learners()["lightgbm"].cost.seconds(rows, width, classes) * _CORE / workers
    folds = _folds(rows, one, budget)
    share = float(np.clip(4_000 / max(rows, 1), min(0.1, _HELD / max(rows, 1)), 0.2))
    smallest, steps = max(rows, 1), 0
    while smallest // 3 >= _SMALLEST and steps < (3 if rows < LARGE else 5):
        smallest, steps = smallest // 3, steps + 1
    rungs = {}
    for name, learner in learners().items():
        seconds = seconds_of(learner, rows, width, classes, folds)
        allowed = _allowed(learner, budget, workers) * (1.0 if rows < LARGE else _FAST)
        top = _rungs(seconds, folds, steps, allowed)
        if top > 1:
            rungs[name] = top
    return Scheme(folds, share, smallest, rungs)


def _allowed(learner: Learner, budget: float, workers: int) -> float:
    """Seconds that a learner's first trial may take: more where it is likely the best and can be cut."""
    usual = 0.1 * budget * workers
    return min(usual * max(1.0, learner.merit / 2), 0.9 * budget) if learner.anytime else usual


def _rungs(seconds: float, folds: int, steps: int, allowed: float) -> int:
    """How many rungs a default climbs, so that its first evaluation takes at most `allowed` seconds."""
    top = 1
    while seconds > allowed and top <= steps:
        seconds /= 3 * folds if top == 1 else 3
        top += 1
    return top


def _folds(rows: int, one: float, budget: float) -> int:
    for limit, most in _MOST_FOLDS:
        if rows <= limit:
            fits = (k for k in (8, 5) if k <= most and _ALL * k * one <= 0.45 * budget)
            return next(fits, 3 if rows < 1_000 or 3 * one <= 0.45 * budget else 1)
    return 1


def make_plan(costs: Sequence[float], rows: int, budget: float, workers: int) -> Plan:
    """How many trials, and where they run.

    Args:
        costs: predicted seconds of each default with all rows, in the order in which they run.
    """
    most = next((count for limit, count in _MOST_TRIALS if rows <= limit), None)
    if budget >= SHORT or most is None:
        local = budget >= SHORT and workers > 1 and sum(costs) > 2.0
        return Plan(most, workers if local else 1, certain=False)
    afford = 0.4 * budget
    spent = np.cumsum(costs)
    count = int(np.searchsorted(spent, afford, side="right"))
    if count == len(spent):
        count += int((afford - spent[-1]) / np.mean(costs))
    return Plan(max(2, min(count, most)), 1, certain=True)


def workers_pay(remaining: float, workers: int, busy: float) -> bool:
    """Whether worker processes do more in the time than this one alone, which has its libraries loaded.

    Args:
        remaining: seconds of the search.
        busy: programs that want each of the machine's cores, ours apart: so much longer a start takes.
    """
    return workers * (remaining - _START * (1.0 + busy)) > _PAYS * remaining


class Default(NamedTuple):
    """A configuration that is tried before the sampler's.

    Attributes:
        rank: among its learner's own.
        seconds: predicted, with all rows.
        first: predicted, at the rung where it starts.
    """

    rank: int
    config: Mapping[str, Any]
    seconds: float
    first: float


def in_order(defaults: Sequence[Default]) -> list[Default]:
    """In the order in which they run: each learner's best first, of these the cheap and the good first."""
    table = learners()
    return sorted(defaults, key=lambda x: (x.rank, x.first**0.5 / table[x.config["learner"]].merit))


def make_defaults(
    chosen: Sequence[Learner], given: Callable[[Learner], Sequence[Mapping[str, Any]]], size: Size
) -> list[Default]:
    """All defaults of these learners (`given` names them), in the order in which they run."""
    found = []
    for learner in chosen:
        seconds, first = cost_of(learner, size)
        found += [Default(rank, config, seconds, first) for rank, config in enumerate(given(learner))]
    return in_order(found)


def cost_of(learner: Learner, size: Size) -> tuple[float, float]:
    """Predicted seconds with all rows, and at the rung where its defaults start."""
    seconds = seconds_of(learner, size.rows, size.width, size.classes, size.scheme.folds)
    first = seconds
    for top in range(1, size.scheme.rungs.get(learner.name, 1)):
        first /= 3 * size.scheme.folds if top == 1 else 3
    return seconds, first


class Size(NamedTuple):
    """How large the problem is, and how it is laid out."""

    rows: int
    width: int
    classes: int
    scheme: Scheme


def seconds_of(learner: Learner, rows: int, width: int, classes: int, folds: int) -> float:
    """Predicted seconds of one evaluation with all rows."""
    share = 1 - 1 / folds if folds > 1 else 0.85
    return folds * learner.cost.seconds(int(rows * share), width, classes)
