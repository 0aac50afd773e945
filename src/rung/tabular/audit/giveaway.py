"""Whether a score that is too good to be true is one column's: what a fit says of leakage by itself."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rung.tabular.audit.leakage import ALMOST, Power, powers
from rung.tabular.columns import Column, Kind
from rung.tabular.deadline import Deadline
from rung.tabular.metric import Metric
from rung.tabular.names import listed, quoted
from rung.tabular.task import Task

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_NEAR: Final = 0.9  # of the way from a constant to perfection
_ROWS: Final = 2_000  # looked at
_SHOWN: Final = 5  # columns
_FIRST: Final = (Kind.CATEGORY, Kind.DATE, Kind.NUMBER, Kind.TEXT)


def nearly_perfect(metric: Metric, score: float, constant: float) -> bool:
    """Whether a score is nine tenths of the way from a constant's to the best there can be."""
    if metric.best is None or not np.isfinite([score, constant]).all() or constant == metric.best:
        return False
    return (score - constant) / (metric.best - constant) >= _NEAR


def giveaway_notes(
    frame: pd.DataFrame,
    columns: tuple[Column, ...],
    y: NDArray[Any],
    task: Task,
    deadline: Deadline,
) -> list[str]:
    """A sentence that names the columns of which each tells the target almost perfectly by itself, if any.

    Args:
        frame: rows with a target.
        y: (n,) class codes or finite values.
        deadline: columns that are not looked at by then are taken as harmless.
    """
    if task.kind == "quantile":
        return []
    rows = np.sort(np.random.default_rng(0).permutation(len(y))[:_ROWS])
    named = frame.iloc[rows].rename(columns=str)  # names may be numbers
    found: list[Power] = []
    for column in sorted((c for c in columns if c.used), key=lambda c: _FIRST.index(Kind(c.kind))):
        if deadline.passed:
            break
        found += [one for one in powers(named, (column,), y[rows], task) if one.score >= ALMOST]
    if not found:
        return []
    names = [one.column for one in sorted(found, key=lambda one: -one.score)]
    what = f"column {names[0]!r} tells" if len(names) == 1 else f"columns {_listed(names)} each tell"
    rest = shlex.quote(",".join(map(quoted, names)))
    return [
        f"{what} the target almost perfectly alone: what is not known yet when a prediction is made must be "
        f"left out (--drop {rest}), or the score deceives"
    ]


def _listed(names: list[str]) -> str:
    return listed(map(repr, names), "and", _SHOWN)
