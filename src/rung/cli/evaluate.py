"""`rung evaluate`: how good a model is on a table, with intervals, and for which groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from rung.cli import output
from rung.cli.one_target import OneTarget, one_target
from rung.cli.options import Json, Trust
from rung.cli.predict import read_for, say_lost
from rung.tabular.digits import score_form, score_text

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.explain.scores import Interval, Judged, Score
    from rung.tabular.metrics import Metric
    from rung.tabular.model import Model

FEW: Final = 20  # rows of a group below which its interval says little


def evaluate(  # noqa: PLR0913  # a door
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file, as rung fit writes it.")],
    table: Annotated[
        str,
        typer.Argument(metavar="TABLE", help="CSV, TSV, Parquet, Feather, JSON or Excel, with the target."),
    ],
    by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Also for each level, or range of numbers, of this column."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="M", help="This metric only. Repeatable.", show_default="all that fit"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The column of the rows' weights; none: all rows count the same.",
            show_default="the one that the model was fitted with",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    target: OneTarget = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Score a model on a table it has not seen: every metric with a bootstrap interval, beside a constant."""
    from rung.tabular.model_file import read_manifest
    from rung.tabular.several import SeveralModels, holds_several, load_any

    model = one_target(model, target)
    if not holds_several(model):
        read_manifest(model)
    fitted = load_any(model, tuple(trust or ()))
    frame = read_for(fitted, table)
    say_lost(fitted, frame)
    asked = _Asked(by, tuple(metric or ()), weights, seed, json)
    if not isinstance(fitted, SeveralModels):
        result = _evaluated(fitted, frame, asked)
    else:
        result = {"targets": {}}
        for name, one in fitted.models.items():
            if not json:
                output.out().print(f"target {name}", style="bold", markup=False)
            result["targets"][name] = _evaluated(one, frame, asked)
    if json:
        output.print_json(result)


class _Asked(NamedTuple):
    """What is asked of each model: see `evaluate`."""

    by: str | None
    metrics: tuple[str, ...]
    weights: str | None
    seed: int
    json: bool


def _evaluated(model: Model, frame: pd.DataFrame, asked: _Asked) -> dict[str, Any]:
    """What is found of one model, as JSON has it; printed, unless JSON is asked for."""
    from rung.tabular.explain.scores import chosen_metrics, judge, scores
    from rung.tabular.request import weights_in

    by, seed = asked.by, asked.seed
    metrics = chosen_metrics(model.task, asked.metrics, model.notes.get("metric"))
    if by is not None:
        _check_column(by, frame, model)
    column = _weights(asked.weights, frame, model)
    judged = judge(model, frame, None if column is None else weights_in(frame, column))
    found = scores(judged, metrics, seed)
    grouped = [] if by is None else _by(by, frame, judged, metrics[0], seed)
    if not asked.json:
        _said(judged, model, column)
        _print(found)
        if by is not None:
            _print_groups(by, metrics[0], grouped)
    return {**_plain(judged, found, by, metrics[0], grouped), "weights": column}


def _check_column(by: str, frame: pd.DataFrame, model: Model) -> None:
    from rung.errors import DataError
    from rung.tabular.names import did_you_mean

    names = [str(name) for name in frame.columns]
    if by not in names:
        raise DataError(f"the table has no column {by!r} to group by; {did_you_mean(by, names)}")
    if by == model.target and not model.task.is_classification:
        raise DataError(f"{by!r} is what is predicted: group by another column")


def _weights(asked: str | None, frame: pd.DataFrame, model: Model) -> str | None:
    """The column of weights: as asked, else the model's own where the table has it."""
    if asked is not None:
        return None if asked == "none" and "none" not in frame.columns else asked
    own = model.weights
    if own is not None and own not in [str(name) for name in frame.columns]:
        output.say(
            f"the model was fitted with the weights of column {own!r}, which this table lacks: all rows "
            "count the same here; name another with --weights COLUMN"
        )
        return None
    return own


