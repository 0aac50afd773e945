"""The page: everything that is known about a fit, put into the template, whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from rung import __version__
from rung.tabular import charts
from rung.tabular.charts import Dot, Line
from rung.tabular.digits import score_form, score_text
from rung.tabular.explain.dependence import Dependence
from rung.tabular.explain.trees import Contributions
from rung.tabular.importance import Importance
from rung.tabular.pages import write_text
from rung.tabular.report.findings import Findings, find
from rung.tabular.report.pictures import confusion, judged, pictures, slices_chart
from rung.tabular.result import FitResult, Row

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

RENDERING: Final = 0.15  # seconds
SHOWN: Final = 12  # rows of the leaderboard before the fold
MOST_SHOWN: Final = 200
MOST_COLUMNS: Final = 400  # of the table
FOLDED: Final = 40  # of them, behind which the others are folded away
MOST_BARS: Final = 20
_LEAST_SHOWN: Final = 0.005  # of the weight
MOST_SWARMS: Final = 8
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


def write_report(
    path: str | Path, result: FitResult, frame: pd.DataFrame, command: str | None, deadline: float
) -> Path:
    """Explain and render the result of a fit of `frame`, and write it to `path`, whole or not at all.

    Args:
        command: what fits it again; its third word is the table's name.
        deadline: monotonic; what takes time is computed on as many rows as end before it, or left out.

    Raises:
        DataError: the file cannot be written.
    """
    import shlex

    place = Path(path)
    with np.errstate(over="ignore", invalid="ignore"):  # losses of values near the largest float are infinite
        findings = find(result, frame, deadline - RENDERING)
        name = Path(shlex.split(command)[2]).name if command else "a table"
        page = render_report(result, Subject(name, command), findings)
    write_text(place, page, "--report")
    return place


def render_report(result: FitResult, subject: Subject, findings: Findings | None = None) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(loader=PackageLoader("rung.tabular"), autoescape=True, undefined=StrictUndefined)
    form = score_form([result.score, result.constant, *(score for _, score in _scores(result))])
    pages.filters["score"] = partial(score_text, form=form)
    pages.filters["rounded"] = charts.rounded
    return pages.get_template("report.html.j2").render(_context(result, subject, findings or Findings()))


def _context(result: FitResult, subject: Subject, findings: Findings) -> dict[str, Any]:
    rows = judged(result)
    return {
        "subject": subject,
        "result": result,
        "metric": _metric(result),
        "made": datetime.now().astimezone().strftime("%d %B %Y, %H:%M").lstrip("0"),
        "version": __version__,
        "judged": rows.words,
        "judged_rows": len(rows.y),
        "scores": _scores(result),
        "interval": findings.interval,
        "gain": _gain(result),
        "members": [row for row in result.leaderboard if row.weight],
        "unlisted": result.model.unlisted(),
        "beside": _beside(result),
        "leaderboard": result.leaderboard[:MOST_SHOWN],
        "shown": SHOWN,
        "configs": {row.trial: _config(row) for row in result.leaderboard[:MOST_SHOWN]},
        "search": _search_chart(result),
        "costs": _cost_chart(result),
        "ladder": _ladder(result),
        "tried": Counter(row.learner for row in result.leaderboard).most_common(),
        "failures": failures(result),
        "columns": result.columns[:MOST_COLUMNS],
        "folded": FOLDED,
        "confusion": confusion(result, rows),
        "pictures": pictures(result, rows),
        "slices": findings.slices,
        "slices_chart": findings.slices and slices_chart(findings.slices),
        "importance": findings.importance,
        "bars": _bars(findings.importance, result),
        "dependence": [(one.column, _dependence_chart(one), one) for one in findings.dependence],
        "contributions": findings.contributions,
        "swarm": findings.contributions and _swarm(findings.contributions),
        "missing": findings.missing,
        "libraries": _libraries(),
    }


def _metric(result: FitResult) -> str:
    """The metric's name as people write it."""
    return _SHORT.get(result.metric.name, result.metric.name.replace("_", " "))


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
    held = result.held
    score, constant = (result.score, result.constant) if held is None else (held.score, held.constant)
    if best is None or not np.isfinite([score, constant]).all() or constant == best:
        return None
    return float(np.clip((score - constant) / (best - constant), 0, 1))


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


