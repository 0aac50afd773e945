"""Landmarks: what very simple learners reach on a few hundred rows, as a share of what there is to gain.

A classifier's accuracy a becomes (a - c) / (1 - c), where c is the commonest class's share; a regressor's is
its R². Both are 1 at best, 0 for a constant, and -1 at least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ROWS: Final = 500
LANDMARKS: Final = (
    "landmark_linear",
    "landmark_stump",
    "landmark_tree",
    "landmark_neighbor",
    "tree_over_linear",
    "neighbor_over_tree",
)
_TRAINED: Final = 2 / 3  # of the rows


def landmarks(X: NDArray[Any], y: NDArray[Any], classes: int, seed: int) -> dict[str, float]:
    """The landmarks of a table, NaN where it has too few rows or columns.

    Args:
        X: (n, d) numbers, NaN where missing; categories as codes.
        y: (n,) codes, or values where `classes` is 0.
    """
    rng = np.random.default_rng([seed, 8])
    rows = rng.permutation(len(y))[:ROWS]
    if len(rows) < 30 or not X.shape[1]:
        return dict.fromkeys(LANDMARKS, math.nan)
    X, y = _standardised(X[rows]), y[rows]
    cut = int(_TRAINED * len(rows))
    train, test = (X[:cut], y[:cut]), (X[cut:], y[cut:])
    kinds = _classifiers(seed) if classes else _regressors(seed)
    found = {name: _skill(make, train, test, classes) for name, make in kinds.items()}
    return found | {
        "tree_over_linear": found["landmark_tree"] - found["landmark_linear"],
        "neighbor_over_tree": found["landmark_neighbor"] - found["landmark_tree"],
    }


def _standardised(X: NDArray[Any]) -> NDArray[np.float64]:
    """Deviations from the mean, missing cells at it."""
    center, spread = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
    return np.asarray(np.clip(np.nan_to_num((X - center) / np.where(spread > 0, spread, 1.0)), -10.0, 10.0))


def _classifiers(seed: int) -> Mapping[str, Callable[[], Any]]:
    from sklearn.linear_model import RidgeClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.tree import DecisionTreeClassifier

    return {
        "landmark_linear": lambda: RidgeClassifier(alpha=10.0),
        "landmark_stump": lambda: DecisionTreeClassifier(max_depth=1, random_state=seed),
        "landmark_tree": lambda: DecisionTreeClassifier(min_samples_leaf=3, random_state=seed),
        "landmark_neighbor": lambda: KNeighborsClassifier(1),
    }


def _regressors(seed: int) -> Mapping[str, Callable[[], Any]]:
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.tree import DecisionTreeRegressor

    return {
        "landmark_linear": lambda: Ridge(alpha=10.0),
        "landmark_stump": lambda: DecisionTreeRegressor(max_depth=1, random_state=seed),
        "landmark_tree": lambda: DecisionTreeRegressor(min_samples_leaf=3, random_state=seed),
        "landmark_neighbor": lambda: KNeighborsRegressor(1),
    }


Part = tuple[NDArray[np.float64], NDArray[Any]]


def _skill(make: Callable[[], Any], train: Part, test: Part, classes: int) -> float:
    if len(np.unique(train[1])) < 2 or len(np.unique(test[1])) < 2:
        return math.nan
    said = make().fit(*train).predict(test[0])
    if classes:
        commonest = float(np.bincount(test[1].astype(np.intp)).max() / len(test[1]))
        return max(-1.0, (float((said == test[1]).mean()) - commonest) / (1 - commonest))
    y = test[1].astype(np.float64)
    return max(-1.0, 1.0 - float(np.mean((y - said) ** 2) / np.var(y)))
