"""XGBoost (Chen, Guestrin 2016) by histograms, kept as its own binary form."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Float, Integer
from rung.tabular.learners.base import ALL_TASKS, FRAMES, Cost, Learner, Setting, Trained
from rung.tabular.learners.rounds import Portion, course, paced, patience
from rung.tabular.preparation import Needs

ROUNDS = 1_500
_PROBE = 6  # rounds after which the time for all is estimated
_LEVELS = 1_000  # categories with more are read as numbers
RATE = "rate"  # the attribute of a booster that tells the learning rate of its last rounds
_OBJECTIVES = {0: "reg:squarederror", 2: "binary:logistic"}


@dataclass
class XGBoostModel:
    """A booster as bytes; the library's object is made when first used, and never saved."""

    data: bytes
    classes: int
    types: list[str]
    rounds: int

    def __post_init__(self) -> None:
        self._booster: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "classes": self.classes, "types": self.types, "rounds": self.rounds}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.data, self.classes = state["data"], state["classes"]
        self.types, self.rounds = state["types"], state["rounds"]
        self._booster = None

    @property
    def booster(self) -> Any:
        """The library's object."""
        if self._booster is None:
            import xgboost

            self._booster = xgboost.Booster({"nthread": 1})
            self._booster.load_model(bytearray(self.data))
        return self._booster

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (n,), or the second class's probabilities, or all classes' (n, k)."""
        rows = _matrix(Portion(X, np.empty(0), None), self.types)
        found = self.booster.predict(rows, iteration_range=(0, self.rounds))
        return np.asarray(found, dtype=np.float64)

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n, k)."""
        raw = self.predict(X)
        return np.column_stack([1 - raw, raw]) if self.classes == 2 else raw


def _matrix(rows: Portion, types: list[str], reference: Any = None) -> Any:
    """A code that no training row had is missing, as the trees know no branch for it."""
    import xgboost

    labels = {"label": rows.y, "weight": rows.weight} if len(rows.y) else {}
    kind = xgboost.DMatrix if not labels else xgboost.QuantileDMatrix
    extra = {"ref": reference} if reference is not None else {}
    return kind(rows.X, feature_types=types, enable_categorical=True, nthread=1, **labels, **extra)


def _parameters(config: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    parameters = {
        "objective": _OBJECTIVES.get(setting.classes, "multi:softprob"),
        "tree_method": "hist",
        "max_depth": config["depth"],
        "min_child_weight": config["min_child_weight"],
        "subsample": config["subsample"],
        "colsample_bynode": config["colsample"],
        "lambda": config["l2"],
        "max_cat_to_onehot": 12,
        "seed": setting.seed,
        "nthread": 1,
        "verbosity": 0,
    }
    if setting.classes > 2:
        parameters["num_class"] = setting.classes
    return parameters


@lru_cache(maxsize=1)
def _pace_type() -> type:
    """The callback's class, made when the library is there."""
    import xgboost

    class Pace(xgboost.callback.TrainingCallback):
        """Keeps a deadline, as LightGBM's does."""

        def __init__(self, setting: Setting, rate: float, rounds: int) -> None:
            super().__init__()
            self.setting, self.rate, self.rounds = setting, rate, rounds
            self.began = time.monotonic()

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            if epoch == 0:
                self.began = time.monotonic()
            if epoch == _PROBE:
                each = (time.monotonic() - self.began) / _PROBE
                self.rate = paced(self.rate, self.rounds, each, self.setting)
                model.set_param("learning_rate", self.rate)
            return self.setting.deadline.passed

    return Pace


def _fit(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    """Rounds that are known go with the learning rate at which they were found."""
    import xgboost

    rate = float(setting.known.get("rate", config["learning_rate"]))
    plan = course(X, y, setting, config["learning_rate"], ROUNDS)
    few = [j for j in setting.categorical if np.nanmax(X[:, j], initial=0) < _LEVELS]
    types = ["c" if j in few else "q" for j in range(X.shape[1])]
    data = _matrix(plan.train, types)
    pace = _pace_type()(setting, rate, plan.rounds)
    watched = [] if plan.valid is None else [(_matrix(plan.valid, types, data), "valid")]
    booster = xgboost.train(
        {**_parameters(config, setting), "learning_rate": rate},
        data,
        plan.rounds,
        evals=watched,
        early_stopping_rounds=patience(config["learning_rate"]) if watched else None,
        callbacks=[pace],
        verbose_eval=False,
    )
    looked = booster.attr("best_iteration")  # None where the first round was stopped, or nothing watched
    best = booster.num_boosted_rounds() if looked is None else int(looked) + 1
    booster.set_attr(**{RATE: repr(pace.rate)})  # which the library does not keep
    fitted = XGBoostModel(bytes(booster.save_raw("ubj")), setting.classes, types, best)
    return Trained(fitted, {"rounds": best, "rate": pace.rate}, setting.deadline.passed)


XGBOOST = Learner(
    name="xgboost",
    line="XGBoost's gradient boosting.",
    tasks=ALL_TASKS,
    space={
        "learning_rate": Float(0.02, 0.3, log=True),
        "depth": Integer(3, 10),
        "min_child_weight": Float(1e-3, 10.0, log=True),
        "subsample": Float(0.5, 1.0),
        "colsample": Float(0.4, 1.0),
        "l2": Float(1e-4, 10.0, log=True),
    },
    defaults=(
        {
            "learning_rate": 0.07,
            "depth": 6,
            "min_child_weight": 1.0,
            "subsample": 0.7,
            "colsample": 0.8,
            "l2": 0.1,
        },
    ),
    needs=Needs(missing=True, native=True),
    fit=_fit,
    cost=Cost(0.15, rows=0.9, cells=0.7, by_class=1.0),
    encodings=("native", "target"),
    expands=("none", "pairs"),
    requires=("xgboost",),
    merit=4.0,
    anytime=True,
    whole=0.5,
    without=FRAMES,
)
