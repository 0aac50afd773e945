"""The metrics that a search for a model can be judged by: a table of functions over class codes or numbers.

Classification metrics take probabilities for every class, (n, k), binary tasks included; those of labels take
the most probable one. Formulas are scikit-learn's, weights included; written out here because scikit-learn
checks its arguments anew at each call, which costs more than the metric, and ensemble selection calls
thousands of times. A class that no row has is left out of averages over classes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations
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

_LEAST_SQUARE: Final = 1e-290  # a mean of squares below it has lost digits
DEFAULTS: Final = {"binary": "auc", "multiclass": "log_loss", "regression": "rmse"}


def get_metric(name: Any, task: Task) -> Metric:
    """The metric of that name, or the task's default.

    Args:
        name: one of `METRICS`, any of scikit-learn's scorers (`sklearn.metrics.get_scorer_names`), one of its
            scorer objects, or a function `(y_true, prediction) -> float` where more is better, but for those
            that scikit-learn has a scorer of. It sees labels, as they stood in the table.

    Raises:
        DataError: there is none of that name, or it cannot judge this task.
    """
    if task.kind == "quantile" and name is None:
        return named_metric(f"pinball_{task.quantile:g}")
    if name is not None and not isinstance(name, str):
        return _given_metric(name, task)
    asked = DEFAULTS[task.kind] if name is None else name.lower().replace("-", "_").removeprefix("neg_")
    fitting = [m.name for m in METRICS.values() if task.kind in m.tasks]
    try:
        metric = named_metric(
            asked if any(asked in some for some in (METRICS, FURTHER, ALIASES)) else str(name)
        )
    except KeyError:
        raise DataError(_no_metric(str(name))) from None
    if task.kind not in metric.tasks:
        raise DataError(
            f"metric {name!r} is for {listed(metric.tasks)} and the task is {task.kind}; "
            f"take one of {listed(fitting)}"
        )
    return metric


def _given_metric(given: Any, task: Task) -> Metric:
    """Of a scorer or a function: by scikit-learn's name of it, unless its positive class is another."""
    from rung.tabular.scoring import metric_of, other_class, scorer_name

    name = scorer_name(given)
    if name is None:
        return metric_of(given, task.kind, task.classes)
    if not other_class(name, task.classes):
        return get_metric(name, task)
    from sklearn.metrics import get_scorer

    return metric_of(get_scorer(name), task.kind, task.classes)


def _no_metric(name: str) -> str:
    """Why there is none of that name."""
    from rung.tabular.scoring import of_no_task

    other = of_no_task(name)
    return other or f"there is no metric {name!r}; {did_you_mean(name, [*METRICS, *FURTHER, *ALIASES])}"


def named_metric(name: str) -> Metric:
    """The metric of that name: rung's own, pinball_Q of a quantile, else scikit-learn's scorer.

    Raises:
        KeyError: there is none.
    """
    known = ALIASES.get(name, name)
    found = METRICS.get(known) or FURTHER.get(known)
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


def _auc_ovo(y: Array, p: Array, w: Array, *, prevalence: bool) -> float:
    """The mean over pairs of classes (Hand, Till 2001), each as its rows count where `prevalence` says so."""
    values, shares = [], []
    for one, other in combinations(np.unique(y), 2):
        rows = (y == one) | (y == other)
        sides = [_binary_auc(y[rows] == side, p[rows, side], w[rows]) for side in (one, other)]
        values.append(np.mean(sides))
        shares.append(w[rows].sum() if prevalence else 1.0)
    return float(np.average(values, weights=shares)) if values else 0.5


def _auc_ovr_weighted(y: Array, p: Array, w: Array) -> float:
    """The mean over the classes, each counting as its rows do."""
    present = np.unique(y)
    shares = [w[y == k].sum() for k in present]
    return float(np.average([_binary_auc(y == k, p[:, k], w) for k in present], weights=shares))


def _average_precision(y: Array, p: Array, w: Array) -> float:
    """Area under precision over recall as steps (binary); 0 without a positive row.

    Rows of no weight ahead of all others have no precision, and no step.
    """
    order = np.argsort(-p[:, 1], kind="stable")
    scores, hits, w = p[order, 1], (y[order] == 1) * w[order], w[order]
    ends = np.flatnonzero(np.r_[scores[1:] != scores[:-1], True])
    found, seen = np.cumsum(hits)[ends], np.cumsum(w)[ends]
    precision = found / np.maximum(seen, np.finfo(np.float64).tiny)
    return float((np.diff(found, prepend=0.0) * precision).sum() / found[-1]) if found[-1] > 0 else 0.0


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


def _rates(y: Array, c: Array, w: Array) -> tuple[Array, ...]:
    """Precision, recall, F1 and Jaccard's index of every class; 0 where undefined. Each (k,)."""
    matrix = _confusion(y, c, w)
    hit, said, true = matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = (hit / said, hit / true, 2 * hit / (said + true), hit / (said + true - hit))
    return tuple(np.nan_to_num(rate) for rate in rates)


def _one_class(y: Array, c: Array, w: Array, *, which: int) -> float:
    """One of `_rates` of the positive class of two."""
    return float(_rates(y, c, w)[which][1])


def _macro(y: Array, c: Array, w: Array, *, which: int) -> float:
    """The mean of one of `_rates` over the classes that are true or predicted of a row."""
    return float(_rates(y, c, w)[which][np.flatnonzero(np.bincount(np.r_[y, c]))].mean())


