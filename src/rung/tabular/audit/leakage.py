"""Suspects of leakage: columns that tell the target almost by themselves, or are known only afterwards.

A column's power is that of the target's smoothed mean by level, cross-validated on a sample; numbers, dates
and the lengths of texts are cut into at most 256 bins of equally many rows for it, and where the target is a
number, its values are interpolated between neighbours. What leaks
and what this costs: Kaufman, Rosset, Perlich and Stitelman, "Leakage in data mining", TKDD 6(4), 2012.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.audit.cells import prepared
from rung.tabular.audit.finding import Finding, rows, words_of
from rung.tabular.columns import Column, Kind
from rung.tabular.metrics import METRICS
from rung.tabular.task import Task

if TYPE_CHECKING:
    import pandas as pd

ALMOST: Final = 0.99  # of the measure: AUC, balanced accuracy, R2
STRONG: Final = 0.95  # of whether a cell is missing
_FOLDS: Final = 3
_FEWEST: Final = 30  # rows
_BINS: Final = 256
_SMOOTHING: Final = 0.5  # rows that the overall mean counts
_MOST: Final = 20_000  # rows looked at
_MEASURES: Final = {"binary": "auc", "multiclass": "balanced_accuracy", "regression": "r2"}
_AFTERWARDS: Final = frozenset(
    [
        *("outcome", "result", "label", "target", "prediction", "predicted", "pred", "proba", "probability"),
        *("resolution", "resolved", "closed", "cancelled", "canceled", "cancellation", "refund", "refunded"),
        *("chargeback", "settled", "settlement", "final", "discharge", "deceased", "death", "terminated"),
        *("termination", "churned", "defaulted", "recovered", "afterwards", "post"),
    ]
)
_PLAIN: Final = frozenset(
    ["class", "target", "label", "y", "type", "value", "output", "name", "id", "is", "has"]
)


class Power(NamedTuple):
    """What one column alone says about the target: `score` by `measure`, cross-validated."""

    column: str
    measure: str
    score: float


def sample_rows(known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """At most 20,000 of the rows with a target, ascending."""
    there = np.flatnonzero(known)
    if len(there) <= _MOST:
        return there
    return np.sort(np.random.default_rng(0).choice(there, _MOST, replace=False))


def powers(frame: pd.DataFrame, columns: tuple[Column, ...], y: NDArray[Any], task: Task) -> list[Power]:
    """Every used column's power, the strongest first.

    Args:
        frame: rows with a target (a sample).
        y: (n,) class codes or finite values.
    """
    if len(y) < _FEWEST or len(np.unique(y)) < 2:
        return []
    folds = _folds(y, task)
    measure = _MEASURES[task.kind]
    found = []
    for column in columns:
        if column.used:
            cells = prepared(frame[[column.name]], [column])[column.name]
            prediction = _predicted(cells, column, y, folds)
            found.append(Power(column.name, measure, _score(y, prediction, measure)))
    return sorted(found, key=lambda one: -one.score)


def _folds(y: NDArray[Any], task: Task) -> NDArray[np.intp]:
    """(n,) random folds, stratified by class."""
    order = np.random.default_rng(0).permutation(len(y))
    if task.is_classification:
        order = order[np.argsort(y[order], kind="stable")]
    folds = np.empty(len(y), dtype=np.intp)
    folds[order] = np.arange(len(y)) % _FOLDS
    return folds


def _score(y: NDArray[Any], prediction: NDArray[np.float64], measure: str) -> float:
    return float(METRICS[measure].score(y, prediction))


def _predicted(
    cells: pd.Series, column: Column, y: NDArray[Any], folds: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Out of fold: (n, k) probabilities, or (n,) values."""
    import pandas as pd

    numbers = column.kind != Kind.CATEGORY
    if numbers and y.dtype.kind == "f":
        return _interpolated(_as_numbers(cells, column), y, folds)
    hot = y[:, None] if y.dtype.kind == "f" else np.eye(int(y.max()) + 1)[y]  # (n, k)
    if not numbers:
        codes = np.asarray(pd.factorize(cells, use_na_sentinel=False)[0])
    else:
        codes = binned(_as_numbers(cells, column))
    prediction = np.empty(hot.shape)
    for fold in range(_FOLDS):
        prediction[folds == fold] = _means(codes, hot, folds != fold)[folds == fold]
    return np.asarray(prediction[:, 0]) if y.dtype.kind == "f" else prediction


