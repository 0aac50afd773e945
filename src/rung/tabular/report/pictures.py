"""What the predictions for the judged rows show: confusion, ROC, precision and recall, calibration, errors,
and groups that are served badly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from rung.tabular import charts
from rung.tabular.charts import Dot, Line
from rung.tabular.explain.slices import Slices
from rung.tabular.report.findings import judged_rows, judged_weight
from rung.tabular.result import FitResult

if TYPE_CHECKING:
    import numpy.typing as npt
    from markupsafe import Markup

    Array = npt.NDArray[Any]

MOST_CLASSES: Final = 20  # in the confusion matrix
MOST_CURVES: Final = 5
MOST_PAIRS: Final = 10  # of classes taken for each other
_LITTLE: Final = 1e-9  # in place of no rows at all
Picture = tuple[str, str, "Markup"]  # heading, what it shows, chart


class Judged(NamedTuple):
    """The rows that the report judges on: held out from the start if there are such, else the validation
    rows.
    """

    y: Array
    prediction: npt.NDArray[np.float64]
    words: str
    weight: npt.NDArray[np.float64]  # (n,), ones where rows count the same


class Confusion(NamedTuple):
    """Counts of rows by true (down) and predicted class (across), and the share of each true class, for
    shading; `pairs` are the classes taken for each other most often. Rows with weights count by them, scaled
    so that a row counts as one in the mean.
    """

    labels: list[str]
    counts: list[list[int]]
    shares: list[list[float]]
    left_out: int
    rates: list[tuple[str, int, float, float]]  # class, rows, precision, recall
    pairs: list[tuple[str, str, int, float]]  # true, predicted, rows, share of the true class


def judged(result: FitResult) -> Judged:
    """What the report judges on."""
    _, y, prediction = judged_rows(result)
    given = judged_weight(result)
    weight = np.ones(len(y)) if given is None else given
    words = f"the {len(y):,} validation rows ({result.validation})"
    if result.held is not None:
        words = f"the {len(y):,} rows held out from the start"
    return Judged(y, prediction, words if given is None else f"{words}, each counted by its weight", weight)


def confusion(result: FitResult, rows: Judged) -> Confusion | None:
    """Of the twenty most frequent classes; None for numbers."""
    if not result.task.is_classification or not len(rows.y):
        return None
    k = len(result.task.classes)
    whole = np.zeros((k, k))
    np.add.at(whole, (rows.y.astype(np.int64), result.model.codes(rows.prediction)), _units(rows.weight))
    kept = np.sort(np.argsort(-whole.sum(axis=1), kind="stable")[:MOST_CLASSES])
    counts = whole[np.ix_(kept, kept)]
    true, said = whole.sum(axis=1), np.maximum(whole.sum(axis=0), _LITTLE)
    shares = counts / np.maximum(true[kept][:, None], _LITTLE)
    labels = [str(result.task.classes[i]) for i in kept]
    precision = (whole.diagonal() / said)[kept]
    counted, seen = np.rint(counts).astype(int).tolist(), np.rint(true[kept]).astype(int).tolist()
    rates = list(zip(labels, seen, precision.tolist(), shares.diagonal().tolist(), strict=True))
    return Confusion(labels, counted, shares.tolist(), k - len(kept), rates, _pairs(result, whole))


def _units(weight: Array) -> Array:
    """Weights scaled so that their mean is one."""
    total = weight.sum()
    return weight * (len(weight) / total) if total > 0 else weight


def _pairs(result: FitResult, whole: Array) -> list[tuple[str, str, int, float]]:
    """Classes taken for others, the most rows first; only where there are more than two."""
    if len(whole) < 3:
        return []
    wrong = whole - np.diag(whole.diagonal())
    found = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    names = [str(label) for label in result.task.classes]
    return [
        (names[i], names[j], round(wrong[i, j]), float(wrong[i, j] / whole[i].sum()))
        for i, j in zip(*np.unravel_index(found, wrong.shape), strict=True)
        if wrong[i, j] >= 0.5
    ]


def pictures(result: FitResult, rows: Judged) -> list[Picture]:
    """ROC, precision and recall, and calibration of classes; three views of the errors of numbers."""
    if not len(rows.y):
        return []
    return _of_classes(result, rows) if result.task.is_classification else _of_numbers(result, rows)


def _of_classes(result: FitResult, rows: Judged) -> list[Picture]:
    names = [str(label) for label in result.task.classes]
    counts = np.bincount(rows.y.astype(np.int64), weights=rows.weight, minlength=len(names))
    shown = [1] if len(names) == 2 else np.argsort(-counts, kind="stable")[:MOST_CURVES].tolist()
    shown = [k for k in shown if 0 < counts[k] < counts.sum()]
    found: list[Picture] = []
    if shown:
        each = "Each class against the others" if len(names) > 2 else f"Each threshold on P({names[1]})"
        fewer = f"; the {len(shown)} most frequent classes" if len(names) > len(shown) > 1 else ""
        ranks = [_ranked(rows.prediction[:, k], rows.y == k, rows.weight) for k in shown]
        roc = [Line(names[k], _roc(*one)) for k, one in zip(shown, ranks, strict=True)]
        recall = [Line(names[k], _precision(*one)) for k, one in zip(shown, ranks, strict=True)]
        level = float(counts[shown[0]] / counts.sum()) if len(shown) == 1 else 0.0
        found += [
            (
                "ROC curve",
                f"{each}{fewer}; the dashed line is chance.",
                charts.lines_chart(roc, "false positive rate", "true positive rate", unit=True),
            ),
            (
                "Precision and recall",
                f"Of those found, how many are right; of the right ones, how many are found{fewer}"
                + (f"; the dashed line is the share of {names[1]}." if len(names) == 2 else "."),
                charts.lines_chart(recall, "recall", "precision", unit=True, level=level),
            ),
        ]
    return [*found, _calibration(result, rows)]


def _roc(hits: Array, seen: Array) -> list[tuple[float, float]]:
    """At most 200 points of the ROC curve."""
    misses = seen - hits
    points = np.column_stack([misses / (misses[-1] or 1), hits / (hits[-1] or 1)])
    return [(0.0, 0.0), *_thinned(points)]


def _precision(hits: Array, seen: Array) -> list[tuple[float, float]]:
    """At most 200 points of precision over recall."""
    there = seen > 0
    return _thinned(np.column_stack([hits / (hits[-1] or 1), hits / np.where(there, seen, 1)])[there])


def _ranked(p: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Weight of the positives, and of the rows, among those with at least each probability that occurs, the
    largest first.
    """
    order = np.argsort(-p, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(p[order]) != 0, True])
    return np.cumsum(y[order] * weight[order])[ends], np.cumsum(weight[order])[ends]


