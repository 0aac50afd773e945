"""Rows set aside from the very start, to score the model on once it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from rung.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from rung.tabular.task import Task

    Array: TypeAlias = npt.NDArray[Any]


class Split(NamedTuple):
    """Positions of rows, each array ascending: (n - h,) and (h,)."""

    train: Array
    held: Array


def split_holdout(y: Array, task: Task, share: float, seed: int) -> Split:
    """Hold out `share` of the rows: of each class alike, or, for numbers, of each tenth of the target's
    range alike.

    A class keeps at least one row to learn from, and gives at least one to the holdout if it has two or more.

    Args:
        y: class codes or values, (n,).
        share: above 0, below 1.

    Raises:
        DataError: the table is too small for that.
    """
    n = len(y)
    if n * share < 1 or n * (1 - share) < 2:
        raise DataError(
            f"a holdout of {share:.0%} of {n} rows leaves too few on one side; hold out another share or none"
        )
    groups = np.asarray(y, dtype=np.int64) if task.is_classification else _tenths(np.asarray(y))
    rng = np.random.default_rng([seed, 1])
    held = np.sort(
        np.concatenate([_some(np.flatnonzero(groups == g), share, rng) for g in np.unique(groups)])
    )
    return Split(np.setdiff1d(np.arange(n), held), held)


def _some(rows: Array, share: float, rng: np.random.Generator) -> Array:
    """A share of these rows at random, at least one and not all; none of a single row."""
    if len(rows) < 2:
        return rows[:0]
    count = min(max(round(share * len(rows)), 1), len(rows) - 1)
    return np.asarray(rng.permutation(rows)[:count])


def _tenths(y: Array) -> Array:
    """The tenth of the sorted values that each value lies in: (n,) of 0..9, fewer parts for a small table."""
    parts = max(1, min(10, len(y) // 10))
    ranks = np.empty(len(y), dtype=np.int64)
    ranks[np.argsort(y, kind="stable")] = np.arange(len(y))
    return ranks * parts // len(y)
