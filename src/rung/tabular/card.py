"""The model card: what a model is, what it was made from, how good it is and what it must not be used for, in
Markdown, kept inside the model file (Mitchell et al. 2019, "Model cards for model reporting").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rung import __version__
from rung.tabular.digits import score_form, score_text
from rung.tabular.explain.scores import Interval, bootstrap
from rung.tabular.model_file import versions
from rung.tabular.result import FitResult, Row

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.columns import Column

MOST_COLUMNS: Final = 200
MOST_CLASSES: Final = 50
MOST_ROWS: Final = 200  # of the leaderboard in a model file
_UNUSED: Final = {
    "constant": "it holds one value only",
    "empty": "it is empty",
    "identifier": "it names the single row",
}


def leaderboard_facts(result: FitResult) -> list[dict[str, Any]]:
    """The leaderboard as plain values for the manifest, the best first, 200 rows at most."""
    return [_row_facts(row) for row in result.leaderboard[:MOST_ROWS]]


def _row_facts(row: Row) -> dict[str, Any]:
    facts = row._asdict()
    config = {str(name): _plain(value) for name, value in row.config.items()}
    return {**{name: _plain(value) for name, value in facts.items() if name != "config"}, "config": config}


def _plain(value: Any) -> Any:
    """What JSON has: no number that is not finite, no numpy type."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def model_card(result: FitResult, frame: pd.DataFrame, command: str | None = None) -> str:
    """The card in Markdown.

    Args:
        frame: the table that was fitted.
        command: what fits it again.
    """
    parts = [
        [f"# {_text(result.model.target)}: a {result.task.kind} model", "", *_summary(result)],
        ["## How good it is", "", *_quality(result)],
        ["## What it predicts from", "", *_schema(result)],
        ["## The target", "", *_target(result, frame)],
        ["## How it was found", "", *_search(result)],
        ["## Limits", "", *_limits(result)],
        ["## Again", "", *_again(result, command)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _summary(result: FitResult) -> list[str]:
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    members = sum(1 for row in result.leaderboard if row.weight)
    return [
        f"Made by rung {__version__} on {made} of {result.rows:,} rows and {len(result.columns):,} columns.",
        f"{'One configuration' if members == 1 else f'A weighted mean of {members} configurations'}, chosen "
        f"by {result.metric.name} ({'more' if result.metric.greater_is_better else 'less'} is better).",
        "",
        f"- task: {_text(result.task.why)}",
        *(f"- {_text(note)}" for note in result.notes if note != result.task.why),
    ]


def _quality(result: FitResult) -> list[str]:
    form = _form(result)
    rows = [
        ("this model, on validation rows", _interval(result, result.y, result.prediction, result.weight)),
        ("a constant, on validation rows", score_text(result.constant, form, "")),
    ]
    if result.held is not None:
        held = result.held
        rows = [
            (
                "this model, on rows held out from the start",
                _interval(result, held.y, held.prediction, held.weight),
            ),
            ("LightGBM's defaults, on these rows", score_text(held.lightgbm, form, "")),
            ("a constant, on these rows", score_text(held.constant, form, "")),
            *rows,
        ]
    lines = _table(("", result.metric.name), [(name, value) for name, value in rows if value])
    honest = (
        "The rows held out were seen by nothing before: their score is the honest one."
        if result.held is not None
        else "Members and weights were chosen on the validation rows, so that the score is slightly too good"
        + (f", by about {abs(result.optimism):.2g}." if result.optimism else ".")
    )
    return [*lines, "", f"{honest} Intervals are 95 %, from 200 bootstrap resamples."]


def _interval(result: FitResult, y: Any, prediction: Any, weight: Any) -> str:
    seen = result.model.weighed(prediction, result.metric)
    found: Interval = bootstrap(result.metric, y, seen, weight=weight)
    if np.isnan(found.value):
        return ""
    value, low, high = (score_text(score, _form(result)) for score in found)
    return f"{value} ({low} – {high}; {len(y):,} rows)"


def _form(result: FitResult) -> str:
    """Of all scores of the card."""
    held = result.held and result.held.score
    return score_form([result.score, result.constant, held, *(row.score for row in result.leaderboard)])


def _schema(result: FitResult) -> list[str]:
    shown: Sequence[Column] = result.columns[:MOST_COLUMNS]
    rows = [(_text(c.name), _text(c.what), f"{c.distinct:,}", _missing(c), _why(c)) for c in shown]
    more = len(result.columns) - len(shown)
    lines = _table(("column", "kind", "different values", "missing", "left out, because"), rows)
    return [*lines, *(["", f"and {more:,} more columns"] if more > 0 else [])]


def _missing(column: Column) -> str:
    return f"{column.missing:.1%}" if column.missing else "none"


def _why(column: Column) -> str:
    return "" if column.used else _UNUSED.get(str(column.kind), "models cannot read it")


def _target(result: FitResult, frame: pd.DataFrame) -> list[str]:
    values = frame[result.model.target]
    if not result.task.is_classification:
        numbers = result.task.encode(values.dropna())
        low, middle, high = np.quantile(numbers, [0, 0.5, 1])
        deviation = float(np.std(numbers))
        facts = (("least", low), ("median", middle), ("largest", high), ("mean", float(np.mean(numbers))))
        return _table(
            ("", _text(result.model.target)),
            [*((name, f"{value:.6g}") for name, value in facts), ("standard deviation", f"{deviation:.6g}")],
        )
    codes = result.task.encode(values.dropna())
    counts = np.bincount(codes, minlength=len(result.task.classes))
    order = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    rows = [
        (_text(str(result.task.classes[k])), f"{counts[k]:,}", f"{counts[k] / len(codes):.2%}") for k in order
    ]
    lines = _table(("class", "rows", "share"), rows)
    more = len(counts) - len(order)
    return [*lines, *(["", f"and {more:,} more classes"] if more > 0 else []), *_decision(result)]


def _decision(result: FitResult) -> list[str]:
    """By which rule labels come from probabilities."""
    threshold = result.model.threshold
    if threshold is not None:
        yes = _text(str(result.task.classes[1]))
        return ["", f"{yes} is predicted where its probability is at least {threshold:.4g}."]
    if result.model.factors is not None:
        factors = ", ".join(
            f"{_text(str(label))} {factor:.3g}"
            for label, factor in zip(result.task.classes, result.model.factors, strict=True)
        )
        return [
            "",
            f"The class with the largest probability times its factor is predicted; factors: {factors}.",
        ]
    return ["", "The most probable class is predicted."]


def _asked(result: FitResult) -> str:
    return f"{result.budget:g} s" if result.limit is None else f"{result.limit:,} configurations were"


def _search(result: FitResult) -> list[str]:
    failed = f", {result.failed} of them without a result" if result.failed else ""
    facts = [
        f"- validation: {result.validation}, {len(result.y):,} rows predicted by models that had not seen "
        "them",
        f"- budget: {_asked(result)} asked, {result.seconds:.1f} s used until the model was there",
        f"- tried: {result.trials:,} configuration{'s' * (result.trials != 1)}{failed}",
        "",
    ]
    members = [row for row in result.leaderboard if row.weight]
    if not members and (stacked := result.model.unlisted()):
        return [*facts, *(f"{sentence}." for sentence in stacked)]
    if not members:
        return [*facts, "The model is a constant: no configuration was better, or none was done in time."]
    form = _form(result)
    rows = [
        (row.learner, f"{row.weight:.1%}", score_text(row.score, form), f"{row.rows:,}", _config(row))
        for row in sorted(members, key=lambda row: -row.weight)
    ]
    heads = ("member", "weight", result.metric.name, "rows", "configuration")
    return [*facts, *_table(heads, rows)]


def _config(row: Row) -> str:
    return ", ".join(
        f"{_text(name)} {value:.4g}" if isinstance(value, float) else f"{_text(name)} {_text(str(value))}"
        for name, value in row.config.items()
        if name != "learner"
    )


def _limits(result: FitResult) -> list[str]:
    lines = [
        "- The scores hold for rows that come from where these rows came from; on others, and after a change "
        "of the world, measure again: `rung evaluate MODEL TABLE`.",
        "- Importance and explanations say what the model looks at, not what causes what.",
    ]
    if result.task.is_classification and len(result.y):
        counts = np.bincount(result.y.astype(np.int64), minlength=len(result.task.classes))
        rare = [_text(str(result.task.classes[k])) for k in np.flatnonzero(counts < 20)]
        if rare:
            names = ", ".join(rare[:10]) + (f" and {len(rare) - 10} more" if len(rare) > 10 else "")
            lines.append(f"- Fewer than 20 validation rows, so that little is known about them: {names}.")
    elif len(result.y):
        low, high = float(np.min(result.y)), float(np.max(result.y))
        lines.append(f"- It has seen values from {low:.6g} to {high:.6g}, and predicts hardly any beyond.")
    return lines


def _again(result: FitResult, command: str | None) -> list[str]:
    from platform import python_version

    lines = ["```", command, "```", ""] if command else []
    seed = result.model.notes.get("seed")
    libraries = ", ".join(f"{name} {version}" for name, version in versions().items())
    return [
        *lines,
        f"- study: {_text(result.study)}",
        *([] if seed is None else [f"- seed: {seed}"]),
        f"- Python {python_version()}, {libraries}",
    ]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _text(words: str) -> str:
    """Words of a table's maker, so that they are nothing but words in Markdown."""
    plain = " ".join(words.split())
    for mark in "\\`*_[]<>|#":
        plain = plain.replace(mark, "\\" + mark)
    return plain