def _thinned(points: Array) -> list[tuple[float, float]]:
    keep = np.unique(np.linspace(0, len(points) - 1, 200).astype(int))
    return [(round(a, 4), round(b, 4)) for a, b in points[keep].tolist()]


def _calibration(result: FitResult, rows: Judged) -> Picture:
    """Mean probability and share found in up to ten groups of equally many rows, with Wilson's intervals: of
    the positive class, or of the class that is said.
    """
    from rung.tabular.explain.slices import wilson

    names = result.task.classes
    if len(names) == 2:
        p, y, whose = rows.prediction[:, 1], rows.y == 1, f"of {names[1]}"
    else:
        said = result.model.codes(rows.prediction)
        p, y, whose = rows.prediction[np.arange(len(said)), said], said == rows.y, "of the class said"
    w = rows.weight
    groups = [g for g in _alike(p, max(1, min(10, len(p) // 20))) if w[g].any()]
    points = [(float(np.average(p[g], weights=w[g])), float(np.average(y[g], weights=w[g]))) for g in groups]
    alike = [float(w[g].sum() ** 2 / (w[g] @ w[g])) for g in groups]  # as many rows of one weight
    ends = [wilson(share, n) for (_, share), n in zip(points, alike, strict=True)]
    line = Line("", points, [a for a, _ in ends], [b for _, b in ends])
    gap = sum(w[g].sum() * abs(a - b) for (a, b), g in zip(points, groups, strict=True)) / (w.sum() or 1)
    words = (
        "Where the points lie on the dashed line, a probability means what it says; on average they are "
        f"{gap:.1%} off it (expected calibration error)."
    )
    chart = charts.lines_chart(
        [line], f"predicted probability {whose}", "share found", unit=True, marked=True
    )
    return ("Calibration", words, chart)


def _alike(values: Array, count: int) -> list[Array]:
    """At most so many groups of about equally many rows, from small values to large; equal ones are together,
    for else the order of the rows would part them, and that may be the target's.
    """
    starts = np.unique([part[0] for part in np.array_split(np.sort(values), count)])
    place = np.searchsorted(starts, values, side="right") - 1
    return [np.flatnonzero(place == k) for k in range(len(starts))]


def _of_numbers(result: FitResult, rows: Judged) -> list[Picture]:
    error, w = rows.prediction - rows.y, rows.weight
    target, half = result.model.target, _quantile(np.abs(error), 0.5, w)
    found = [
        (
            "Predicted and true",
            "Darker where more rows lie; a perfect model lies on the dashed line.",
            charts.density_chart(rows.y, rows.prediction, f"true {target}", "predicted", weight=_units(w)),
        ),
        (
            "Errors",
            f"Predicted minus true; half of them are within ±{charts.rounded(half)}.",
            charts.histogram_chart(error, "error", weight=_units(w)),
        ),
    ]
    groups = _alike(rows.prediction, max(1, min(12, len(error) // 20)))
    if len(groups) > 1:
        points = [(float(rows.prediction[g].mean()), _quantile(error[g], 0.5, w[g])) for g in groups]
        low, high = ([_quantile(error[g], level, w[g]) for g in groups] for level in (0.1, 0.9))
        line = Line("", points, low, high)
        found.append(
            (
                "Errors by prediction",
                "The median error and, shaded, where four of five errors lie: wide where the model is "
                "unsure, off the dashed line where it leans to one side.",
                charts.lines_chart([line], "predicted", "error", level=0.0),
            )
        )
    return found


def _quantile(values: Array, level: float, weight: Array) -> float:
    """Of weighted values; of all, where the weights are the same or nothing."""
    if (weight == weight[0]).all():
        return float(np.quantile(values, level))
    return float(np.quantile(values, level, weights=weight, method="inverted_cdf"))


def slices_chart(slices: Slices) -> Markup | None:
    """The worst groups with their intervals; None where no group is worse than all rows, or their losses are
    too large for numbers.
    """
    losses = [value for s in slices.worst for value in (s.loss, s.low, s.high)]
    if not losses or not np.isfinite([*losses, slices.overall]).all():
        return None
    dots = [
        Dot(f"{s.column} {s.label}" if s.label[:1] in ("≤", ">") else f"{s.column}: {s.label or repr('')}",
            s.loss, s.low, s.high, f"{s.rows:,} rows")
        for s in slices.worst
    ]  # fmt: skip
    return charts.dot_chart(dots, slices.what, slices.overall)
