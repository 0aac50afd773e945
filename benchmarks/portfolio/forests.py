"""Which settings of forests are good on many tables: `python -m benchmarks.portfolio.forests [TABLE ...]`.

For each table the loss of each setting over the least of all of them, by five folds of at most 4,000 rows and
60 trees: root mean squared error, 1 - AUC (two classes), log loss (more). At the end geometric means by task.
"""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn import ensemble
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict

from benchmarks.cash.tables import Table, chosen

_ROWS: Final = 4_000
_LEAST: Final = 0.003  # probability: a tree with pure leaves is sure of everything
SETTINGS: Final = (
    (0.25, 4),
    (0.4, 1),
    (0.4, 2),
    (0.7, 2),
    (1.0, 1),
    (1.0, 2),
)  # max_features, min_samples_leaf


def losses(table: Table) -> Iterator[float]:
    """Of random forests, then of extra trees, in the order of `SETTINGS`."""
    frame = table.load().dropna(subset=[table.target])
    frame = frame.sample(min(_ROWS, len(frame)), random_state=0)
    X, y = frame.drop(columns=table.target), frame[table.target].to_numpy()
    codes = {name: X[name].astype("category").cat.codes for name in X if X[name].dtype.kind not in "fiub"}
    cells = X.assign(**codes).fillna(-1).to_numpy(np.float32)
    kind = "Regressor" if table.task == "regression" else "Classifier"
    if kind == "Classifier":
        _, y, counts = np.unique(y, return_inverse=True, return_counts=True)
        cells, y = cells[counts[y] >= 5], y[counts[y] >= 5]
    for name in ("RandomForest", "ExtraTrees"):
        for features, leaf in SETTINGS:
            forest = getattr(ensemble, name + kind)(
                60, max_features=features, min_samples_leaf=leaf, random_state=0, n_jobs=-1
            )
            yield _loss(forest, cells, y)


def _loss(forest: Any, X: NDArray[np.float32], y: NDArray[Any]) -> float:
    if isinstance(forest, ensemble.RandomForestRegressor | ensemble.ExtraTreesRegressor):
        found = cross_val_predict(forest, X, y, cv=KFold(5, shuffle=True, random_state=0))
        return float(np.sqrt(np.mean((found - y) ** 2)))
    forest.set_params(criterion="entropy")
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    odds = np.clip(cross_val_predict(forest, X, y, cv=folds, method="predict_proba"), _LEAST, None)
    odds /= odds.sum(axis=1, keepdims=True)
    return float(log_loss(y, odds)) if odds.shape[1] > 2 else 1.0 - float(roc_auc_score(y, odds[:, 1]))


def main(names: list[str]) -> None:
    warnings.simplefilter("ignore")
    logs = defaultdict(list)
    print(
        "table", *[f"{kind} {f:g}/{leaf}" for kind in ("forest", "extra") for f, leaf in SETTINGS], sep="  "
    )
    for table in chosen(names):
        found = np.array(list(losses(table)))
        ratios = found / max(found.min(), 1e-9)
        logs[table.task].append(np.log(np.maximum(ratios, 1e-9)))
        print(f"{table.name:14s}", *[f"{ratio:.3f}" for ratio in ratios], flush=True)
    for task, some in logs.items():
        print(f"{task:14s}", *[f"{ratio:.3f}" for ratio in np.exp(np.mean(some, axis=0))])


if __name__ == "__main__":
    main(sys.argv[1:])
