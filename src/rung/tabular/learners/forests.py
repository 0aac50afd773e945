"""Random forests and extremely randomised trees, grown in portions so that a deadline is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Categorical, Float, Integer
from rung.tabular.learners.base import ALL_TASKS, FRAMES, Cost, Learner, Setting, Trained
from rung.tabular.preparation import Needs

TREES = 120
_NAMES = frozenset(
    kind + task for kind in ("RandomForest", "ExtraTrees") for task in ("Classifier", "Regressor")
)
_BYTES = 200e6  # that the trees of all folds may take together
_TREE = 3.6e6  # bytes of one tree, about: with more rows each leaf holds several
_NODE, _VALUE = 64, 8  # bytes of a node, and of each number in it
_NOISY = 5_000  # with two classes a leaf holds at least one in so many of the rows: a share, not 0 or 1


def _forest(config: Mapping[str, Any], rows: int, setting: Setting, *, extra: bool) -> Any:
    from sklearn import ensemble

    names = {
        (True, True): ensemble.ExtraTreesClassifier,
        (True, False): ensemble.RandomForestClassifier,
        (False, True): ensemble.ExtraTreesRegressor,
        (False, False): ensemble.RandomForestRegressor,
    }
    settings: dict[str, Any] = {
        "n_estimators": 5,
        "max_features": config["max_features"],
        "min_samples_leaf": max(config["min_samples_leaf"], _least_leaf(rows, setting.classes)),
        "warm_start": True,
        "random_state": setting.seed,
        "n_jobs": 1,
    }
    if setting.classes:
        settings["criterion"] = config["criterion"]
    return names[bool(setting.classes), extra](**settings)


def _least_leaf(rows: int, classes: int) -> int:
    """Rows that a leaf must hold, so that a tree has about its bytes at most; with two classes a share."""
    bounded = int(2 * rows * (_NODE + _VALUE * max(classes, 1)) / _TREE)
    return max(bounded, rows // _NOISY if classes == 2 else 0)


def _bytes(forest: Any) -> float:
    """Of one of its trees, on average."""
    nodes = np.mean([tree.tree_.node_count for tree in forest.estimators_])
    return float(nodes * (_NODE + _VALUE * forest.estimators_[0].tree_.value[0].size))


def _grow(forest: Any, X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting) -> Trained:
    """Fit five trees, then as many at a time as a quarter of the time left allows."""
    X32 = np.ascontiguousarray(X, dtype=np.float32)
    began = time.monotonic()
    forest.fit(X32, y, setting.weight)
    most = int(_BYTES / setting.folds / _bytes(forest))
    wanted = min(TREES if setting.folds == 1 else TREES // 2, max(most, forest.n_estimators))
    while forest.n_estimators < wanted:
        each = (time.monotonic() - began) / forest.n_estimators
        portion = int(min(setting.deadline.remaining / 4 / max(each, 1e-6), wanted - forest.n_estimators))
        if portion < 1:
            return Trained(forest, cut=True)
        forest.n_estimators += portion
        forest.fit(X32, y, setting.weight)
    return Trained(forest)


def averaged(forest: Any, X: NDArray[np.float64]) -> NDArray[np.float64]:
    """What its trees predict on average: probabilities (n, k), or values (n, 1).

    The same as scikit-learn's, without its work for each single tree, which takes longer than the tree.
    """
    X32 = np.ascontiguousarray(X, dtype=np.float32)
    total = forest.estimators_[0].tree_.predict(X32)
    for tree in forest.estimators_[1:]:
        total = total + tree.tree_.predict(X32)
    return np.asarray(total / len(forest.estimators_))


def is_forest(estimator: Any) -> bool:
    """One of those that `averaged` is for, with dense matrices and one target."""
    return type(estimator).__name__ in _NAMES and estimator.n_outputs_ == 1


def _fit_random(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    return _grow(_forest(config, len(y), setting, extra=False), X, y, setting)


def _fit_extra(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    return _grow(_forest(config, len(y), setting, extra=True), X, y, setting)


_SPACE = {
    "max_features": Float(0.1, 1.0),
    "min_samples_leaf": Integer(1, 20, log=True),
    "criterion": Categorical(["gini", "entropy"]),
}

FOREST = Learner(
    name="forest",
    line="Random forest (Breiman 2001).",
    tasks=ALL_TASKS,
    space=_SPACE,
    defaults=(
        {"max_features": 0.4, "min_samples_leaf": 1, "criterion": "entropy"},
        {"max_features": 1.0, "min_samples_leaf": 1, "criterion": "entropy"},
    ),
    needs=Needs(),
    fit=_fit_random,
    merit=2.5,
    whole=1.0,
    cost=Cost(0.3, rows=1.0, cells=1.0),
    copies=2.0,
    anytime=True,
    encodings=("ordinal", "onehot", "target"),
    without=FRAMES,
)

EXTRA_TREES = Learner(
    name="extra_trees",
    line="Extremely randomised trees (Geurts, Ernst, Wehenkel 2006).",
    tasks=ALL_TASKS,
    space=_SPACE,
    defaults=(
        {"max_features": 1.0, "min_samples_leaf": 1, "criterion": "entropy"},
        {"max_features": 0.4, "min_samples_leaf": 2, "criterion": "entropy"},
    ),
    needs=Needs(),
    fit=_fit_extra,
    merit=2.5,
    whole=1.0,
    cost=Cost(0.3, rows=1.2, cells=0.4),
    anytime=True,
    encodings=("ordinal", "onehot", "target"),
    without=FRAMES,
)
