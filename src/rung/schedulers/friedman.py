"""Which of several candidates are worse than the best, from blocks in which each was measured once.

Conover 1999 (Practical Nonparametric Statistics, 5.8), as Birattari et al. 2002 give it: Friedman's test on
the ranks within each block, ties sharing the mean of theirs; if it tells a difference, every candidate is
compared with the best by rank sums. Of two candidates, as there, Wilcoxon's signed ranks decide: exactly up
to 50 blocks, with ties too, beyond by the normal approximation.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXACT: Final = 50  # blocks up to which Wilcoxon's distribution is counted out


def worse(values: Floats, alpha: float) -> NDArray[np.bool_]:
    """(n,) which candidates are worse than the best at level `alpha`; `values` (blocks, n), less is better.

    The best is the one with the least rank sum; it is never worse.
    """
    blocks, n = values.shape
    if n == 2:
        return _worse_of_two(values[:, 0] - values[:, 1], alpha)
    sums, spread, statistic = friedman(ranks(values))
    nobody = np.zeros(n, dtype=bool)
    if blocks < 2 or n < 2 or not statistic:
        return nobody
    from scipy.special import chdtrc, stdtrit  # 0.2 s to import, for races only

    if chdtrc(n - 1, statistic) > alpha:
        return nobody
    freedom = (blocks - 1) * (n - 1)
    within = max(0.0, 1.0 - statistic / (blocks * (n - 1)))  # 0 if all blocks rank alike
    width = float(stdtrit(freedom, 1 - alpha / 2)) * math.sqrt(2 * blocks * within * spread / freedom)
    found: NDArray[np.bool_] = sums - sums.min() > width * (1 + 1e-12)
    return found


def ranks(values: Floats) -> Floats:
    """Ranks within each row of (blocks, n), from 1; equal values share the mean of theirs."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    places = np.arange(values.shape[1])
    differs = ordered[:, 1:] != ordered[:, :-1]
    edge = np.ones((len(values), 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.hstack([edge, differs]), places, 0), axis=1)
    ends = np.where(np.hstack([differs, edge]), places, places[-1])
    last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    found = np.empty(values.shape)
    np.put_along_axis(found, order, (first + last) / 2.0 + 1.0, axis=1)
    return found


def friedman(ranked: Floats) -> tuple[Floats, float, float]:
    """Of ranks (blocks, n): rank sums (n,), their squares' excess over no difference, Friedman's statistic.

    The statistic is 0 if all are equal in each block.
    """
    blocks, n = ranked.shape
    sums = ranked.sum(axis=0)
    spread = float((ranked**2).sum()) - blocks * n * (n + 1) ** 2 / 4
    if spread <= 0.0:
        return sums, 0.0, 0.0
    return sums, spread, (n - 1) * float(((sums - blocks * (n + 1) / 2) ** 2).sum()) / spread


def wilcoxon(differences: Floats) -> tuple[float, float]:
    """Wilcoxon's signed ranks of paired differences (n,), none of them 0.

    Returns:
        The sum of the ranks of those above 0, less that of those below; and its two-sided p-value.
    """
    ranked = ranks(np.abs(differences)[None, :])[0]
    signed = float((np.sign(differences) * ranked).sum())
    if len(ranked) > EXACT:
        return signed, math.erfc(abs(signed) / math.sqrt(2.0 * float((ranked**2).sum())))
    doubled = (2.0 * ranked).astype(int)  # whole numbers
    whole = int(doubled.sum())
    ways = np.zeros(whole + 1)  # by the doubled sum of ranks above 0
    ways[0] = 1.0
    for rank in doubled:
        ways[rank:] += ways[: whole + 1 - rank].copy()
    above = round((whole + 2.0 * signed) / 2.0)
    tail = ways[: min(above, whole - above) + 1].sum() / ways.sum()
    return signed, min(1.0, 2.0 * float(tail))


def _worse_of_two(differences: Floats, alpha: float) -> NDArray[np.bool_]:
    """(2,) which of two candidates is worse, from the first's values less the second's."""
    found = np.zeros(2, dtype=bool)
    differences = differences[differences != 0.0]
    if len(differences):
        signed, chance = wilcoxon(differences)
        found[0 if signed > 0.0 else 1] = chance <= alpha
    return found
