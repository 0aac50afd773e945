"""The metrics that a search for a model can be judged by: a table of functions over class codes or numbers.

Classification metrics take probabilities for every class, (n, k), binary tasks included; those of labels take
the most probable one. Formulas are scikit-learn's, weights included; written out here because scikit-learn
checks its arguments anew at each call, which costs more than the metric, and ensemble selection calls
thousands of times. A class that no row has is left out of averages over classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from rung.errors import DataError
from rung.tabular.metric import CLASSES as CLASSES
from rung.tabular.metric import NUMBERS as NUMBERS
from rung.tabular.metric import Metric as Metric
from rung.tabular.names import did_you_mean, listed

if TYPE_CHECKING:
    import numpy.typing as npt

    from rung.tabular.task import Task

    Array: TypeAlias = npt.NDArray[Any]
    Score: TypeAlias = Callable[[Array, Array, Array], float]

DEFAULTS: Final = {"binary": "auc", "multiclass": "log_loss", "regression": "rmse"}


def get_metric(name: Any, task: Task) -> Metric:
    """The metric of that name, or the task's default.

    Args:
        name: one of `METRICS`, any of scikit-learn's scorers (`sklearn.metrics.get_scorer_names`), a function
            `(y_true, prediction) -> float` where more is better, or one of scikit-learn's scorer objects.

    Raises:
        DataError: there is none of that name, or it cannot judge this task.
    """
    if task.kind == "quantile" and name is None:
        return named_metric(f"pinball_{task.quantile:g}")
    if name is not None and not isinstance(name, str):
        from rung.tabular.scoring import metric_of

        return metric_of(name, task.kind)
    asked = DEFAULTS[task.kind] if name is None else name.lower().replace("-", "_").removeprefix("neg_")
    fitting = [m.name for m in METRICS.values() if task.kind in m.tasks]
    try:
        metric = named_metric(asked if asked in METRICS or asked in ALIASES else str(name))
    except KeyError:
        raise DataError(
            f"there is no metric {name!r}; {did_you_mean(str(name), [*METRICS, *ALIASES])}"
        ) from None
    if task.kind not in metric.tasks:
        raise DataError(
            f"metric {name!r} is for {listed(metric.tasks)} and the task is {task.kind}; "
            f"take one of {listed(fitting)}"
        )
    return metric


def named_metric(name: str) -> Metric:
    """The metric of that name: rung's own, pinball_Q of a quantile, else scikit-learn's scorer.

    Raises:
        KeyError: there is none.
    """
    found = METRICS.get(ALIASES.get(name, name))
    if found is not None:
        return found
    from rung.tabular.scoring import pinball, scikit_learn_metric

    return pinball(name) or scikit_learn_metric(name)


def _auc(y: Array, p: Array, w: Array) -> float:
    return _binary_auc(y == 1, p[:, 1], w)


def _binary_auc(positive: Array, p: Array, w: Array) -> float:
    """Weighted probability that a positive row is ranked above a negative one, ties one half; 0.5 if one
    kind lacks.
    """
    order = np.argsort(p, kind="stable")
    p, positive, w = p[order], positive[order], w[order]
    starts = np.flatnonzero(np.r_[True, p[1:] != p[:-1]])
    ups = np.add.reduceat(np.where(positive, w, 0.0), starts)
    downs = np.add.reduceat(np.where(positive, 0.0, w), starts)
    total = ups.sum() * downs.sum()
    return float((ups * (np.cumsum(downs) - downs / 2)).sum() / total) if total > 0 else 0.5


def _auc_ovr(y: Array, p: Array, w: Array) -> float:
    present = [k for k in range(p.shape[1]) if 0 < (y == k).sum() < len(y)]
    return float(np.mean([_binary_auc(y == k, p[:, k], w) for k in present])) if present else 0.5


def _average_precision(y: Array, p: Array, w: Array) -> float:
    """Area under precision over recall as steps (binary); 0 without a positive row."""
    order = np.argsort(-p[:, 1], kind="stable")
    scores, hits, w = p[order, 1], (y[order] == 1) * w[order], w[order]
    ends = np.flatnonzero(np.r_[scores[1:] != scores[:-1], True])
    found, seen = np.cumsum(hits)[ends], np.cumsum(w)[ends]
    return float((np.diff(found, prepend=0.0) * found / seen).sum() / found[-1]) if found[-1] > 0 else 0.0


def _log_loss(y: Array, p: Array, w: Array) -> float:
    floor = np.finfo(np.float64).eps
    q = np.clip(p, floor, 1.0)
    own = q[np.arange(len(y)), y] / q.sum(axis=1)
    return float(-np.average(np.log(own), weights=w))


def _brier(y: Array, p: Array, w: Array) -> float:
    if p.shape[1] == 2:
        return float(np.average((p[:, 1] - y) ** 2, weights=w))
    hot = np.zeros_like(p, dtype=np.float64)
    hot[np.arange(len(y)), y] = 1.0
    return float(np.average(((p - hot) ** 2).sum(axis=1), weights=w))


def _accuracy(y: Array, c: Array, w: Array) -> float:
    return float(np.average(y == c, weights=w))


def _confusion(y: Array, c: Array, w: Array) -> Array:
    """Weights by true and predicted class: (k, k)."""
    k = int(max(y.max(), c.max(), 1)) + 1
    return np.bincount(y * k + c, weights=w, minlength=k * k).reshape(k, k)


def _balanced_accuracy(y: Array, c: Array, w: Array) -> float:
    matrix = _confusion(y, c, w)
    rows = matrix.sum(axis=1)
    return float((matrix.diagonal()[rows > 0] / rows[rows > 0]).mean())


def _rates(y: Array, c: Array, w: Array) -> tuple[Array, Array, Array]:
    """Precision, recall and F1 of every class that occurs; 0 where undefined. Each (k,)."""
    matrix = _confusion(y, c, w)
    hit, said, true = matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = [np.nan_to_num(hit / said), np.nan_to_num(hit / true), np.nan_to_num(2 * hit / (said + true))]
    return rates[0], rates[1], rates[2]


def _one_class(which: int) -> Score:
    """Precision (0), recall (1) or F1 (2) of the positive class of two."""
    return lambda y, c, w: float(_rates(y, c, w)[which][1])


def _f1_macro(y: Array, c: Array, w: Array) -> float:
    occurs = np.union1d(y, c)
    return float(_rates(y, c, w)[2][occurs].mean())


def _f1_weighted(y: Array, c: Array, w: Array) -> float:
    matrix_rows = _confusion(y, c, w).sum(axis=1)
    return float(np.average(_rates(y, c, w)[2], weights=matrix_rows))


def _mcc(y: Array, c: Array, w: Array) -> float:
    """Matthews' correlation coefficient, for any number of classes; 0 where undefined."""
    m = _confusion(y, c, w)
    true, said, n = m.sum(axis=1), m.sum(axis=0), m.sum()
    spread = (n**2 - said @ said) * (n**2 - true @ true)
    return float((m.trace() * n - true @ said) / np.sqrt(spread)) if spread > 0 else 0.0


