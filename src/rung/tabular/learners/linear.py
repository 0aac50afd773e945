"""Linear models: logistic regression for classes, ridge regression for values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Float
from rung.tabular.learners.base import ALL_TASKS, FRAMES, Cost, Learner, Setting, Trained
from rung.tabular.preparation import Needs

_FURTHER = 0.1  # of the first class's time: all classes share the passes over the matrix
_EXPONENTIAL = 6  # multiplications, of one a row and class
_PASSES = 3e8  # multiplications a second and a half: bounds the iterations on large matrices


def _fit(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    from sklearn.linear_model import LogisticRegression, Ridge

    if not setting.classes:
        return Trained(Ridge(alpha=1.0 / config["C"]).fit(X, y, setting.weight))
    rows, width = X.shape
    work = rows * (width * (1 + _FURTHER * (setting.classes - 1)) + _EXPONENTIAL * setting.classes)
    seconds = min(setting.deadline.remaining, 1e6)
    iterations = int(np.clip(_PASSES * seconds / max(work, 1), 10, 200))
    return Trained(LogisticRegression(C=config["C"], max_iter=iterations).fit(X, y, setting.weight))


LINEAR = Learner(
    name="linear",
    line="Logistic or ridge regression.",
    tasks=ALL_TASKS,
    space={"C": Float(1e-3, 1e3, log=True)},
    defaults=({"C": 1.0}, {"C": 0.03}),
    needs=Needs(scaled=True),
    expands=("none", "squares", "pairs"),
    reduces=("none", "select", "pca"),
    fit=_fit,
    merit=3.0,
    whole=1.0,
    cost=Cost(0.02, cells=0.15, by_class=_FURTHER),
    without=FRAMES,
)
