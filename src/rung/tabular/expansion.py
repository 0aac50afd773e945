"""Generated columns: arithmetic pairs of the strongest numbers, means within groups, crosses of categories.

The largest recent gain for boosting (AutoGluon 1.5's notes; mljar's golden features): trees find sums and
ratios of two columns only by many steps. All is learned on a fold's training rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.encode import Table
from rung.tabular.target_encoding import Target, target_encoder, target_folds

OPERATIONS: Final = ("minus", "ratio", "times", "plus")
_STRONGEST = 8  # numbers that are paired
_PAIRS = 12  # of them are kept
_GROUPS = 3  # categories within which means are taken, of
_GROUPED = 4  # numbers
_CROSSES = 4  # pairs of categories
_LEVELS = 2_000  # of a cross, the most frequent; the others are one
_MOST_CLASSES = 10  # a column for each class, and each cross: beyond so many a cross is its share alone
_SAMPLE = 2_000  # rows on which columns are compared
_DEPTH = 3  # of the trees that compare them


class Pair(NamedTuple):
    """`operation` of the columns a and b."""

    a: int
    b: int
    operation: str


class Group(NamedTuple):
    """The mean (m,) of number `column` for each level of `category`, the last for a missing level."""

    category: int
    column: int
    means: NDArray[np.float64]


class Cross(NamedTuple):
    """Two categories as one: `known` are the combined codes, `shares` how frequent they are."""

    a: int
    b: int
    width: int
    known: NDArray[np.int64]
    shares: NDArray[np.float64]


@dataclass
class Expansion:
    """What columns are made of; fitted once.

    Attributes:
        encoder: of the crosses by the target, scikit-learn's.
    """

    seed: int = 0
    pairs: list[Pair] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    crosses: list[Cross] = field(default_factory=list)
    encoder: Any = None

    def fit_transform(self, table: Table, y: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
        """Choose columns by what they tell of the target, and make them: (n, e)."""
        rng = np.random.default_rng([self.seed, 5])
        some = rng.permutation(len(table))[:_SAMPLE]
        sample, goal = table.take(some), y[some]
        judge = _Judge(goal, classes)
        numbers = judge.strongest(sample.numbers, _STRONGEST)
        categories = judge.strongest(sample.codes.astype(np.float64), max(_GROUPS, 3))
        self.pairs = _pairs(sample.numbers, numbers, judge)
        self.groups = [_group(table, c, j) for c in categories[:_GROUPS] for j in numbers[:_GROUPED]]
        self.crosses = [_cross(table.codes, a, b) for a, b in list(combinations(categories, 2))[:_CROSSES]]
        plain, target = self._plain(table), Target(y, classes)
        folds = target_folds(target)
        if not self.crosses or folds < 2 or classes > _MOST_CLASSES:
            return plain
        self.encoder = target_encoder(target, folds, self.seed)
        return np.hstack([plain, np.asarray(self.encoder.fit_transform(self._crossed(table.codes), y))])

    def transform(self, table: Table) -> NDArray[np.float64]:
        """The columns of these rows: (n, e)."""
        plain = self._plain(table)
        if self.encoder is None:
            return plain
        return np.hstack([plain, np.asarray(self.encoder.transform(self._crossed(table.codes)))])

    def _plain(self, table: Table) -> NDArray[np.float64]:
        """All but the crosses' encoding by the target."""
        columns = [_combined(table.numbers, pair) for pair in self.pairs]
        for group in self.groups:
            levels = table.codes[:, group.category]
            seen = levels < len(group.means) - 1  # a level that no training row had is as good as missing
            columns.append(table.numbers[:, group.column] - group.means[np.where(seen, levels, -1)])
        for cross in self.crosses:
            codes = _codes(table.codes, cross)
            columns.append(np.where(codes < 0, 0.0, cross.shares[np.maximum(codes, 0)]))
        return np.column_stack(columns) if columns else np.empty((len(table), 0))

    def _crossed(self, codes: NDArray[np.int32]) -> NDArray[np.int64]:
        return np.column_stack([_codes(codes, cross) for cross in self.crosses])


