"""Which results a model is fitted to where it cannot have all: one rule for the samplers with regressions."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

MOST: Final = 1000  # results among which the spread out are looked for


def kept_rows(losses: Floats, most: int, x: Floats | None = None) -> Ints:
    """Which `most` of n results, in the order they came: positions, ascending; all if they are not more.

    Half are the best, where it must be told which is better. A quarter are the latest, which nothing is known
    around otherwise when the search has just moved. The rest are there so that the model does not think well
    of what was found bad long ago: they come evenly from those between, or, for a model whose cost does not
    allow many, are spread out over `x`, each the farthest from all taken before.

    Args:
        losses: (n,).
        x: (n, k) columns of numbers, and of codes.
    """
    n = len(losses)
    if n <= most:
        return np.arange(n)
    taken = np.zeros(n, dtype=np.bool_)
    taken[np.argsort(losses, kind="stable")[: most // 2]] = True
    taken[n - most // 4 :] = True
    left = np.flatnonzero(~taken)
    more = most - int(taken.sum())
    taken[_evenly(left, more) if x is None else _far(x, taken, _evenly(left, MOST), more)] = True
    return np.flatnonzero(taken)


def _evenly(rows: Ints, count: int) -> Ints:
    """Up to `count` of these, from the first to the last."""
    if count >= len(rows):
        return rows
    return rows[np.linspace(0, len(rows) - 1, count).astype(np.intp)]


def _far(x: Floats, taken: NDArray[np.bool_], rows: Ints, count: int) -> Ints:
    """`count` of `rows`, one after the other the farthest from all that are taken by then."""
    distance = cdist(x[rows], x[taken], "sqeuclidean").min(axis=1)
    found = np.zeros(count, dtype=np.intp)
    for i in range(count):
        farthest = int(distance.argmax())
        found[i] = rows[farthest]
        np.minimum(distance, np.square(x[rows] - x[found[i]]).sum(axis=1), out=distance)
        distance[farthest] = -1.0
    return found
