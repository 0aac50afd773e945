"""Functional analysis of variance over a random forest: Hutter, Hoos, Leyton-Brown 2014 (ICML).

A forest is fitted to the losses. Each of its trees is a function that is constant on boxes, so that the mean
over all other parameters (Algorithm 1 and equation 4) is an exact sum over its leaves, and so is the
variance: nothing is sampled. A parameter's importance is the share of the tree's variance that its own
marginal has, averaged over the trees.

What the paper leaves open:

- The measure is even on the unit cube: a logarithmic parameter counts by orders of magnitude, every value
  of a list alike. Trees split a list of values by its order.
- A parameter that is not always active: the function is taken not to depend on it where it isn't. A forest
  is fitted in each region (`rung.analysis.regions`), and marginals are put together from the regions'. So
  the importance of `momentum` is what it makes of the *whole* variance, small if few configurations have it.
- Failed trials have the worst value. Values far out (more than three interquartile ranges above the upper
  quartile) are drawn in to there: one diverged training would otherwise be all the variance there is.
- A tree is grown on a bootstrap sample of all results, or of `SAMPLE` of them, drawn anew for each, so that
  the cost is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.analysis.regions import Region
from rung.models.forest import Tree, as_points, fit_forest

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TREES: Final = 32
SAMPLE: Final = 1500
GRID: Final = 24  # cells along a side on which pairs are looked at
FEW: Final = 48  # values of a column that have a cell each there


class Leaves(NamedTuple):
    """The leaves of one tree: boxes (m, k) of the unit cube, and what the tree says in each (m,)."""

    low: Floats
    high: Floats
    value: Floats


class Shares(NamedTuple):
    """Shares of the variance, by tree.

    Attributes:
        single: (trees, k) of each column alone.
        pair: (trees, k, k) of two columns together beyond each alone; empty if not asked for.
    """

    single: Floats
    pair: Floats


def fanova(
    regions: Sequence[Region], losses: Floats, numbers: Ints, seed: int = 0, pairs: bool = False
) -> Shares:
    """Importance of each column.

    Args:
        losses: (n,) finite, by row of the regions' `rows`.
        numbers: (k,) how many values of equal width each column has, 0 for a continuum.

    Returns:
        Trees that are constant are left out.
    """
    forests = [_forest(region.points, losses[region.rows], numbers, seed, len(regions)) for region in regions]
    single, pair = [], []
    for trees in zip(*forests, strict=True):
        parts = [_Part(region, tree) for region, tree in zip(regions, trees, strict=True)]
        mean, total = _moments(parts)
        if total > 1e-12 * (mean * mean + total):
            single.append(_alone(parts, mean) / total)
            if pairs:
                pair.append(_together(parts, mean, numbers) / total)
    k = len(numbers)
    return Shares(np.array(single).reshape(-1, k), np.array(pair).reshape(-1, k, k))


def drawn_in(losses: Floats) -> Floats:
    """Losses without far outliers; failed ones (`inf`) have the worst value of the others."""
    sound = losses[np.isfinite(losses)]
    low, high = np.quantile(sound, [0.25, 0.75])
    fence = high + 3.0 * (high - low) if high > low else sound.max()
    worst = min(sound.max(), fence)
    failed = worst if sound.min() < worst else worst + 1.0  # also where only failing makes a difference
    found: Floats = np.where(np.isfinite(losses), np.minimum(losses, worst), failed)
    return found


# -- trees --------------------------------------------------------------------------------------------------


def _forest(points: Floats, losses: Floats, numbers: Ints, seed: int, parts: int) -> list[Leaves]:
    """The trees of a forest fitted to one region; smaller samples where there are many regions."""
    rng = np.random.default_rng(seed)
    inputs, most = as_points(points), max(200, SAMPLE // parts)
    trees = []
    for own in rng.integers(2**31, size=TREES).tolist():
        rows = rng.permutation(len(points))[:most]
        (tree,) = fit_forest(inputs[rows], losses[rows], seed=own, trees=1, best_splits=True).trees
        trees.append(leaves_of(tree, numbers))
    return trees


def leaves_of(tree: Tree, numbers: Ints) -> Leaves:
    """The leaves of a tree; thresholds between values of equal width are moved to their border."""
    left, right, feature = tree.left, tree.right, tree.feature
    threshold = np.clip(tree.threshold, 0.0, 1.0)
    m = np.where(feature >= 0, numbers[np.maximum(feature, 0)], 0)
    threshold = np.where(m > 0, np.floor(threshold * m + 0.5) / np.maximum(m, 1), threshold)
    low, high = np.zeros((len(left), len(numbers))), np.ones((len(left), len(numbers)))
    level = np.array([0])
    while len(level := level[left[level] >= 0]):  # nodes that are split, one depth after another
        for children, bounds in ((left[level], high), (right[level], low)):
            low[children], high[children] = low[level], high[level]
            bounds[children, feature[level]] = threshold[level]
        level = np.concatenate([left[level], right[level]])
    ends = left < 0
    return Leaves(low[ends], high[ends], tree.mean[ends])


class _Part:
    """A tree's leaves in a region, and the weight of each.

    Attributes:
        width: (m, k) the share of the region that each leaf has along each column.
        weight: (m,) the share of the region that each leaf has.
    """

    def __init__(self, region: Region, leaves: Leaves) -> None:
        self.region, self.leaves = region, leaves
        width = np.empty_like(leaves.low)
        for j in range(width.shape[1]):
            width[:, j] = region.below(j, leaves.high[:, j]) - region.below(j, leaves.low[:, j])
        self.width = width
        self.weight: Floats = width.prod(axis=1)
        self.mean = float(self.weight @ leaves.value)

    def without(self, *columns: int) -> Floats:
        """(m,) the leaves' values by their share of the region with `columns` left aside."""
        others = np.delete(self.width, columns, axis=1)
        weighted: Floats = others.prod(axis=1) * self.leaves.value
        return weighted