def binned(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """(n,) the bins of equally many values, at most 256 and of six or more; equal values are together, and
    missing ones are a bin of their own.
    """
    present = np.sort(values[~np.isnan(values)])
    if not len(present):
        return np.zeros(len(values), dtype=np.intp)
    count = int(np.clip(len(present) // 6, 1, _BINS))
    places = np.ceil(np.arange(1, count + 1) * len(present) / count).astype(int) - 1
    codes = np.searchsorted(np.unique(present[places]), values, side="left")
    codes[np.isnan(values)] = count
    return codes


def _interpolated(
    x: NDArray[np.float64], y: NDArray[np.float64], folds: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Out of fold: a value between those of the two nearest training rows; the mean where `x` is missing."""
    prediction = np.empty(len(y))
    for fold in range(_FOLDS):
        train, test = folds != fold, folds == fold
        known = train & ~np.isnan(x)
        rest = y[train & ~known] if (train & ~known).any() else y[train]
        prediction[test] = rest.mean()
        if known.any():
            places, group = np.unique(x[known], return_inverse=True)
            means = np.bincount(group, weights=y[known]) / np.bincount(group)
            inside = test & ~np.isnan(x)
            prediction[inside] = np.interp(x[inside], places, means)
    return prediction


def _means(
    codes: NDArray[np.intp], hot: NDArray[np.float64], train: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The target's smoothed mean by code, from the training rows, for all rows: (n, k)."""
    size = int(codes.max()) + 1
    counts = np.bincount(codes[train], minlength=size)[:, None]
    sums = np.column_stack([np.bincount(codes[train], weights=part[train], minlength=size) for part in hot.T])
    prior = hot[train].mean(axis=0)
    return np.asarray(((sums + _SMOOTHING * prior) / (counts + _SMOOTHING))[codes])


def _as_numbers(cells: pd.Series, column: Column) -> NDArray[np.float64]:
    """(n,); the length of a text."""
    if column.kind == Kind.TEXT:
        return np.array([np.nan if x is None else float(len(x)) for x in cells.to_numpy(dtype=object)])
    if column.kind == Kind.DATE:
        moments = cells.to_numpy(dtype="datetime64[ns]")
        days = moments.astype(np.int64) / 86_400e9
        return np.where(np.isnat(moments), np.nan, days)
    return np.asarray(cells.to_numpy(dtype=np.float64))


def leakage_findings(
    frame: pd.DataFrame, columns: tuple[Column, ...], y: NDArray[Any], task: Task, target: str
) -> Iterator[Finding]:
    """Suspects by power, by what is missing, and by name; `frame` and `y` as for `powers`."""
    strongest = {power.column: power for power in powers(frame, columns, y, task)}
    missing = dict(_by_missing(frame, columns, y, task))
    for column in columns:
        power = strongest.get(column.name)
        if power is not None and power.score >= ALMOST:
            yield _by_power(power)
        if column.name in missing:
            yield missing[column.name]
        if column.used:
            yield from _by_name(column.name, target)


def _by_power(power: Power) -> Finding:
    words = {"auc": "AUC", "balanced_accuracy": "balanced accuracy", "r2": "R²"}[power.measure]
    return Finding(
        "warning",
        power.column,
        f"predicts the target almost perfectly by itself ({words} {power.score:.4f}, cross-validated)",
        "rung uses it; if it is not known when a prediction is made, drop it, or the score deceives",
        "leakage",
    )


def _by_missing(
    frame: pd.DataFrame, columns: tuple[Column, ...], y: NDArray[Any], task: Task
) -> Iterator[tuple[str, Finding]]:
    """Columns that are there or missing by what the target is."""
    if len(y) < _FEWEST:
        return
    for column in columns:
        gone = frame[column.name].isna().to_numpy()
        count = int(min(gone.sum(), (~gone).sum()))
        if count < 10 or (sentence := _told(gone, y, task)) is None:
            continue
        yield (
            column.name,
            Finding(
                "warning",
                column.name,
                f"whether it is missing tells the target: {sentence}",
                "rung uses it; a column that is filled in once the target is known must be dropped",
                "leakage-missing",
            ),
        )


def _told(gone: NDArray[np.bool_], y: NDArray[Any], task: Task) -> str | None:
    if not task.is_classification:
        spread = float(np.var(y))
        within = gone.mean() * np.var(y[gone]) + (~gone).mean() * np.var(y[~gone])
        told = 1 - within / spread if spread > 0 else 0.0
        return f"R² {told:.2f}" if told >= 0.9 else None
    for words, part in (("missing", gone), ("there", ~gone)):
        counts = np.bincount(y[part], minlength=len(task.classes))
        k = int(counts.argmax())
        base, hit = float((y == k).mean()), float(counts[k] / counts.sum())
        reach = float(counts[k] / (y == k).sum())  # of the class's rows
        if hit >= STRONG and reach >= 0.5 and base <= 0.8:
            return (
                f"where it is {words}, {hit:.0%} of the rows are {task.classes[k]!s}, and {base:.0%} of all "
                f"({rows(int(part.sum()))} of {len(y):,} that were looked at)"
            )
    return None


def _by_name(name: str, target: str) -> Iterator[Finding]:
    tokens = set(words_of(name))
    own = set(words_of(target)) - _PLAIN
    hints = sorted(tokens & (_AFTERWARDS - set(words_of(target))))
    if own and own <= tokens:
        why = f"its name holds the target's ({target})"
    elif hints:
        why = f"its name ({hints[0]!r}) sounds like what is known only afterwards"
    else:
        return
    yield Finding(
        "note",
        name,
        why,
        "rung uses it; drop it if it is not known when a prediction is made",
        "leakage-name",
    )