def _weighted(y: Array, c: Array, w: Array, *, which: int) -> float:
    """The mean of one of `_rates` over the classes, each counting as its rows do."""
    return float(np.average(_rates(y, c, w)[which], weights=_confusion(y, c, w).sum(axis=1)))


def _jaccard_micro(y: Array, c: Array, w: Array) -> float:
    """Jaccard's index of all classes together."""
    right = _accuracy(y, c, w)
    return right / (2 - right)


def _likelihood(y: Array, c: Array, w: Array, said: int) -> float:
    """How often class `said` is predicted where the positive one is true, to how often where it is not.

    Where it is never predicted of the negative one half a row is: the ratio would be undefined.
    """
    hit, positive, half = c == said, y == 1, w.mean() / 2
    of_positive = w[hit & positive].sum() / max(w[positive].sum(), half)
    return float(of_positive * max(w[~positive].sum(), half) / max(w[hit & ~positive].sum(), half))


def _mcc(y: Array, c: Array, w: Array) -> float:
    """Matthews' correlation coefficient, for any number of classes; 0 where undefined."""
    m = _confusion(y, c, w)
    true, said, n = m.sum(axis=1), m.sum(axis=0), m.sum()
    spread = (n**2 - said @ said) * (n**2 - true @ true)
    return float((m.trace() * n - true @ said) / np.sqrt(spread)) if spread > 0 else 0.0


def _mse(y: Array, v: Array, w: Array) -> float:
    return float(np.average((y - v) ** 2, weights=w))


def _rmse(y: Array, v: Array, w: Array) -> float:
    with np.errstate(over="ignore", under="ignore"):
        square = _mse(y, v, w)
    largest = np.inf if _LEAST_SQUARE < square < np.inf else float(np.abs(y - v).max(initial=0.0))
    if 0.0 < largest < np.inf:  # only the squares are beyond a float
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
    """Of values above -1 (`Metric.takes`); predictions below are taken as just above."""
    return _rmse(np.log1p(y), np.log1p(np.maximum(v, -1 + 1e-9)), w)


def _r2(y: Array, v: Array, w: Array) -> float:
    """0 for constant values that are missed, 1 if they are met."""
    away = y - np.average(y, weights=w)
    unit = float(np.abs(away).max(initial=0.0))  # whose square may be beyond a float
    if not 0.0 < unit < np.inf:
        return float(_mse(y, v, w) == 0)
    with np.errstate(over="ignore"):
        return float(1 - _mse(y / unit, v / unit, w) / np.average((away / unit) ** 2, weights=w))


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
        ("precision", up, "labels", binary, partial(_one_class, which=0), 1.0),
        ("recall", up, "labels", binary, partial(_one_class, which=1), 1.0),
        ("f1", up, "labels", binary, partial(_one_class, which=2), 1.0),
        ("f1_macro", up, "labels", both, partial(_macro, which=2), 1.0),
        ("f1_weighted", up, "labels", both, partial(_weighted, which=2), 1.0),
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


def _further() -> dict[str, Metric]:
    """Those of scikit-learn's scorers that would be slow, or warn, if they were called as they are."""
    auc: dict[str, Score] = {
        "roc_auc_ovo": partial(_auc_ovo, prevalence=False),
        "roc_auc_ovo_weighted": partial(_auc_ovo, prevalence=True),
        "roc_auc_ovr_weighted": _auc_ovr_weighted,
    }
    rows: tuple[tuple[str, bool, tuple[str, ...], Score, float | None], ...] = (
        ("jaccard", True, ("binary",), partial(_one_class, which=3), 1.0),
        ("jaccard_macro", True, CLASSES, partial(_macro, which=3), 1.0),
        ("jaccard_micro", True, CLASSES, _jaccard_micro, 1.0),
        ("jaccard_weighted", True, CLASSES, partial(_weighted, which=3), 1.0),
        ("precision_macro", True, CLASSES, partial(_macro, which=0), 1.0),
        ("precision_weighted", True, CLASSES, partial(_weighted, which=0), 1.0),
        ("recall_macro", True, CLASSES, partial(_macro, which=1), 1.0),
        ("positive_likelihood_ratio", True, ("binary",), partial(_likelihood, said=1), None),
        ("negative_likelihood_ratio", False, ("binary",), partial(_likelihood, said=0), 0.0),
    )
    of_labels = {name: Metric(name, up, "labels", kinds, f, best) for name, up, kinds, f, best in rows}
    return of_labels | {name: Metric(name, True, "probabilities", CLASSES, f, 1.0) for name, f in auc.items()}


METRICS: Final = _table()
"""Those that `rung evaluate` shows."""
FURTHER: Final = _further()
ALIASES: Final = {
    "roc_auc": "auc",
    "roc_auc_ovr": "auc_ovr",
    "brier_score": "brier",
    "brier_score_loss": "brier",
    "logloss": "log_loss",
    "cross_entropy": "log_loss",
    "acc": "accuracy",
    "f1_micro": "accuracy",  # the same where a row has one class
    "precision_micro": "accuracy",
    "recall_micro": "accuracy",
    "recall_weighted": "accuracy",
    "matthews_corrcoef": "mcc",
    "root_mean_squared_error": "rmse",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "mean_absolute_percentage_error": "mape",
    "root_mean_squared_log_error": "rmsle",
}
