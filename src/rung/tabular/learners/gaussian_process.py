"""A Gaussian process, for tables of a few hundred rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Categorical, Float
from rung.tabular.learners.base import ALL_TASKS, FRAMES, Cost, Learner, Setting, Trained
from rung.tabular.preparation import Needs


def _fit(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    """Length and noise by maximum marginal likelihood (Rasmussen, Williams 2006, chapters 3 and 5)."""
    from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

    length = config["length"] * np.sqrt(X.shape[1])
    near = (length / 30, length * 30)
    shape = RBF(length, near) if config["kernel"] == "rbf" else Matern(length, near, nu=1.5)
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * shape
    if setting.classes:
        return Trained(GaussianProcessClassifier(kernel, max_iter_predict=30, random_state=0).fit(X, y))
    noisy = kernel + WhiteKernel(0.1, (1e-5, 2.0))
    return Trained(GaussianProcessRegressor(noisy, random_state=0).fit(X, y))


GAUSSIAN_PROCESS = Learner(
    name="gaussian_process",
    line="Gaussian process (Rasmussen, Williams 2006).",
    tasks=ALL_TASKS,
    space={"length": Float(0.3, 5.0, log=True), "kernel": Categorical(["matern", "rbf"])},
    defaults=({"length": 1.0, "kernel": "matern"},),
    needs=Needs(scaled=True),
    reduces=("none", "select", "pca"),
    fit=_fit,
    merit=2.0,
    whole=1.0,
    cost=Cost(0.1, rows=30.0, cells=300.0, power=2.0, by_class=1.0),
    up_to=600,
    most_classes=2,  # one against the rest takes as many times the time, to fit and to predict
    weights=False,
    without=FRAMES,
)
