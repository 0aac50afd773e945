"""How far two distributions are apart, from counts in the same bins: PSI, and the Kolmogorov-Smirnov test.

The population stability index is the symmetric Kullback-Leibler divergence of the bins' shares, sum of
(q - p) ln(q / p). The rule of thumb, under 0.1 little and over 0.2 (some say 0.25) much, is the credit
scorers': Lewis, "An introduction to credit scoring", 1994; Siddiqi, "Credit risk scorecards", 2006. It
knows no number of rows: without any drift n * m / (n + m) times the index is about chi-squared with one
degree of freedom less than bins (Yurdakul and Naranjo, "Statistical properties of the population stability
index", Journal of Risk Model Validation 14(4), 2020). So few rows reach 0.1 by chance, and here an index
counts only if it is over the 99.9th percentile of that distribution too.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SOME: Final = 0.1
MUCH: Final = 0.2
CERTAIN: Final = 0.001  # probability of as large an index, or as large a distance, by chance
BINS: Final = 10  # that the index is computed of, the rule's own number
_NAMED: Final = 0.02  # share of the cells of both tables, of a level that has a bin of its own
_EXPECTED: Final = 2.0  # its cells in either table without drift: of fewer, chance is not known


class Distance(NamedTuple):
    """How far new cells are from the training table's.

    Attributes:
        psi: the population stability index.
        chance: what it would exceed in one of 1,000 tables without drift; 0 where a single rare level alone
            is too often or too seldom in the new table for that.
        ks: the largest difference of the distribution functions at the ends of the bins; NaN of categories.
        p: the probability of as large a difference by chance (too large, if anything, for it is looked for at
            the ends only); NaN of categories.
    """

    psi: float
    chance: float
    ks: float
    p: float

    @property
    def level(self) -> int:
        """2 much drift, 1 some, 0 none, or none that is certain."""
        if self.psi <= self.chance:
            return 0
        return 2 if self.psi >= MUCH else 1 if self.psi >= SOME else 0


def numbers_apart(old: NDArray[np.int64], new: NDArray[np.int64]) -> Distance:
    """Of counts in ordered bins, (b,) each."""
    psi, chance = psi_of(*_merged(old, new))
    ks, p = kolmogorov_smirnov(old, new)
    return Distance(psi, chance, ks, p)


def levels_apart(
    old: NDArray[np.int64], new: NDArray[np.int64], others: tuple[int, int] = (0, 0)
) -> Distance:
    """Of counts of levels, (l,) each: those with a fiftieth of all cells have a bin each, the rarer ones one
    together. Which they are is told by both tables' cells together, which says nothing of how they are spread
    over the two, so that the choice makes no drift. A rare level has a bin, too, if its cells are spread as
    chance would spread no level's in 999 of 1,000 tables.

    Args:
        others: cells then and now of levels that are not counted one by one; they are with the rare ones.
    """
    both, cells = old + new, max(int(old.sum() + new.sum()) + sum(others), 1)
    share = (int(new.sum()) + others[1]) / cells
    named = (both >= _NAMED * cells) & (both * min(share, 1 - share) >= _EXPECTED)
    odd = ~named & _unlikely(old, new, share)
    own = named | odd
    a, b = (np.r_[x[own], x[~own].sum() + more] for x, more in zip((old, new), others, strict=True))
    kept = (a + b) > 0
    psi, chance = psi_of(a[kept], b[kept])
    return Distance(psi, 0.0 if odd.any() else chance, float("nan"), float("nan"))


def _unlikely(old: NDArray[np.int64], new: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """(l,) whether the new table has more or fewer of a level's cells than chance would give it: binomial
    tails, with Bonferroni's correction for both sides of all levels.
    """
    from scipy.stats import binom

    both = old + new
    tail = np.minimum(binom.cdf(new, both, share), binom.sf(new - 1, both, share))
    return np.asarray(tail * 2 * np.count_nonzero(both) < CERTAIN)


def _merged(old: NDArray[np.int64], new: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """About ten bins of equally many old cells, of the finer ones."""
    if len(old) <= BINS + 2:  # with those beyond the least and the greatest old cell
        kept = (old + new) > 0
        return old[kept], new[kept]
    middle = np.cumsum(old) - old / 2
    groups = np.minimum((middle * BINS / max(int(old.sum()), 1)).astype(int), BINS - 1)
    sums = [np.bincount(groups, weights=x, minlength=BINS) for x in (old, new)]
    kept = (sums[0] + sums[1]) > 0
    return sums[0][kept].astype(np.int64), sums[1][kept].astype(np.int64)


def psi_of(old: NDArray[np.int64], new: NDArray[np.int64]) -> tuple[float, float]:
    """The index, and what it would exceed by chance in one of 1,000; an empty bin counts half a cell."""
    n, m = int(old.sum()), int(new.sum())
    if not n or not m or len(old) < 2:
        return 0.0, 0.0
    p, q = np.maximum(old, 0.5) / n, np.maximum(new, 0.5) / m
    p, q = p / p.sum(), q / q.sum()
    from scipy.stats import chi2

    chance = float(chi2.isf(CERTAIN, len(old) - 1)) * (1 / n + 1 / m)
    return float(((q - p) * np.log(q / p)).sum()), chance


def kolmogorov_smirnov(old: NDArray[np.int64], new: NDArray[np.int64]) -> tuple[float, float]:
    """The statistic and its asymptotic p value, from counts in ordered bins."""
    n, m = int(old.sum()), int(new.sum())
    if not n or not m:
        return 0.0, 1.0
    from scipy.stats import kstwobign

    distance = float(np.abs(np.cumsum(old) / n - np.cumsum(new) / m).max())
    return distance, float(kstwobign.sf(distance * np.sqrt(n * m / (n + m))))
