"""Random forests that know how sure they are: Hutter, Hoos, Leyton-Brown 2011 (SMAC), section 4.1.

Each tree is grown on a bootstrap sample. The prediction is the mean over the trees; its variance is, by the
law of total variance, the mean of the leaves' variances plus the variance of the leaves' means (Hutter, Xu,
Hoos, Leyton-Brown 2014, section 4.3.2).

The trees are scikit-learn's, grown one by one (its forests add threads and checks that cost more than a
small tree). A split is the best one, or the best of one random threshold for each feature (Geurts, Ernst,
Wehenkel 2006), which is smoother and three times as fast to grow. Nothing here draws from a global generator:
the same data and seed give the same forest.

A missing feature, such as an inactive parameter, is a number outside the range of the others (`MISSING` in
the unit cube), so that one split tells where it is active. Categories are codes in the order of
declaration, as in SMAC.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Points = NDArray[np.float32]
Ints = NDArray[np.int64]

MISSING: Final = -1.0  # what stands for a NaN


class Tree(NamedTuple):
    """One tree as arrays with an entry a node, the root first, parents before their children.

    Attributes:
        left, right: (nodes,) the child where `feature` is at most `threshold`, and the other; -1 at a leaf.
        feature: (nodes,) column of the points that is split; -2 at a leaf.
        threshold: (nodes,) where.
        mean, variance: (nodes,) of the targets there.
        weight: (nodes,) how many targets, each as often as it was drawn.
        walk: scikit-learn's own tree, whose `apply` leads points (n, k) of float32 to their leaves.
    """

    left: Ints
    right: Ints
    feature: Ints
    threshold: Floats
    mean: Floats
    variance: Floats
    weight: Floats
    walk: Any


class Forest(NamedTuple):
    """Trees over k features."""

    trees: tuple[Tree, ...]

    def predict(self, points: Points) -> tuple[Floats, Floats]:
        """Mean and variance at `points` (n, k), as `as_points` makes them; (n,) each."""
        means = np.empty((len(self.trees), len(points)))
        within = np.zeros(len(points))
        for tree, row in zip(self.trees, means, strict=True):
            leaves = tree.walk.apply(points)
            np.take(tree.mean, leaves, out=row)
            within += tree.variance[leaves]
        mean = means.mean(axis=0)
        means -= mean
        between = np.einsum("tn,tn->n", means, means)
        variance: Floats = (within + between) / len(self.trees)
        return mean, variance


def as_points(points: Floats) -> Points:
    """Points (n, k), NaN where a feature is missing, as the trees take them."""
    return np.ascontiguousarray(np.where(np.isnan(points), MISSING, points), dtype=np.float32)


def fit_forest(
    points: Points,
    targets: Floats,
    *,
    seed: int,
    trees: int = 10,
    least: int = 1,
    best_splits: bool = False,
) -> Forest:
    """Grow a forest.

    Args:
        points: (n, k) as `as_points` makes them; n and k at least 1.
        targets: (n,) finite.
        seed: from 0 to 2**31 - 1; all of the forest's randomness.
        trees: how many.
        least: targets in a leaf, at least.
        best_splits: whether every threshold is tried at a split, not a random one for each feature.
    """
    from sklearn.tree import DecisionTreeRegressor, ExtraTreeRegressor

    kind = DecisionTreeRegressor if best_splits else ExtraTreeRegressor
    n = len(targets)
    generator = np.random.Generator(np.random.Philox(key=seed))
    drawn = generator.integers(n, size=(trees, n))
    seeds = generator.integers(2**31, size=trees).tolist()
    values = np.ascontiguousarray(targets, dtype=np.float64)
    grown = []
    for rows, own in zip(drawn, seeds, strict=True):
        counts = np.bincount(rows, minlength=n).astype(np.float64)
        tree = kind(min_samples_leaf=least, max_features=1.0, random_state=own)
        tree.fit(points, values, sample_weight=counts, check_input=False)
        grown.append(_arrays(tree.tree_))
    return Forest(tuple(grown))


def _arrays(walk: Any) -> Tree:
    return Tree(
        left=walk.children_left,
        right=walk.children_right,
        feature=walk.feature,
        threshold=walk.threshold,
        mean=np.ascontiguousarray(walk.value[:, 0, 0]),
        variance=np.maximum(walk.impurity, 0.0),
        weight=walk.weighted_n_node_samples,
        walk=walk,
    )
