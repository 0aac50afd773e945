"""Order among results with several objectives: Pareto fronts, and within a front an epsilon-net."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


def fronts(vectors: Floats) -> Iterator[Ints]:
    """The rows of (n, m), minimised, front by front: those that none left dominates (Deb et al. 2002).

    Every row is in one front; its rows are in the order of the array.
    """
    n = len(vectors)
    nowhere_worse = np.ones((n, n), dtype=bool)  # row than column
    for column in vectors.T:
        nowhere_worse &= column[:, None] <= column
    dominates = nowhere_worse & ~nowhere_worse.T
    dominators = np.count_nonzero(dominates, axis=0)  # of those that are left
    while True:
        front = np.flatnonzero(dominators == 0)
        if not len(front):
            return
        yield front
        dominators -= np.count_nonzero(dominates[front], axis=0)
        dominators[front] = -1


def epsilon_net(vectors: Floats) -> Iterator[int]:
    """The rows of one front (n, m), n > 0, each as far as can be from those before it (Clarkson 2006).

    The first has the least first objective; of rows that are equally far the first comes first.
    """
    chosen = int(np.argmin(vectors[:, 0]))
    distance = np.full(len(vectors), np.inf)  # to the nearest that was chosen
    for _ in range(len(vectors)):
        yield chosen
        squares = ((vectors - vectors[chosen]) ** 2).sum(axis=1).round(12)  # so that ties stay ties
        distance = np.minimum(distance, squares)
        distance[chosen] = -1.0
        chosen = int(np.argmax(distance))


def scaled(vectors: Floats) -> Floats:
    """Each objective's values of (n, m), n > 0, moved and scaled to [0, 1], so that all weigh alike."""
    halves = vectors / 2.0  # so that no range overflows
    low = halves.min(axis=0)
    width = halves.max(axis=0) - low
    even: Floats = (halves - low) / np.where(width > 0.0, width, 1.0)
    return even
