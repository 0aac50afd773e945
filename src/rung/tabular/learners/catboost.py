"""CatBoost (Prokhorenkova et al. 2018), in its plain form, kept as its own binary form."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Float, Integer
from rung.tabular.learners.base import WITH_QUANTILES, Cost, Learner, Setting, Trained
from rung.tabular.learners.rounds import Course, Portion, course, paced, patience
from rung.tabular.preparation import Needs

ROUNDS = 4_000
_TRAVEL = 30.0  # its trees are simple: it needs more of them
_PROBE = 8  # rounds after which the time for all is estimated
_LOSSES = {0: "RMSE", 2: "Logloss"}


@dataclass
class CatBoostModel:
    """A model as bytes; the library's object is made when first used, and never saved.

    Attributes:
        categorical: columns of the matrix that hold codes of categories.
    """

    data: bytes
    classes: int
    categorical: list[int]

    def __post_init__(self) -> None:
        self._model: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "classes": self.classes, "categorical": self.categorical}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.data, self.classes, self.categorical = state["data"], state["classes"], state["categorical"]
        self._model = None

    @property
    def model(self) -> Any:
        """The library's object."""
        if self._model is None:
            import catboost

            self._model = catboost.CatBoost()
            self._model.load_model(blob=self.data, format="cbm")
        return self._model

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (n,)."""
        return np.asarray(self.model.predict(_features(X, self.categorical), thread_count=1))

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n, k)."""
        rows = _features(X, self.categorical)
        return np.asarray(self.model.predict(rows, prediction_type="Probability", thread_count=1))

    def contributions(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """SHAP values with the base at the end, numbers before categories: (n, d + 1), or (n, k, d + 1)."""
        from catboost import Pool

        rows = Pool(_features(X, self.categorical))
        return np.asarray(self.model.get_feature_importance(rows, type="ShapValues", thread_count=1))


def _features(X: NDArray[np.float64], categorical: list[int]) -> Any:
    """Numbers and categories apart: the library takes codes as text."""
    from catboost import FeaturesData

    numeric = np.setdiff1d(np.arange(X.shape[1]), categorical)
    numbers = np.ascontiguousarray(X[:, numeric], dtype=np.float32) if len(numeric) else None
    if not len(categorical):
        return FeaturesData(num_feature_data=numbers)
    codes = np.nan_to_num(X[:, categorical], nan=-1.0).astype(np.intp) + 1
    words = np.array([str(code).encode() for code in range(int(codes.max(initial=0)) + 1)], dtype=object)
    return FeaturesData(num_feature_data=numbers, cat_feature_data=words[codes])


def _pool(rows: Portion, setting: Setting) -> Any:
    from catboost import Pool

    return Pool(
        _features(rows.X, list(setting.categorical)),
        label=rows.y if setting.classes == 0 else rows.y.astype(np.int64),
        weight=rows.weight,
    )


def _parameters(config: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    loss = _LOSSES.get(setting.classes, "MultiClass")
    return {
        "loss_function": loss if setting.quantile is None else f"Quantile:alpha={setting.quantile}",
        "depth": config["depth"],
        "l2_leaf_reg": config["l2"],
        "random_strength": config["random_strength"],
        "one_hot_max_size": 12,
        "max_ctr_complexity": 2,
        "boosting_type": "Plain",
        "bootstrap_type": "Bernoulli",
        "subsample": 0.85,
        "border_count": 128,
        "leaf_estimation_iterations": 1 if setting.classes != 2 else 3,
        "random_seed": setting.seed,
        "thread_count": 1,
        "logging_level": "Silent",
        "allow_writing_files": False,
    }


class _Until:
    """Ends the training at the deadline."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def after_iteration(self, info: Any) -> bool:
        """Whether to go on."""
        return not self.setting.deadline.passed


class _Clock:
    """When each round ended: before the end of the first, the library sorts the columns into bins."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def after_iteration(self, info: Any) -> bool:
        """Always go on."""
        self.ends.append(time.monotonic())
        return True

    def each(self) -> float:
        """Seconds of a round; 0 where there was but one, as on a constant target."""
        return (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1) if len(self.ends) > 1 else 0.0


def _fit(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    """The learning rate cannot change on the way, so a few rounds are timed first where time is limited."""
    import catboost

    plan = course(X, y, setting, config["learning_rate"], ROUNDS)
    pools = [_pool(part, setting) for part in (plan.train, plan.valid) if part is not None]
    parameters = _parameters(config, setting)
    rate = float(setting.known.get("rate", 0.0)) or _rate(config, parameters, plan, pools[0], setting)
    model = catboost.CatBoost({**parameters, "iterations": plan.rounds, "learning_rate": rate})
    stop = patience(config["learning_rate"]) if plan.valid is not None else None
    model.fit(
        pools[0],
        eval_set=pools[1] if plan.valid is not None else None,
        early_stopping_rounds=stop,
        use_best_model=plan.valid is not None,
        callbacks=[_Until(setting)],
    )
    fitted = CatBoostModel(model._serialize_model(), setting.classes, list(setting.categorical))
    return Trained(fitted, {"rounds": max(model.tree_count_, 1), "rate": rate}, setting.deadline.passed)


def _rate(
    config: Mapping[str, Any], parameters: Mapping[str, Any], plan: Course, pool: Any, setting: Setting
) -> float:
    import catboost

    rate = float(config["learning_rate"])
    if setting.deadline.remaining > 600:
        return rate
    clock = _Clock()
    probe = catboost.CatBoost({**parameters, "iterations": _PROBE, "learning_rate": rate})
    probe.fit(pool, callbacks=[clock])
    return paced(rate, plan.rounds, clock.each(), setting, _TRAVEL)


def _default(rate: float, depth: int, l2: float, strength: float = 1.0) -> dict[str, Any]:
    return {"learning_rate": rate, "depth": depth, "l2": l2, "random_strength": strength}


CATBOOST = Learner(
    name="catboost",
    line="CatBoost's gradient boosting of oblivious trees.",
    tasks=WITH_QUANTILES,
    space={
        "learning_rate": Float(0.02, 0.3, log=True),
        "depth": Integer(3, 9),
        "l2": Float(1e-3, 10.0, log=True),
        "random_strength": Float(0.0, 2.0),
    },
    defaults=(_default(0.06, 6, 3.0), _default(0.06, 8, 2.0), _default(0.08, 4, 4.0)),
    needs=Needs(missing=True, native=True),
    fit=_fit,
    cost=Cost(0.3, rows=2.0, cells=1.2, columns=2.0, by_class=1.0),
    encodings=("native", "target"),
    expands=("none", "pairs"),
    most_classes=30,
    requires=("catboost",),
    merit=10.0,
    anytime=True,
    whole=0.5,
    without=("pyarrow", "polars"),
)
