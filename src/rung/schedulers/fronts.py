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
    below: NDArray[np.bool_] = np.all(vectors[:, None, :] <= vectors[None, :, :], axis=2)  # (n, n)
    dominates = below & ~below.T
    dominators = dominates.sum(axis=0)
    left = np.ones(len(vectors), dtype=bool)
    while left.any():
        front = np.flatnonzero(left & (dominators == 0))
        yield front
        left[front] = False
        dominators = dominators - dominates[front].sum(axis=0)


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
