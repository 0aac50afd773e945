"""The report: one HTML file that says what was found, how, and how far to trust it; no row of the table is
in it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from rung import __version__
from rung.errors import DataError
from rung.tabular import charts
from rung.tabular.importance import Importance, permutation_importance
from rung.tabular.result import FitResult, Row

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from markupsafe import Markup

SHOWN: Final = 12  # rows of the leaderboard before the fold
MOST_SHOWN: Final = 200
MOST_CLASSES: Final = 20  # in the confusion matrix
MOST_BARS: Final = 20
_SHORT: Final = {
    "auc": "AUC",
    "rmse": "RMSE",
    "mae": "MAE",
    "mse": "MSE",
    "r2": "R²",
    "mcc": "MCC",
    "f1": "F1",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What the report is about: the table's name, and the command that fits it again (None from Python)."""

    table: str
    command: str | None = None


class _Judged(NamedTuple):
    """The rows that the report judges on: held out from the start if there are such, else the validation
    rows.
    """

    y: npt.NDArray[Any]
    prediction: npt.NDArray[np.float64]
    words: str


def write_report(
    path: str | Path, result: FitResult, frame: pd.DataFrame, command: str | None, deadline: float
) -> Path:
    """Explain and render the result of a fit of `frame`, and write it to `path`, whole or not at all.

    Args:
        command: what fits it again; its third word is the table's name.
        deadline: monotonic; importances are computed on as many rows as end before it.

    Raises:
        DataError: the file cannot be written.
    """
    import shlex

    place = Path(path)
    importance = explain(result, frame, deadline)
    name = Path(shlex.split(command)[2]).name if command else "a table"
    page = render_report(result, Subject(name, command), importance)
    temporary = place.with_name(f".{place.name}.part")
    try:
        temporary.write_text(page, encoding="utf-8")
        temporary.replace(place)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(
            f"{place} cannot be written ({error.strerror or error}); give another --report"
        ) from error
    return place


def explain(result: FitResult, frame: pd.DataFrame, deadline: float | None = None) -> Importance:
    """Importances on the rows held out, else on the validation rows; `frame` is the one that was fitted."""
    rows = result.valid if result.held is None else result.held.rows
    y = result.y if result.held is None else result.held.y
    if not len(rows):
        return Importance((), 0, 0, "left out: no rows to look at")
    end = time.monotonic() + 10.0 if deadline is None else deadline
    return permutation_importance(result.model, frame.iloc[rows], y, result.metric, end)


def render_report(result: FitResult, subject: Subject, importance: Importance | None = None) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(loader=PackageLoader("rung.tabular"), autoescape=True, undefined=StrictUndefined)
    pages.filters["score"] = _score
    return pages.get_template("report.html.j2").render(_context(result, subject, importance))


def _context(result: FitResult, subject: Subject, importance: Importance | None) -> dict[str, Any]:
    judged = _judged(result)
    return {
        "subject": subject,
        "result": result,
        "metric": _metric(result),
        "made": datetime.now().astimezone().strftime("%d %B %Y, %H:%M").lstrip("0"),
        "version": __version__,
        "judged": judged.words,
        "scores": _scores(result),
        "gain": _gain(result),
        "members": [row for row in result.leaderboard if row.weight],
        "leaderboard": result.leaderboard[:MOST_SHOWN],
        "shown": SHOWN,
        "configs": {row.trial: _config(row) for row in result.leaderboard[:MOST_SHOWN]},
        "search": _search_chart(result),
        "tried": Counter(row.learner for row in result.leaderboard).most_common(),
        "confusion": _confusion(result, judged),
        "pictures": _pictures(result, judged),
        "importance": importance,
        "bars": _bars(importance, result),
        "libraries": _libraries(),
    }


def _metric(result: FitResult) -> str:
    """The metric's name as people write it."""
    return _SHORT.get(result.metric.name, result.metric.name.replace("_", " "))


def _judged(result: FitResult) -> _Judged:
    if result.held is None:
        how = "by a holdout" if result.folds == 1 else f"by {result.folds}-fold cross-validation"
        return _Judged(result.y, result.prediction, f"the {len(result.y):,} validation rows ({how})")
    held = result.held
    return _Judged(held.y, held.prediction, f"the {len(held.y):,} rows held out from the start")


def _scores(result: FitResult) -> list[tuple[str, float]]:
    """The model and what it must beat, on the rows that are judged on."""
    held = result.held
    rows = (
        [("this model", result.score), ("a constant", result.constant)]
        if held is None
        else [
            ("this model", held.score),
            ("LightGBM’s defaults", held.lightgbm),
            ("a constant", held.constant),
        ]
    )
    return [(name, value) for name, value in rows if value is not None]


