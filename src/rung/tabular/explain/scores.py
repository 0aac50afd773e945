"""How good a model is on a table, with bootstrap intervals, beside a constant.

The interval is the percentile bootstrap (Efron 1979; Efron and Tibshirani 1993, section 13.3): rows drawn
with replacement, as multinomial weights, so that each resample is one weighted metric of the rows drawn; of
metrics that take no weights, rows that are there as often as they were drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.tabular.best_constant import Known, best_constant
from rung.tabular.frames import as_pandas
from rung.tabular.metrics import METRICS, Metric, get_metric
from rung.tabular.names import did_you_mean, listed

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.frames import Frame
    from rung.tabular.model import Model
    from rung.tabular.task import Task

RESAMPLES: Final = 200
LEVEL: Final = 0.95
MOST_DRAWS: Final = 40_000_000  # rows times resamples; more rows have narrower intervals, and get fewer
MOST_COPIED: Final = (
    4_000_000  # the same of metrics that take no weights, which are not rung's and may be slow
)
FEWEST_RESAMPLES: Final = 40
FEW_UNKNOWN: Final = 0.01  # of the rows may be of classes that the model does not know, and are left out
FEWEST_KNOWN: Final = 20  # rows with the same target at the same place that are no coincidence


class Interval(NamedTuple):
    """A score with its percentile interval; all NaN where the rows do not determine it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of the model, and of a constant, on the same rows."""

    metric: Metric
    model: Interval
    constant: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A model's predictions for rows whose truth is known.

    Attributes:
        y: (n,) class codes or values.
        prediction: (n, k) probabilities or (n,) values.
        known: the target of the rows that the constant is taken from.
        rows: (n,) where the rows stood in the table.
        empty: rows of the table that were left out, for their target is empty.
        learned: whether the constant is the training rows' (else these rows').
        weight: (n,) of the rows, None where they count the same.
        factors: (k,) of the classes, by which labels come from probabilities; None where the most probable is
            said.
        trained: whether the model has learned from these very rows, as far as its evidence tells.
        unknown: rows that were left out, for the model does not know their class.
    """

    y: NDArray[Any]
    prediction: NDArray[np.float64]
    known: Known
    rows: NDArray[np.intp]
    empty: int
    learned: bool
    trained: bool = False
    factors: NDArray[np.float64] | None = None
    weight: NDArray[np.float64] | None = None
    unknown: int = 0

    def constant(self, metric: Metric) -> NDArray[np.float64]:
        """What the best constant by this metric says of the rows: as `prediction`."""
        return np.broadcast_to(best_constant(metric, self.known), self.prediction.shape)

    def seen_by(self, metric: Metric) -> NDArray[np.float64]:
        """The predictions as a metric is to look at them: of labels, the factors count."""
        if metric.needs != "labels" or self.factors is None:
            return self.prediction
        return np.asarray(self.prediction * self.factors)


def judge(model: Model, frame: Frame, weight: NDArray[np.float64] | None = None) -> Judged:
    """Predict the rows of `frame` whose target is there.

    Args:
        weight: (n,) of the frame's rows; they count the same unless given.

    Raises:
        DataError: the target's column is missing or empty, holds classes that the model does not know in more
            than 1 % of the rows or a word where it predicts numbers, or another column is missing.
    """
    from rung.tabular.evaluate import quietly

    frame = as_pandas(frame)
    names = [str(name) for name in frame.columns]
    if model.target not in names:
        raise DataError(
            f"the table has no column {model.target!r}, which holds the truth that the model is judged by; "
            f"add it ({did_you_mean(model.target, names)})"
        )
    target = frame.iloc[:, names.index(model.target)]
    rows = np.flatnonzero(target.notna().to_numpy())
    if not len(rows):
        raise DataError(f"column {model.target!r} is empty in all {len(frame):,} rows: fill it")
    empty = len(frame) - len(rows)
    unknown = strange(model.task, target.iloc[rows])
    if unknown.mean() <= FEW_UNKNOWN:
        rows = rows[~unknown]
    truth = target.iloc[rows]
    y = _encoded(model.task, truth)
    with quietly():
        prediction = model.raw(frame.iloc[rows])
    weight = None if weight is None else weight[rows]
    known, of_known = y, weight
    if model.evidence is not None and len(model.evidence.y):
        known, of_known = model.evidence.y, model.evidence.weight
    task = model.task
    of = Known(np.asarray(known, dtype=np.float64), len(task.classes), of_known, task.quantile)
    return Judged(
        y,
        prediction,
        of,
        rows,
        empty,
        known is not y,
        trained_on(model, len(frame), rows, y),
        model.factors,
        weight,
        len(frame) - empty - len(rows),
    )


def trained_on(model: Model, length: int, rows: NDArray[np.intp], y: NDArray[Any]) -> bool:
    """Whether the target stands where it stood in the training table, in every row of the evidence."""
    evidence = model.evidence
    if evidence is None or len(evidence.y) < FEWEST_KNOWN or evidence.rows.max(initial=0) >= length:
        return False
    truth = np.full(length, np.nan)
    truth[rows] = y
    return bool((truth[evidence.rows] == evidence.y).all())


def strange(task: Task, truth: pd.Series[Any]) -> NDArray[np.bool_]:
    """Which rows are of a class that the model does not know: (n,)."""
    if not task.is_classification:
        return np.zeros(len(truth), dtype=bool)
    return np.asarray(task.find(truth) < 0)


