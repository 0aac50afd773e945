"""What a model must beat: the best constant, and LightGBM as it comes, without a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from rung.tabular.task import Task

    Array: TypeAlias = npt.NDArray[Any]


def constant_prediction(y: Array, task: Task, rows: int) -> Array:
    """The same for every row: the classes' shares (rows, k), or the mean (rows,)."""
    if not task.is_classification:
        return np.full(rows, y.mean())
    shares = np.bincount(y, minlength=len(task.classes)) / len(y)
    return np.tile(shares, (rows, 1))


def lightgbm_prediction(
    train: pd.DataFrame, y: Array, test: pd.DataFrame, task: Task, threads: int = 0
) -> Array:
    """LightGBM's defaults (100 rounds), categories and missing cells as it takes them itself.

    Args:
        train, test: frames as `prepare` returns them.
        y: class codes or values, (n,).
        threads: 0 for all cores.

    Returns:
        Array: probabilities (rows, k) or values (rows,).
    """
    import lightgbm

    X, T = _matrices(train, test)
    categories = [i for i, name in enumerate(train.columns) if train[name].dtype == object]
    data = lightgbm.Dataset(X, y, categorical_feature=categories or "auto", free_raw_data=False)
    booster = lightgbm.train({**_objective(task), "verbose": -1, "num_threads": threads}, data)
    prediction = np.asarray(booster.predict(T))
    return np.column_stack([1 - prediction, prediction]) if task.kind == "binary" else prediction


def _objective(task: Task) -> dict[str, Any]:
    if not task.is_classification:
        return {"objective": "regression"}
    k = len(task.classes)
    return {"objective": "binary"} if task.kind == "binary" else {"objective": "multiclass", "num_class": k}


def _matrices(train: pd.DataFrame, test: pd.DataFrame) -> tuple[Array, Array]:
    """Both frames as floats: words as codes of the training frame's words, NaN where missing or unseen."""
    pairs = [_column(train[name], test[name]) for name in train.columns]
    return np.column_stack([a for a, _ in pairs]), np.column_stack([b for _, b in pairs])


def _column(train: pd.Series, test: pd.Series) -> tuple[Array, Array]:
    import pandas as pd

    if train.dtype == object:
        codes, words = pd.factorize(train)
        unseen = pd.Index(words).get_indexer(pd.Index(test))
        return np.where(codes < 0, np.nan, codes), np.where(unseen < 0, np.nan, unseen)
    if train.dtype.kind == "M":
        days = [(s - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1) for s in (train, test)]
        return days[0].to_numpy(dtype=float), days[1].to_numpy(dtype=float)
    return train.to_numpy(dtype=float), test.to_numpy(dtype=float)
