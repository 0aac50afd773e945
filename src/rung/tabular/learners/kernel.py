"""A radial basis function kernel approximated by landmarks (Nystroem), and a linear model on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Float
from rung.tabular.learners.base import ALL_TASKS, FRAMES, Cost, Learner, Setting, Trained
from rung.tabular.preparation import Needs

_LANDMARKS = 300


def _fit(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    gamma = config["gamma"] / X.shape[1]
    landmarks = Nystroem(gamma=gamma, n_components=min(_LANDMARKS, len(y)), random_state=setting.seed)
    head = (
        LogisticRegression(C=config["C"], max_iter=60) if setting.classes else Ridge(alpha=1.0 / config["C"])
    )
    fitted = make_pipeline(landmarks, head)
    last = {f"{fitted.steps[-1][0]}__sample_weight": setting.weight}
    return Trained(fitted.fit(X, y, **last))


KERNEL = Learner(
    name="kernel",
    line="Kernel machine on landmarks (Williams, Seeger 2001).",
    tasks=ALL_TASKS,
    space={"C": Float(1e-2, 1e3, log=True), "gamma": Float(0.02, 5.0, log=True)},
    defaults=({"C": 10.0, "gamma": 0.3},),
    needs=Needs(scaled=True),
    reduces=("none", "select", "pca"),
    fit=_fit,
    merit=1.0,
    whole=1.0,
    cost=Cost(0.05, rows=0.3, cells=0.1),
    most_rows=30_000,
    most_classes=12,
    without=FRAMES,
)