def _by(
    by: str, frame: pd.DataFrame, judged: Judged, metric: Metric, seed: int
) -> list[tuple[str, int, Interval]]:
    """(level or range, rows, score), the worst first; those without a score last."""
    import numpy as np

    from rung.tabular.columns import Kind, infer_columns, prepare
    from rung.tabular.explain.scores import bootstrap
    from rung.tabular.explain.slices import column_groups

    chosen = frame[[by]].iloc[judged.rows].reset_index(drop=True)
    column = infer_columns(chosen)[0]
    kind = column.kind if column.kind in (Kind.NUMBER, Kind.DATE) else Kind.CATEGORY
    column = type(column)(by, str(kind), column.distinct, column.missing, column.format)
    groups = column_groups(prepare(chosen, [column])[by], kind)
    prediction = judged.seen_by(metric)
    weight = judged.weight
    rows = [
        (
            label,
            len(rows),
            bootstrap(
                metric,
                judged.y[rows],
                prediction[rows],
                seed,
                weight=None if weight is None else weight[rows],
            ),
        )
        for label, rows in groups
        if len(rows)
    ]
    sign = 1.0 if metric.greater_is_better else -1.0
    return sorted(rows, key=lambda row: (bool(np.isnan(row[2].value)), sign * row[2].value, -row[1]))


def _said(judged: Judged, model: Model, column: str | None) -> None:
    rows = len(judged.y)
    weighted = "" if column is None else f", with the weights of column {column!r}"
    output.say(f"{rows:,} row{'s' * (rows != 1)} judged{weighted}")
    if judged.empty:
        noun = "row" if judged.empty == 1 else "rows"
        output.say(f"{judged.empty:,} {noun} left out, because column {model.target!r} is empty there")
    if judged.unknown:
        noun = "row" if judged.unknown == 1 else "rows"
        output.say(
            f"{judged.unknown:,} {noun} left out, of a class that the model does not know and never says"
        )
    if judged.trained:
        output.say("the model was fitted on these very rows, so that the scores are too good: take new rows")
    if not judged.learned:
        output.say("the constant is these rows' own: the model file keeps no training target")


def _print(found: list[Score]) -> None:
    table = output.grid("metric", "model", "95 % interval", "a constant", "", right=("model", "a constant"))
    for score in found:
        value, low, high = score.model
        form = score_form([value, low, high, score.constant])
        table.add_row(
            score.metric.name,
            score_text(value, form),
            _interval(low, high, form),
            score_text(score.constant, form),
            "more is better" if score.metric.greater_is_better else "less is better",
        )
    output.out().print(table)


def _print_groups(by: str, metric: Metric, grouped: list[tuple[str, int, Interval]]) -> None:
    table = output.grid(by, "rows", metric.name, "95 % interval", right=("rows", metric.name))
    form = score_form(score.value for _, _, score in grouped)
    for label, rows, score in grouped:
        interval = _interval(score.low, score.high, form)
        table.add_row(label, f"{rows:,}", score_text(score.value, form), interval)
    output.out().print(table)
    few = [label for label, rows, _ in grouped if rows < FEW]
    if few:
        from rung.tabular.names import listed

        output.say(f"fewer than {FEW} rows, so that the score says little: {listed(few, 'and', 5)}")


def _interval(low: float, high: float, form: str) -> str:
    return "–" if low != low else f"{score_text(low, form)} – {score_text(high, form)}"


def _plain(
    judged: Judged,
    found: list[Score],
    by: str | None,
    metric: Metric,
    grouped: list[tuple[str, int, Interval]],
) -> dict[str, Any]:
    """What is found, as JSON has it."""
    value: dict[str, Any] = {
        "rows": len(judged.y),
        "left_out": judged.empty,
        "unknown_class": judged.unknown,
        "trained_on": judged.trained,
        "metrics": {
            score.metric.name: {
                **score.model._asdict(),
                "constant": score.constant,
                "greater_is_better": score.metric.greater_is_better,
            }
            for score in found
        },
    }
    if by is not None:
        groups = [{"group": label, "rows": rows, **score._asdict()} for label, rows, score in grouped]
        value["by"] = {"column": by, "metric": metric.name, "groups": groups}
    return value