def _moments(parts: Sequence[_Part]) -> tuple[float, float]:
    """Mean and variance over the whole space."""
    mean = sum(part.region.share * part.mean for part in parts)
    total = sum(part.region.share * float(part.weight @ (part.leaves.value - mean) ** 2) for part in parts)
    return mean, total


# -- marginals ----------------------------------------------------------------------------------------------


def _alone(parts: Sequence[_Part], mean: float) -> Floats:
    """(k,) the variance of each column's marginal."""
    return np.array([_variance(parts, j, mean) for j in range(parts[0].width.shape[1])])


def _variance(parts: Sequence[_Part], j: int, mean: float) -> float:
    """The variance of column j's marginal, a step function; exact."""
    borders = [part.leaves.low[:, j] for part in parts if part.region.active[j]]
    cells = [len(w) for part in parts if (w := part.region.weights[j]) is not None]
    borders += [np.linspace(0.0, 1.0, number + 1) for number in cells]
    edges = np.unique(np.concatenate([*borders, np.array([0.0, 1.0])]))
    if len(edges) < 3:
        return 0.0
    width = np.diff(edges)
    value, density = np.zeros(len(width)), np.zeros(len(width))
    for part in parts:
        share = part.region.share * _along(part, j, edges) / width
        value += share * (_marginal(part, j, edges) if part.region.active[j] else part.mean)
        density += share
    covered = density > 0.0
    deviation = np.where(covered, value / np.where(covered, density, 1.0) - mean, 0.0)
    return float((width * density) @ deviation**2)


def _along(part: _Part, j: int, edges: Floats) -> Floats:
    """The share of the part's region between each two `edges`; evenly spread where j is not active."""
    if part.region.active[j]:
        return np.diff(part.region.below(j, edges))
    return np.diff(edges)


def _marginal(part: _Part, j: int, edges: Floats) -> Floats:
    """The tree's mean over all columns but j, between each two `edges`, which hold all its borders."""
    weighted, leaves = part.without(j), part.leaves
    steps = np.zeros(len(edges))
    np.add.at(steps, np.searchsorted(edges, leaves.low[:, j]), weighted)
    np.subtract.at(steps, np.searchsorted(edges, leaves.high[:, j]), weighted)
    return np.cumsum(steps)[:-1]


def _together(parts: Sequence[_Part], mean: float, numbers: Ints) -> Floats:
    """(k, k) the variance of each two columns' marginal beyond that of each alone, on a grid of cells."""
    edges = [np.linspace(0.0, 1.0, (n if 0 < n <= FEW else GRID) + 1) for n in numbers.tolist()]
    k = len(numbers)
    found = np.zeros((k, k))
    inside = [[_overlap(part, j, edges[j]) for j in range(k)] for part in parts]
    for i in range(k):
        for j in range(i + 1, k):
            value, density = np.zeros((2, len(edges[i]) - 1, len(edges[j]) - 1))
            for part, overlap in zip(parts, inside, strict=True):
                left, right = overlap[i], overlap[j]
                value += part.region.share * (left.T * part.without(i, j)) @ right
                density += part.region.share * np.outer(
                    np.diff(part.region.below(i, edges[i])), np.diff(part.region.below(j, edges[j]))
                )
            covered = density > 0.0
            deviation = np.where(covered, value / np.where(covered, density, 1.0) - mean, 0.0)
            found[i, j] = found[j, i] = _interaction(deviation, density)
    return found


def _overlap(part: _Part, j: int, edges: Floats) -> Floats:
    """(m, cells) the share of the region along column j that a leaf and a cell have in common."""
    low = np.maximum(part.leaves.low[:, [j]], edges[:-1])
    high = np.maximum(np.minimum(part.leaves.high[:, [j]], edges[1:]), low)
    return part.region.below(j, high) - part.region.below(j, low)


def _interaction(deviation: Floats, density: Floats) -> float:
    """The variance of a function on a grid beyond that of its rows' and its columns' means."""
    total = float((density * deviation**2).sum())
    for axis in (0, 1):
        weight = density.sum(axis=axis)
        means = (density * deviation).sum(axis=axis) / np.where(weight > 0.0, weight, 1.0)
        total -= float(weight @ means**2)
    return max(0.0, total)
