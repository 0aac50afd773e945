"""k nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Categorical, Integer
from rung.tabular.learners.base import ALL_TASKS, FRAMES, Cost, Learner, Setting, Trained
from rung.tabular.preparation import Needs


def _fit(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    kind = KNeighborsClassifier if setting.classes else KNeighborsRegressor
    k = min(config["k"], len(y))
    return Trained(kind(k, weights=config["weights"], p=config["p"]).fit(X, y))


NEIGHBORS = Learner(
    name="neighbors",
    line="k nearest neighbours.",
    tasks=ALL_TASKS,
    space={
        "k": Integer(1, 100, log=True),
        "weights": Categorical(["distance", "uniform"]),
        "p": Categorical([2, 1]),
    },
    defaults=({"k": 15, "weights": "distance", "p": 2}, {"k": 5, "weights": "distance", "p": 1}),
    needs=Needs(scaled=True),
    reduces=("none", "select", "pca"),
    fit=_fit,
    cost=Cost(0.02, cells=1.5, power=2.0),
    most_rows=20_000,
    weights=False,
    whole=1.0,
    without=FRAMES,
)
