"""The best prediction without a look at the row, by a metric: what a model must beat.

The mean is best by squared errors only: absolute ones have the median, relative and logarithmic ones centres
of their own (Gneiting 2011, "Making and evaluating point forecasts").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.metrics import FURTHER, METRICS, Metric
from rung.tabular.pipeline import constant

Floats = NDArray[np.float64]


class Known(NamedTuple):
    """The target of rows to take a constant from.

    Attributes:
        y: (n,) class codes, or values where `classes` is 0.
        weight: (n,), None where rows count the same.
        quantile: which one is to be predicted, None for any other task.
    """

    y: Floats
    classes: int = 0
    weight: Floats | None = None
    quantile: float | None = None


def best_constant(metric: Metric, known: Known) -> Floats:
    """What scores best by the metric if it is said of each of these rows: (k,) or ().

    Classes' shares, of which a metric of labels takes the most frequent class or, of two, whichever scores
    better; of a quantile's task that quantile; the mean by a metric of which the centre is not known.
    """
    y, classes, weight, quantile = known
    if classes:
        return _shares(metric, known)
    level = _quantile(metric.name) if quantile is None else quantile
    if level is not None:
        return constant(y, 0, weight, level).prediction
    center = _CENTERS.get(metric.name)
    if center is None or not metric.takes(y):
        return constant(y, 0, weight).prediction
    return np.asarray(center(y, np.ones(len(y)) if weight is None else weight))


def _shares(metric: Metric, known: Known) -> Floats:
    shares = constant(known.y, known.classes, known.weight).prediction
    if known.classes != 2 or metric.needs != "labels" or metric.name not in (METRICS | FURTHER):
        return shares
    codes, counts = np.arange(2), np.bincount(known.y.astype(np.intp), known.weight, minlength=2)
    usual = int(shares.argmax())
    losses = [metric.loss(codes, np.full(2, said), counts) for said in (usual, 1 - usual)]
    return np.eye(2)[1 - usual] if losses[1] < losses[0] else shares


def _quantile(name: str) -> float | None:
    """The quantile that is best by a metric of this name; None where none is."""
    if name in ("mae", "d2_absolute_error_score"):
        return 0.5
    head, _, level = name.partition("_")
    try:
        found = float(level) if head == "pinball" else -1.0
    except ValueError:  # a function of the user's
        return None
    return found if 0 < found < 1 else None


def _of_half(y: Floats, weight: Floats) -> float:
    """The middle of the shortest range that holds half of the rows (Rousseeuw 1984, "Least median of squares
    regression", section 3).
    """
    order = np.argsort(y)
    y, share = y[order], np.cumsum(weight[order]) / weight.sum()
    before = share - weight[order] / weight.sum()
    first = np.flatnonzero(before + 0.5 <= 1 + 1e-12)
    last = np.minimum(np.searchsorted(share, before[first] + 0.5 - 1e-12), len(y) - 1)
    best = int(np.argmin(y[last] - y[first]))
    low, high = y[first[best]], y[last[best]]
    return float(low / 2 + high / 2)


def _relative(y: Floats, weight: Floats) -> float:
    """The median, where a row's error counts by its size."""
    sizes = np.maximum(np.abs(y), np.finfo(np.float64).eps)
    return float(constant(y, 0, weight / (sizes / sizes.min()), 0.5).prediction)


def _logarithmic(y: Floats, weight: Floats) -> float:
    return float(np.expm1(np.average(np.log1p(y), weights=weight)))


def _middle(y: Floats, weight: Floats) -> float:
    there = y[weight > 0]
    return float(there.min() / 2 + there.max() / 2)


_CENTERS: Final[dict[str, Callable[[Floats, Floats], float]]] = {
    "median_absolute_error": _of_half,
    "mape": _relative,
    "rmsle": _logarithmic,
    "mean_squared_log_error": _logarithmic,
    "max_error": _middle,
}
