"""LightGBM (Ke et al. 2017), through its own interface, kept as its own text form."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Categorical, Float, Integer
from rung.tabular.learners.base import FRAMES, WITH_QUANTILES, Cost, Learner, Setting, Trained
from rung.tabular.learners.rounds import course, paced, patience
from rung.tabular.preparation import Needs

ROUNDS = 2_000
_PROBE = 8  # rounds after which the time for all is estimated
_SILENT = {"verbosity": -1, "num_threads": 1, "deterministic": True, "force_col_wise": True, "seed": 0}


@dataclass
class LightGBMModel:
    """A booster as text; the library's object is made when first used, and never saved."""

    text: str
    classes: int

    def __post_init__(self) -> None:
        self._booster: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"text": self.text, "classes": self.classes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.text, self.classes = state["text"], state["classes"]
        self._booster = None

    @property
    def booster(self) -> Any:
        """The library's object."""
        if self._booster is None:
            import lightgbm

            self._booster = lightgbm.Booster(model_str=self.text)
        return self._booster

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (n,), or the second class's probabilities, or all classes' (n, k)."""
        return np.asarray(self.booster.predict(X, num_threads=1), dtype=np.float64)

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n, k)."""
        raw = self.predict(X)
        return np.column_stack([1 - raw, raw]) if self.classes == 2 else raw


def _parameters(config: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    objective = {0: "regression", 2: "binary"}.get(setting.classes, "multiclass")
    parameters = {
        **_SILENT,
        "objective": objective,
        "seed": setting.seed,
        "learning_rate": config["learning_rate"],
        "num_leaves": config["leaves"],
        "min_data_in_leaf": config["min_data_in_leaf"],
        "feature_fraction": config["feature_fraction"],
        "bagging_fraction": config["bagging_fraction"],
        "bagging_freq": 1,
        "lambda_l2": config["l2"],
        "extra_trees": config["extra_trees"],
        "min_data_per_group": 10,
        "feature_pre_filter": False,
    }
    if setting.classes > 2:
        parameters["num_class"] = setting.classes
    if setting.quantile is not None:
        parameters |= {"objective": "quantile", "alpha": setting.quantile}
    return parameters


def _fit(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    """Rounds that are known go with the learning rate at which they were found."""
    import lightgbm

    rate = float(setting.known.get("rate", config["learning_rate"]))
    train, valid, rounds = course(X, y, setting, config["learning_rate"], ROUNDS)
    parameters = {**_parameters(config, setting), "learning_rate": rate}
    codes: Any = list(setting.categorical) or "auto"
    data = lightgbm.Dataset(
        train.X, train.y, weight=train.weight, categorical_feature=codes, params=parameters
    )
    pace = _Pace(setting, rate, rounds)
    callbacks: list[Any] = [pace]
    sets = []
    if valid is not None:
        sets.append(
            lightgbm.Dataset(valid.X, valid.y, weight=valid.weight, reference=data, categorical_feature=codes)
        )
        callbacks.append(lightgbm.early_stopping(patience(config["learning_rate"]), verbose=False))
    booster = lightgbm.train(parameters, data, rounds, valid_sets=sets, callbacks=callbacks)
    best = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
    text = booster.model_to_string(num_iteration=best)
    known = {"rounds": max(best, 1), "rate": pace.rate}
    return Trained(LightGBMModel(text, setting.classes), known, setting.deadline.passed)


class _Pace:
    """Keeps a deadline: after a few rounds the learning rate rises if there is no time for the rounds that it
    needs, and at the deadline the training ends.
    """

    before_iteration = False
    order = 0

    def __init__(self, setting: Setting, rate: float, rounds: int) -> None:
        self.setting = setting
        self.rate = rate
        self.rounds = rounds
        self.began = 0.0  # the end of the first round: before it, the library sorts the columns into bins

    def __call__(self, env: Any) -> None:
        import lightgbm

        if self.setting.deadline.passed:
            raise lightgbm.callback.EarlyStopException(env.iteration, [])
        if env.iteration == 0:
            self.began = time.monotonic()
        if env.iteration == _PROBE:
            each = (time.monotonic() - self.began) / _PROBE
            rate = paced(self.rate, self.rounds, each, self.setting)
            if rate > self.rate:
                self.rate = rate
                env.model.reset_parameter({"learning_rate": rate})


def _default(rate: float, leaves: int, minimum: int, share: float, *, extra: bool = False) -> dict[str, Any]:
    return {
        "learning_rate": rate,
        "leaves": leaves,
        "min_data_in_leaf": minimum,
        "feature_fraction": share,
        "bagging_fraction": 0.8,
        "l2": 0.1,
        "extra_trees": extra,
    }


LIGHTGBM = Learner(
    name="lightgbm",
    line="LightGBM's gradient boosting.",
    tasks=WITH_QUANTILES,
    space={
        "learning_rate": Float(0.02, 0.3, log=True),
        "leaves": Integer(4, 200, log=True),
        "min_data_in_leaf": Integer(1, 100, log=True),
        "feature_fraction": Float(0.3, 1.0),
        "bagging_fraction": Float(0.6, 1.0),
        "l2": Float(1e-4, 10.0, log=True),
        "extra_trees": Categorical([False, True]),
    },
    defaults=(
        _default(0.06, 40, 20, 0.9),
        _default(0.06, 16, 5, 0.5, extra=True),
        _default(0.05, 100, 5, 0.6),
        _default(0.08, 8, 10, 0.4),
    ),
    needs=Needs(missing=True, native=True),
    fit=_fit,
    merit=10.0,
    cost=Cost(0.05, rows=0.6, cells=0.5, by_class=1.0),
    anytime=True,
    whole=0.5,
    encodings=("native", "target"),
    expands=("none", "pairs"),
    without=FRAMES,
)
