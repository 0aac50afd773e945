"""PED-ANOVA: importance from how the best results are distributed, in closed form (Watanabe, Bansal, Hutter
2023, IJCAI).

What is decomposed is the variance of "this trial is among the best": with the density p of the parameter
among all trials and q among the best ones, who are a share g of all, a parameter's importance is the Pearson
divergence g^2 * integral of (q / p - 1)^2 p (equation 11, Algorithm 1). No model is fitted: the cost is that
of a histogram, whatever the number of trials.

What the paper leaves open:

- Densities are histograms of `CELLS` cells on the unit cube, smoothed by a Gaussian kernel that is cut off at
  the ends; a parameter with fewer values has a cell for each, and a list's are not smoothed but counted with
  one more of each.
- p and q are smoothed alike, or they would differ wherever trials lie unevenly: the kernel's width is Scott's
  for the best ones, and what is added to their counts is spread as p is.
- A parameter that is not always active, in a share a of the trials: its densities are those among the
  trials that have it, and g is the share of the best among them. The variance is that times a^2, so that it
  stands for the whole study. That a branch is taken at all counts for the choice alone.
- Failed trials are none of the best, and count otherwise.
- The spread is that of `RESAMPLES` bootstrap samples of the trials.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CELLS: Final = 50
BEST: Final = 0.1  # the share of the trials that are "the best", of 100 or more
LEAST: Final = 10  # so many are at least, or half of them all
RESAMPLES: Final = 20


def ped_anova(points: Floats, losses: Floats, levels: Ints, numbers: Ints, seed: int = 0) -> Floats:
    """(1 + RESAMPLES, k) the variance that each column explains: as it is, then of each bootstrap sample.

    Args:
        points: (n, k) in the unit cube, NaN where not active.
        losses: (n,) smaller is better, `inf` for failed trials.
        levels: (k,) categories of each column, 0 for what has an order.
        numbers: (k,) how many values of equal width each column has, 0 for a continuum.
    """
    best = is_best(losses)
    n = len(losses)
    rng = np.random.default_rng(seed)
    times = np.ones((1 + RESAMPLES, n))
    for row in times[1:]:
        row[:] = np.bincount(rng.integers(n, size=n), minlength=n)
    columns = [
        _explained(points[:, j], best, times, int(levels[j]), int(numbers[j])) for j in range(points.shape[1])
    ]
    return np.array(columns).T.reshape(1 + RESAMPLES, points.shape[1])


def is_best(losses: Floats) -> NDArray[np.bool_]:
    """(n,) the best tenth, but at least 10, or half of fewer than 20; of equal losses the older ones."""
    n = len(losses)
    count = max(int(np.ceil(BEST * n)), min(LEAST, n // 2))
    best = np.zeros(n, dtype=bool)
    best[np.argsort(losses, kind="stable")[:count]] = True
    return best & np.isfinite(losses)


def _explained(x: Floats, best: NDArray[np.bool_], times: Floats, levels: int, number: int) -> Floats:
    """The variance that one column explains, for each row of `times` (s, n): how often each trial counts."""
    has = ~np.isnan(x)
    if not has.any():
        return np.zeros(len(times))
    cells = number if 0 < number <= CELLS else CELLS
    cell = np.minimum((x[has] * cells).astype(np.int64), cells - 1)
    every, top = times[:, has], times[:, has] * best[has]
    p, q = _densities(
        np.stack([np.bincount(cell, row, cells) for row in every]),
        np.stack([np.bincount(cell, row, cells) for row in top]),
        levels,
    )
    ours, total = every.sum(axis=1), times.sum(axis=1)
    share = top.sum(axis=1) / np.maximum(ours, 1.0)  # of the best, among those that have it
    divergence = ((q / p - 1.0) ** 2 * p).sum(axis=1)
    return np.asarray((ours / total) ** 2 * share**2 * divergence)


def _densities(every: Floats, top: Floats, levels: int) -> tuple[Floats, Floats]:
    """Probabilities p and q above 0, from counts of all trials and of the best; each (s, cells)."""
    if not levels:
        kernels = np.stack([_kernel(row) for row in top])
        every, top = (np.einsum("sc,scd->sd", counts, kernels) for counts in (every, top))
    each = 1.0 if levels else 1e-3
    added = each * every.shape[1]
    p = (every + each) / (every.sum(axis=1, keepdims=True) + added)
    q = (top + added * p) / (top.sum(axis=1, keepdims=True) + added)
    return p, q


def _kernel(counts: Floats) -> Floats:
    """(cells, cells) a Gaussian around each cell, of Scott's width, cut off at the ends; rows sum to 1."""
    cells = len(counts)
    centres = (np.arange(cells) + 0.5) / cells
    n = max(counts.sum(), 1.0)
    mean = counts @ centres / n
    deviation = np.sqrt(max(counts @ (centres - mean) ** 2 / n, 0.0))
    width = max(1.06 * min(deviation, 0.3) * n**-0.2, 0.5 / cells)
    kernel = np.exp(-0.5 * ((centres - centres[:, None]) / width) ** 2)
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))
