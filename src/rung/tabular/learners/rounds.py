"""How many rounds boosting gets, and how its learning rate follows from the time there is."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.learners.base import ASIDE, Setting
from rung.tabular.splits import make_split

SMALL = 300  # rows below which nothing is set aside to stop early
TRAVEL = 15.0  # learning rate times rounds that a fit usually needs
FASTEST = 0.25  # learning rate up to which it is raised where the time is short
PART = 0.7  # of the time that is left is what a fit should take: how many rounds it needs is a guess


class Portion(NamedTuple):
    """Some rows: (n, d), (n,), and (n,) weights or None."""

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    weight: NDArray[np.float64] | None


class Course(NamedTuple):
    """What to boost on: `rounds` of them, or where rows are set aside at most so many."""

    train: Portion
    valid: Portion | None
    rounds: int


def course(
    X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting, rate: float, most: int
) -> Course:
    """Rounds known from the first fold, few for few rows, else early stopping on rows that are set aside.

    The rows set aside are of the training part: the fold that scores stays unseen.
    """
    whole = Portion(X, y, setting.weight)
    rounds = int(setting.known.get("rounds", 0)) or (int(4 / rate) if len(y) < SMALL else 0)
    if rounds:
        return Course(whole, None, rounds)
    if setting.aside is None:
        aside = make_split(y, setting.classes, 1, ASIDE, setting.seed).folds >= 0
    else:
        aside = setting.aside & ~_kept(y, setting.aside) if setting.classes else setting.aside
    return Course(_some(whole, ~aside), _some(whole, aside), most)


def _kept(y: NDArray[np.float64], aside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Every other row of the classes of which all rows are set aside, as late ones may be: they can only be
    learned from these, and looked at in the others.
    """
    kept = np.zeros(len(y), dtype=bool)
    for lacking in np.setdiff1d(y[aside], y[~aside]):
        kept[np.flatnonzero(y == lacking)[::2]] = True
    return kept


def _some(rows: Portion, which: NDArray[np.bool_]) -> Portion:
    weight = None if rows.weight is None else rows.weight[which]
    return Portion(rows.X[which], rows.y[which], weight)


def patience(rate: float) -> int:
    """Rounds without a gain after which boosting ends."""
    return int(np.clip(6 / rate, 30, 120))


def paced(rate: float, rounds: int, each: float, setting: Setting, travel: float = TRAVEL) -> float:
    """The learning rate at which the rounds that it needs fit into the time; `each` is one round's seconds.

    A booster that is cut off early is of no use; one that learns in larger steps is nearly as good.
    """
    if not math.isfinite(setting.deadline.end):
        return rate
    wanted = min(rounds, int(travel / rate))
    fit_in = max(PART * setting.deadline.remaining / max(each, 1e-9), 1.0)
    return rate if fit_in >= wanted else min(rate * wanted / fit_in, max(FASTEST, rate))
