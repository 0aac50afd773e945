"""scikit-learn's histogram gradient boosting, in portions of rounds so that a deadline is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Float, Integer
from rung.tabular.learners.base import FRAMES, WITH_QUANTILES, Cost, Learner, Setting, Trained
from rung.tabular.learners.rounds import course
from rung.tabular.preparation import Needs

ROUNDS = 600
_LEVELS = 250  # categories with more are read as numbers


def _fit(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    train, valid, most = course(X, y, setting, config["learning_rate"], ROUNDS)
    model = _model(config, X, setting, early=valid is not None)
    seen = {} if valid is None else {"X_val": valid.X, "y_val": valid.y, "sample_weight_val": valid.weight}
    began, done = time.monotonic(), 0
    while True:
        each = (time.monotonic() - began) / done if done else 0.0
        model.max_iter = int(min(most, done + max(10, done)))
        if done and setting.deadline.remaining < 1.5 * each * (model.max_iter - done):
            return Trained(model, {"rounds": model.n_iter_}, cut=True)
        model.fit(train.X, train.y, train.weight, **seen)
        done = model.n_iter_
        if done < model.max_iter or done >= most:
            return Trained(model, {"rounds": done})


def _model(config: Mapping[str, Any], X: NDArray[np.float64], setting: Setting, *, early: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if setting.classes else HistGradientBoostingRegressor
    few = [j for j in setting.categorical if np.nanmax(X[:, j], initial=0) < _LEVELS]
    loss = {} if setting.quantile is None else {"loss": "quantile", "quantile": setting.quantile}
    return kind(
        **loss,
        learning_rate=config["learning_rate"],
        max_leaf_nodes=config["leaves"],
        min_samples_leaf=config["min_samples_leaf"],
        l2_regularization=config["l2"],
        categorical_features=few or None,
        early_stopping=early,
        n_iter_no_change=15,
        scoring="loss",
        warm_start=True,
        random_state=setting.seed,
    )


HIST_BOOSTING = Learner(
    name="hist_boosting",
    line="scikit-learn's histogram gradient boosting.",
    tasks=WITH_QUANTILES,
    space={
        "learning_rate": Float(0.02, 0.3, log=True),
        "leaves": Integer(4, 128, log=True),
        "min_samples_leaf": Integer(2, 100, log=True),
        "l2": Float(1e-6, 10.0, log=True),
    },
    defaults=({"learning_rate": 0.06, "leaves": 31, "min_samples_leaf": 20, "l2": 1e-3},),
    needs=Needs(missing=True, native=True),
    fit=_fit,
    merit=4.0,
    cost=Cost(0.15, rows=0.5, cells=0.4, by_class=1.0),
    anytime=True,
    whole=0.5,
    encodings=("native", "target"),
    expands=("none", "pairs"),
    without=FRAMES,
)
