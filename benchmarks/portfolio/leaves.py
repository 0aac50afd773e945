"""Rows of a forest's leaves on large tables: `python -m benchmarks.portfolio.leaves [TABLE ...]`.

For each table the loss on its test rows of 120 trees fitted on all others, with leaves of 1, 2, 3 and 5 rows:
root mean squared error, or log loss at the best of a few temperatures. Beside it what the trees take in MB.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn import ensemble
from sklearn.metrics import log_loss

from benchmarks.cash.tables import Table, chosen, split

_LEAVES: Final = (1, 2, 3, 5)
_TEMPERATURES: Final = (0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2)
_LEAST: Final = 1e-4  # probability
KINDS: Final = (("RandomForest", 0.4), ("RandomForest", 1.0), ("ExtraTrees", 1.0), ("ExtraTrees", 0.4))


def main(names: list[str]) -> None:
    warnings.simplefilter("ignore")
    print(f"{'table':14s} {'forest':16s}", *[f"{f'leaf {leaf}':>12s} {'MB':>5s}" for leaf in _LEAVES])
    for table in chosen(names):
        parts = split(table, 0)
        both = pd.concat([parts.train.drop(columns=table.target), parts.test])
        X, X_test = np.split(_cells(both), [len(parts.train)])
        for name, features in KINDS:
            found = [_told(table, (name, features, leaf), (X, X_test), parts) for leaf in _LEAVES]
            print(f"{table.name:14s} {name + f' {features:g}':16s}", *found, flush=True)


def _cells(frame: pd.DataFrame) -> np.ndarray:
    words = [name for name in frame if frame[name].dtype.kind not in "fiub"]
    codes = {name: frame[name].astype("category").cat.codes for name in words}
    return frame.assign(**codes).fillna(-1).to_numpy(np.float32)


def _told(
    table: Table, kind: tuple[str, float, int], cells: tuple[np.ndarray, np.ndarray], parts: Any
) -> str:
    name, features, leaf = kind
    y = parts.train[table.target].to_numpy()
    regression = table.task == "regression"
    forest = getattr(ensemble, name + ("Regressor" if regression else "Classifier"))(
        120, max_features=features, min_samples_leaf=leaf, random_state=0
    )
    if not regression:
        forest.set_params(criterion="entropy")
    forest.fit(cells[0], y)
    if regression:
        loss = float(np.sqrt(np.mean((forest.predict(cells[1]) - parts.y.to_numpy()) ** 2)))
    else:
        odds = np.maximum(forest.predict_proba(cells[1]), _LEAST)
        loss = min(_at(odds, t, parts.y, forest.classes_) for t in _TEMPERATURES)
    nodes = sum(tree.tree_.node_count * (64 + 8 * tree.tree_.value[0].size) for tree in forest.estimators_)
    return f"{loss:12.6g} {nodes / 1e6:5.0f}"


def _at(odds: np.ndarray, temperature: float, y: Any, classes: Any) -> float:
    sharp = odds ** (1 / temperature)
    return float(log_loss(y, sharp / sharp.sum(axis=1, keepdims=True), labels=classes))


if __name__ == "__main__":
    main(sys.argv[1:])