def _cost_chart(result: FitResult) -> Markup | None:
    """Each configuration at its largest scope: what it cost, and how good it was."""
    points = [
        (row.seconds, row.score, row.weight > 0)
        for row in result.leaderboard[:MOST_SHOWN]
        if np.isfinite(row.score) and row.seconds > 0
    ]
    if len(points) < 3:
        return None
    return charts.points_chart(points, "seconds that a configuration took", _metric(result))


class Rung(NamedTuple):
    """A scope of the search: how many configurations came as far, and the best that stopped there."""

    rows: int
    reached: int
    ended: int
    best: float
    learner: str


def _ladder(result: FitResult) -> list[Rung]:
    """From the smallest number of rows to the largest; empty where there is one only."""
    sign = -1.0 if result.metric.greater_is_better else 1.0
    found = []
    for rows in sorted({row.rows for row in result.leaderboard}):
        here = [row for row in result.leaderboard if row.rows == rows]
        reached = sum(row.rows >= rows for row in result.leaderboard)
        best = min(here, key=lambda row: sign * row.score)
        found.append(Rung(rows, reached, len(here), best.score, best.learner))
    return found if len(found) > 1 else []


def _beside(result: FitResult) -> list[tuple[str, float]]:
    """Members that are no configuration, a stack or a constant, and their weights."""
    members = [(one.name, one.weight) for one in result.model.members if one.name in ("stack", "constant")]
    return [pair for pair in members if pair[1] >= _LEAST_SHOWN]


def failures(result: FitResult) -> list[tuple[str, int]]:
    """Why configurations have no result, and how many; the most frequent first, empty where not known."""
    known: dict[str, int] = dict(getattr(result, "failures", None) or {})
    if (cut := result.failed - sum(known.values())) > 0:
        known["cut off when the time was over"] = cut
    return sorted(((" ".join(why.split())[:300], count) for why, count in known.items()), key=lambda x: -x[1])


def _bars(importance: Importance | None, result: FitResult) -> Markup | None:
    """With the 95 % interval of the mean over the shuffles: Student's t, as they are few."""
    from scipy.stats import t

    if importance is None or not importance.columns:
        return None
    repeats = importance.repeats
    reach = float(t.isf(0.025, repeats - 1)) / repeats**0.5 if repeats > 1 else 0.0
    rows: Sequence[tuple[str, float, float]] = [
        (name, mean, reach * deviation) for name, mean, deviation in importance.columns[:MOST_BARS]
    ]
    return charts.bar_chart(rows, f"rise of the loss ({result.metric.name}) without the column")


def _dependence_chart(one: Dependence) -> Markup:
    lone = len(one.series) == 1
    y = one.series[0] if lone else "probability"
    if one.numeric:
        lines = [
            Line(
                name,
                [(float(x), float(v)) for x, v in zip(one.grid, one.mean[:, k], strict=True)],
                one.low[:, k].tolist() if lone else (),
                one.high[:, k].tolist() if lone else (),
            )
            for k, name in enumerate(one.series)
        ]
        return charts.lines_chart(lines, one.column, y)
    dots = [
        Dot(
            str(level) if lone else f"{level} · {one.series[k]}",
            float(one.mean[i, k]),
            float(one.low[i, k]),
            float(one.high[i, k]),
            charts.rounded(float(one.mean[i, k])),
        )
        for i, level in enumerate(one.grid)
        for k in range(1 if lone else min(2, len(one.series)))
    ]
    return charts.dot_chart(dots, y)


def _swarm(found: Contributions) -> Markup:
    names = found.columns[:MOST_SWARMS]
    k = len(names)
    return charts.swarm_chart(names, found.amounts[:, :k], found.ranks[:, :k], f"added to the {found.what}")


def _libraries() -> list[tuple[str, str]]:
    from platform import python_version

    from rung.tabular.model_file import versions

    return [("Python", python_version()), *versions().items()]
