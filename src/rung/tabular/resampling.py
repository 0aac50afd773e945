"""Over- and under-sampling for rare classes, of the rows that a fit is given, and of no others.

Class sizes are brought halfway to the same in logarithms, as balanced weights are: a class with a hundredth
of the largest one's rows has a tenth of them afterwards. What that does to the classes' shares is taken out
of the probabilities again (Elkan 2001, "The foundations of cost-sensitive learning", theorem 2; Dal Pozzolo
et al. 2015, "Calibrating probability with undersampling for unbalanced classification", equation 4); which
of them makes a label is learned by the metric, as always.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_MORE: Final = 1.0  # rows that over-sampling may add, as a share of those that are there


class Resampled(NamedTuple):
    """Which rows to fit on, in their order, some perhaps several times.

    Attributes:
        rows: (m,) places among the n rows.
        odds: (k,) by which a class's probability is multiplied before they are made to sum to 1 again.
    """

    rows: NDArray[np.intp]
    odds: NDArray[np.float64]


def resample(
    way: str, codes: NDArray[np.intp], weight: NDArray[np.float64] | None, seed: int
) -> Resampled | None:
    """The rows that are left of common classes (`under`), or are repeated of rare ones (`over`).

    Args:
        codes: (n,) of classes 0 to k - 1, each of which is there.
        weight: (n,) of the rows, None if they count the same; it decides on `odds` only.

    Returns:
        None for another way, and where all classes have as many rows as they should.
    """
    counts = np.bincount(codes)
    wanted = _wanted(way, counts)
    if wanted is None or (wanted == counts).all():
        return None
    rng = np.random.default_rng([seed, 97])
    rows = np.sort(np.concatenate([_drawn(rng, codes == c, int(wanted[c])) for c in range(len(counts))]))
    before = np.bincount(codes, weights=weight)
    after = np.bincount(codes[rows], weights=None if weight is None else weight[rows], minlength=len(counts))
    odds = before / np.maximum(after, 1e-300)
    return Resampled(rows, odds / odds.max())


def corrected(probabilities: NDArray[np.float64], odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities (n, k) of a fit on resampled rows, as they are with the classes' own shares."""
    found = probabilities * odds
    return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-300))


def _wanted(way: str, counts: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """Rows of each class: (k,)."""
    if way == "under":
        return np.asarray(np.ceil(np.sqrt(counts * float(counts.min()))), dtype=np.intp)
    if way == "over":
        more = np.floor(np.sqrt(counts * float(counts.max()))) - counts
        allowed = MOST_MORE * counts.sum()
        return np.asarray(counts + np.floor(more * min(1.0, allowed / max(more.sum(), 1.0))), dtype=np.intp)
    return None


def _drawn(rng: np.random.Generator, own: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
    """`count` of a class's rows: each as often as any other, but for one."""
    rows = np.flatnonzero(own)
    whole, rest = divmod(count, len(rows))
    return np.concatenate([np.tile(rows, whole), rng.choice(rows, rest, replace=False)])