def _mse(y: Array, v: Array, w: Array) -> float:
    return float(np.average((y - v) ** 2, weights=w))


def _rmse(y: Array, v: Array, w: Array) -> float:
    with np.errstate(over="ignore"):
        square = _mse(y, v, w)
    largest = float(np.abs(y - v).max()) if np.isinf(square) else np.inf
    if np.isfinite(largest):  # only the squares are too large for a float
        return float(largest * np.sqrt(np.average(((y - v) / largest) ** 2, weights=w)))
    return float(np.sqrt(square))


def _mae(y: Array, v: Array, w: Array) -> float:
    return float(np.average(np.abs(y - v), weights=w))


def _median_absolute_error(y: Array, v: Array, w: Array) -> float:
    error = np.abs(y - v)
    if (w == w[0]).all():
        return float(np.median(error))
    order = np.argsort(error)
    share = np.cumsum(w[order]) / w.sum()
    return float(error[order][np.searchsorted(share, 0.5)])


def _mape(y: Array, v: Array, w: Array) -> float:
    return float(np.average(np.abs(y - v) / np.maximum(np.abs(y), np.finfo(np.float64).eps), weights=w))


def _rmsle(y: Array, v: Array, w: Array) -> float:
    """Of values above -1; predictions below are taken as just above."""
    low = -1 + 1e-9
    return _rmse(np.log1p(np.maximum(y, low)), np.log1p(np.maximum(v, low)), w)


def _r2(y: Array, v: Array, w: Array) -> float:
    """0 for constant values that are missed, 1 if they are met."""
    spread = np.average((y - np.average(y, weights=w)) ** 2, weights=w)
    error = _mse(y, v, w)
    return float(1 - error / spread) if spread > 0 else float(error == 0)


def _table() -> dict[str, Metric]:
    binary, both, numbers = ("binary",), CLASSES, NUMBERS
    up, down = True, False
    rows: tuple[tuple[str, bool, str, tuple[str, ...], Score, float | None], ...] = (
        ("auc", up, "probabilities", binary, _auc, 1.0),
        ("auc_ovr", up, "probabilities", both, _auc_ovr, 1.0),
        ("average_precision", up, "probabilities", binary, _average_precision, 1.0),
        ("log_loss", down, "probabilities", both, _log_loss, 0.0),
        ("brier", down, "probabilities", both, _brier, 0.0),
        ("accuracy", up, "labels", both, _accuracy, 1.0),
        ("balanced_accuracy", up, "labels", both, _balanced_accuracy, 1.0),
        ("precision", up, "labels", binary, _one_class(0), 1.0),
        ("recall", up, "labels", binary, _one_class(1), 1.0),
        ("f1", up, "labels", binary, _one_class(2), 1.0),
        ("f1_macro", up, "labels", both, _f1_macro, 1.0),
        ("f1_weighted", up, "labels", both, _f1_weighted, 1.0),
        ("mcc", up, "labels", both, _mcc, 1.0),
        ("rmse", down, "values", numbers, _rmse, 0.0),
        ("mse", down, "values", numbers, _mse, 0.0),
        ("mae", down, "values", numbers, _mae, 0.0),
        ("median_absolute_error", down, "values", numbers, _median_absolute_error, 0.0),
        ("mape", down, "values", numbers, _mape, 0.0),
        ("rmsle", down, "values", numbers, _rmsle, 0.0),
        ("r2", up, "values", numbers, _r2, 1.0),
    )
    return {row[0]: Metric(*row) for row in rows}


METRICS: Final = _table()
ALIASES: Final = {
    "roc_auc": "auc",
    "roc_auc_ovr": "auc_ovr",
    "brier_score": "brier",
    "brier_score_loss": "brier",
    "logloss": "log_loss",
    "cross_entropy": "log_loss",
    "acc": "accuracy",
    "matthews_corrcoef": "mcc",
    "root_mean_squared_error": "rmse",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "mean_absolute_percentage_error": "mape",
    "root_mean_squared_log_error": "rmsle",
}