def _gain(result: FitResult) -> float | None:
    """How far the model is on the way from a constant to perfection, 0 to 1; None where there is no
    perfection.
    """
    best = result.metric.best
    score, constant = (result.score, result.constant) if result.held is None else result.held[3:5]
    if best is None or not np.isfinite([score, constant]).all() or constant == best:
        return None
    return float(np.clip((score - constant) / (best - constant), 0, 1))


def _score(value: float | None) -> str:
    """Five digits after the point, fewer for large numbers."""
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:,.5f}" if abs(value) < 100 else f"{value:,.1f}"


def _config(row: Row) -> list[tuple[str, str]]:
    """The configuration as names and short values, the learner left out."""
    return [
        (name, f"{value:.4g}" if isinstance(value, float) else str(value))
        for name, value in row.config.items()
        if name != "learner"
    ]


def _search_chart(result: FitResult) -> Markup | None:
    if not result.progress:
        return None
    points = [(p.seconds, p.score) for p in result.progress]
    end = max(result.seconds, points[-1][0])
    return charts.step_chart(points, end, "seconds", f"best {_metric(result)}")


class _Confusion(NamedTuple):
    """Counts of rows by true (down) and predicted class (across), and the share of each true class, for
    shading.
    """

    labels: list[str]
    counts: list[list[int]]
    shares: list[list[float]]
    left_out: int
    rates: list[tuple[str, int, float, float]]  # class, rows, precision, recall


def _confusion(result: FitResult, judged: _Judged) -> _Confusion | None:
    if not result.task.is_classification or not len(judged.y):
        return None
    k = len(result.task.classes)
    counts = np.zeros((k, k), dtype=np.int64)
    np.add.at(counts, (judged.y.astype(np.int64), judged.prediction.argmax(axis=1)), 1)
    kept = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[:MOST_CLASSES])
    counts = counts[np.ix_(kept, kept)]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels = [str(result.task.classes[i]) for i in kept]
    hits, true, said = counts.diagonal(), counts.sum(axis=1), np.maximum(counts.sum(axis=0), 1)
    rates = list(zip(labels, true.tolist(), (hits / said).tolist(), shares.diagonal().tolist(), strict=True))
    return _Confusion(labels, counts.tolist(), shares.tolist(), k - len(kept), rates)


def _pictures(result: FitResult, judged: _Judged) -> list[tuple[str, str, Markup]]:
    """(heading, what it shows, chart): ROC and calibration of two classes, residuals of numbers."""
    if not len(judged.y):
        return []
    if result.task.kind == "binary":
        yes = str(result.task.classes[1])
        p, y = judged.prediction[:, 1], judged.y == 1
        roc = charts.curve_chart(_roc(p, y), "false positive rate", "true positive rate")
        fit = charts.curve_chart(
            _calibration(p, y), f"predicted probability of {yes}", "share found", filled=False
        )
        return [
            ("ROC curve", f"Each threshold on the probability of {yes}; the dashed line is chance.", roc),
            (
                "Calibration",
                "Where the curve lies on the dashed line, a probability means what it says.",
                fit,
            ),
        ]
    if result.task.is_classification:
        return []
    error = judged.prediction - judged.y
    return [
        (
            "Predicted and true",
            "Darker where more rows lie; a perfect model lies on the dashed line.",
            charts.density_chart(judged.y, judged.prediction, f"true {result.model.target}", "predicted"),
        ),
        (
            "Errors",
            f"Predicted minus true; half of them are within ±{np.median(np.abs(error)):.3g}.",
            charts.histogram_chart(error, "error"),
        ),
    ]


def _roc(p: npt.NDArray[Any], y: npt.NDArray[Any]) -> list[tuple[float, float]]:
    """At most 200 points of the ROC curve."""
    order = np.argsort(-p, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(p[order]) != 0, True])
    hits = np.cumsum(y[order])[ends]
    misses = ends + 1 - hits
    points = np.column_stack([misses / max(misses[-1], 1), hits / max(hits[-1], 1)])
    keep = np.unique(np.linspace(0, len(points) - 1, 200).astype(int))
    return [(0.0, 0.0), *map(tuple, points[keep].tolist())]


def _calibration(p: npt.NDArray[Any], y: npt.NDArray[Any]) -> list[tuple[float, float]]:
    """Mean probability and share of positives in up to ten groups of equally many rows, by probability."""
    groups = np.array_split(np.argsort(p, kind="stable"), max(1, min(10, len(p) // 20)))
    return [(float(p[rows].mean()), float(y[rows].mean())) for rows in groups]


def _bars(importance: Importance | None, result: FitResult) -> Markup | None:
    if importance is None or not importance.columns:
        return None
    rows: Sequence[tuple[str, float, float]] = importance.columns[:MOST_BARS]
    return charts.bar_chart(rows, f"rise of the loss ({result.metric.name}) without the column")


def _libraries() -> list[tuple[str, str]]:
    from platform import python_version

    from rung.tabular.model_file import versions

    return [("Python", python_version()), *versions().items()]