class _Judge:
    """How well a column by itself tells the target: the gain of a small tree."""

    def __init__(self, y: NDArray[np.float64], classes: int) -> None:
        self.y, self.classes = y, classes

    def gain(self, column: NDArray[np.float64]) -> float:
        """Share of the target's impurity that a tree of depth three takes away, on the rows that it saw."""
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        kind = DecisionTreeClassifier if self.classes else DecisionTreeRegressor
        leaf = max(5, len(column) // 50)
        x = np.nan_to_num(column, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)[:, None]
        tree = kind(max_depth=_DEPTH, min_samples_leaf=leaf, random_state=0).fit(x, self.y).tree_
        leaves = tree.children_left < 0
        left = (tree.impurity * tree.weighted_n_node_samples)[leaves].sum()
        whole = tree.impurity[0] * tree.weighted_n_node_samples[0]
        return float(1 - left / whole) if whole > 0 else 0.0

    def strongest(self, columns: NDArray[np.float64], most: int) -> list[int]:
        """The columns that say most by themselves, the best first."""
        gains = [self.gain(columns[:, j]) for j in range(columns.shape[1])]
        return [int(j) for j in np.argsort(gains)[::-1][:most] if gains[j] > 0]


def _pairs(numbers: NDArray[np.float64], strongest: Sequence[int], judge: _Judge) -> list[Pair]:
    """The pairs that say more than both of their columns do, those that add most first."""
    alone = {j: judge.gain(numbers[:, j]) for j in strongest}
    found = []
    for a, b in combinations(strongest, 2):
        for operation in OPERATIONS:
            pair = Pair(a, b, operation)
            gain = judge.gain(_combined(numbers, pair)) - max(alone[a], alone[b])
            if gain > 0:
                found.append((gain, pair))
    found.sort(key=lambda one: -one[0])
    return [pair for _, pair in found[:_PAIRS]]


def _combined(numbers: NDArray[np.float64], pair: Pair) -> NDArray[np.float64]:
    a, b = numbers[:, pair.a], numbers[:, pair.b]
    if pair.operation == "minus":
        return a - b
    if pair.operation == "plus":
        return a + b
    if pair.operation == "times":
        return np.clip(a * b, -1e30, 1e30)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = a / b
    return np.asarray(np.where(np.isfinite(ratio), np.clip(ratio, -1e30, 1e30), np.nan))


def _group(table: Table, category: int, column: int) -> Group:
    codes, values = table.codes[:, category], table.numbers[:, column]
    there = ~np.isnan(values)
    overall = float(values[there].mean()) if there.any() else 0.0
    levels = int(codes.max(initial=-1)) + 1
    places = np.where(codes[there] < 0, levels, codes[there])
    counts = np.bincount(places, minlength=levels + 1)
    sums = np.bincount(places, weights=values[there], minlength=levels + 1)
    return Group(category, column, (sums + 5 * overall) / (counts + 5))


def _cross(codes: NDArray[np.int32], a: int, b: int) -> Cross:
    width = int(codes[:, b].max(initial=-1)) + 2
    joined = _joined(codes, a, b, width)
    known, counts = np.unique(joined, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:_LEVELS])
    return Cross(a, b, width, known[kept], counts[kept] / max(len(codes), 1))


def _joined(codes: NDArray[np.int32], a: int, b: int, width: int) -> NDArray[np.int64]:
    return (codes[:, a].astype(np.int64) + 1) * width + codes[:, b].astype(np.int64) + 1


def _codes(codes: NDArray[np.int32], cross: Cross) -> NDArray[np.int64]:
    """Place among the known combinations, -1 for another one."""
    joined = _joined(codes, cross.a, cross.b, cross.width)
    places = np.minimum(np.searchsorted(cross.known, joined), len(cross.known) - 1)
    fits = (cross.known[places] == joined) & (codes[:, cross.b] + 1 < cross.width)
    return np.asarray(np.where(fits, places, -1))