def strangers(task: Task, truth: pd.Series[Any]) -> str:
    """The classes that the model does not know, with how often they are there, as a clause; empty if none."""
    unknown = truth[strange(task, truth)]
    if not len(unknown):
        return ""
    counts = unknown.astype(str).value_counts()
    rows, others = int(counts.iloc[0]), len(counts) - 1
    first = f"{counts.index[0]!r} in {rows:,} row{'s' * (rows != 1)}"
    more = f" and {others} other{'s' * (others != 1)}" if others else ""
    return (
        f"column {str(truth.name)!r} holds {first}{more}, a class that the model does not know (it knows "
        f"{listed(map(repr, task.classes), 'and', 8)})"
    )


def _encoded(task: Task, truth: pd.Series[Any]) -> NDArray[Any]:
    """Codes or values; a class that the model does not know is named, with how often it is there."""
    if said := strangers(task, truth):
        raise DataError(f"{said}: leave such rows out, correct them, or fit the model anew with them")
    return task.encode(truth)


def chosen_metrics(task: Task, names: Sequence[str] = (), first: str | None = None) -> list[Metric]:
    """The metrics of these names, or all that fit the task: `first`, else its default, before the others.

    Raises:
        DataError: there is none of a name, or it cannot judge this task.
    """
    if names:
        return list({m.name: m for m in (get_metric(name, task) for name in names)}.values())
    every = {metric.name: metric for metric in METRICS.values() if task.kind in metric.tasks}
    if "auc" in every:
        del every["auc_ovr"]  # the same of two classes
    try:
        own = get_metric(first, task)
    except DataError:  # a function of the user's, of which a model file has the name only
        return list(every.values())
    return list({own.name: own, **every}.values())


def scores(judged: Judged, metrics: Iterable[Metric], seed: int = 0) -> list[Score]:
    """Each metric of the model, with an interval, and of the constant."""
    return [
        Score(
            metric,
            bootstrap(metric, judged.y, judged.seen_by(metric), seed, weight=judged.weight),
            metric.score(judged.y, judged.constant(metric), judged.weight)
            if determined(metric, judged.y)
            else np.nan,
        )
        for metric in metrics
    ]


def bootstrap(
    metric: Metric,
    y: NDArray[Any],
    prediction: NDArray[np.float64],
    seed: int = 0,
    resamples: int = RESAMPLES,
    weight: NDArray[np.float64] | None = None,
) -> Interval:
    """The metric and its interval of 95 %.

    Args:
        y: (n,) class codes or values.
        prediction: (n, k) or (n,).
        weight: (n,) of the rows: each resample draws rows, whose weights come with them.
    """
    if weight is not None:  # a row without weight says nothing
        there = weight > 0
        y, prediction, weight = y[there], prediction[there], weight[there]
    if not determined(metric, y):
        return Interval(np.nan, np.nan, np.nan)
    value = metric.score(y, prediction, weight)
    if weight is None and metric.weighted:
        y, prediction, share = _condensed(metric, y, prediction)
    else:
        share = np.ones(len(y), dtype=np.int64)
    rows = int(share.sum())
    most = MOST_DRAWS if metric.weighted else MOST_COPIED
    count = int(np.clip(most // max(rows, 1), FEWEST_RESAMPLES, resamples))
    rng = np.random.default_rng([seed, 41])
    with np.errstate(all="ignore"):
        drawn = [_of_drawn(metric, y, prediction, times, weight) for times in _weights(rng, share, count)]
    low, high = np.quantile([x for x in drawn if np.isfinite(x)] or [np.nan], _tails())
    return Interval(value, float(min(low, value)), float(max(high, value)))


def _of_drawn(
    metric: Metric,
    y: NDArray[Any],
    prediction: NDArray[np.float64],
    times: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
) -> float:
    """The metric of a resample; NaN where it does not determine it.

    Rows that were not drawn are left out, not weighted by 0: else a class of theirs alone would count.
    """
    there = np.flatnonzero(times)
    if not metric.weighted:
        there = np.repeat(there, times[there].astype(np.intp))
    y, prediction, times = y[there], prediction.take(there, axis=0), times[there]
    if not determined(metric, y):
        return np.nan
    return metric.score(y, prediction, times if weight is None else times * weight[there])


def determined(metric: Metric, y: NDArray[Any]) -> bool:
    """Whether these rows can tell a good model from a bad one by this metric: two classes for a ranking, two
    values for R², none that the metric is not defined of.
    """
    if not len(y):
        return False
    if metric.name in ("auc", "auc_ovr", "average_precision", "r2", "mcc"):
        return bool((y != y[0]).any())
    return metric.takes(y)


def _tails() -> tuple[float, float]:
    return (1 - LEVEL) / 2, (1 + LEVEL) / 2


def _condensed(
    metric: Metric, y: NDArray[Any], prediction: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """The rows that differ to the metric, and how many of each there are.

    A metric of labels sees nothing but the cells of the confusion matrix: a resample of the rows is a
    multinomial draw of its cells, so that a table of any length costs k² numbers. Rows are sorted by the
    second class's probability, for a sort of what is sorted is quick.
    """
    if metric.needs == "labels":
        k = prediction.shape[1]
        cells, counts = np.unique(y * k + prediction.argmax(axis=1), return_counts=True)
        return cells // k, cells % k, counts
    ones = np.ones(len(y), dtype=np.int64)
    if prediction.ndim == 2:
        order = np.argsort(prediction[:, -1], kind="stable")
        return y[order], prediction[order], ones
    return y, prediction, ones


def _weights(rng: np.random.Generator, share: NDArray[np.int64], count: int) -> Iterable[NDArray[np.float64]]:
    """`count` multinomial draws of as many rows as there are."""
    rows, cells = int(share.sum()), len(share)
    for _ in range(count):
        if cells == rows:
            drawn = np.bincount(rng.integers(0, rows, rows), minlength=rows)
        else:
            drawn = rng.multinomial(rows, share / rows)
        yield drawn.astype(np.float64)
