"""What a search must beat: a constant, and LightGBM as it comes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.tabular.best_constant import Known, best_constant
from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.learners.table import learners

_ROUNDS = 100  # LightGBM's default
_SHARE = 0.4  # of the predicted time of the search's own LightGBM, which goes on for longer


def constant_prediction(dataset: Dataset, rows: int) -> NDArray[np.float64]:
    """The training target's best constant by the metric, for `rows` rows: (rows, k) or (rows,)."""
    y = np.asarray(dataset.y, dtype=np.float64)
    known = Known(y, dataset.classes, dataset.weight, dataset.quantile)
    prediction = best_constant(dataset.judge, known)
    return np.broadcast_to(prediction, (rows, *prediction.shape)).copy()


def lightgbm_prediction(dataset: Dataset, test: Table, deadline: Deadline) -> NDArray[np.float64] | None:
    """LightGBM with its default settings, trained on all training rows by their weights.

    None if there is no column to learn from, or if the deadline came first, or would: there is no way back
    from sorting the columns into bins.
    """
    classes = dataset.classes
    usual = learners()["lightgbm"].cost.seconds(len(dataset), dataset.width, classes)
    if _SHARE * usual > deadline.remaining:
        return None
    import lightgbm

    def by_deadline(env: Any) -> None:
        if deadline.passed:
            raise lightgbm.callback.EarlyStopException(env.iteration, [])

    objective = {0: "regression", 2: "binary"}.get(classes, "multiclass")
    parameters: dict[str, Any] = {"objective": objective, "verbosity": -1, "num_threads": 1}
    if classes > 2:
        parameters["num_class"] = classes
    if dataset.quantile is not None:
        parameters |= {"objective": "quantile", "alpha": dataset.quantile}
    X, codes = _matrix(dataset.table)
    if not X.shape[1]:
        return None
    y = np.asarray(dataset.y, dtype=np.float64)
    unit = max(float(np.abs(y).max()), 1e-300) if not classes else 1.0  # it computes in single precision
    data = lightgbm.Dataset(
        X, y / unit, weight=dataset.weight, categorical_feature=codes, params={"verbosity": -1}
    )
    booster = lightgbm.train(parameters, data, _ROUNDS, callbacks=[by_deadline])
    if booster.current_iteration() < _ROUNDS and deadline.passed:
        return None
    raw = np.asarray(booster.predict(_matrix(test)[0], num_threads=1), dtype=np.float64) * unit
    return np.column_stack([1 - raw, raw]) if classes == 2 else raw


def _matrix(table: Table) -> tuple[NDArray[np.float64], list[int]]:
    codes = table.codes.astype(np.float64)
    codes[table.codes < 0] = np.nan
    start = table.numbers.shape[1]
    return np.hstack([table.numbers, codes]), list(range(start, start + codes.shape[1]))
