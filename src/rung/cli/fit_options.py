"""The options of `rung fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

COLUMNS = "Columns"
CHOICE = "Choice of models"
_LARGEST = 2**32 - 1  # the last seed that numpy's and scikit-learn's generators take

Table = Annotated[
    str,
    typer.Argument(metavar="TABLE", help="CSV, TSV, Parquet, Feather, JSON or Excel; - is standard input."),
]
Target = Annotated[
    str, typer.Option(metavar="COL", help="The column to predict; several with commas between.")
]
Budget = Annotated[str, typer.Option(metavar="TIME", help="Wall time for everything: 90, 90s, 5m, 1h30m.")]
Trials = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="End after so many configurations, whatever the time: the same seed gives the same model.",
        show_default="as many as the time allows",
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option(
        metavar="TASK",
        help="binary, multiclass, regression, or quantile:0.9.",
        show_default="guessed, and said",
    ),
]
MetricName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What is best: any of scikit-learn's scorers.",
        show_default="auc, log_loss or rmse, by the task",
    ),
]
Holdout = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="Keep these rows out of everything, and score on them: 20%."),
]
Seed = Annotated[int, typer.Option(min=0, max=_LARGEST, help="Of everything random.")]
Out = Annotated[Path, typer.Option(metavar="FILE", help="Where the model goes.")]
Report = Annotated[Path, typer.Option(metavar="FILE", help="Where the report goes.")]

Kinds = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=KIND,...",
        help="Kinds of columns, not to be guessed: number, category, text or date.",
        rich_help_panel=COLUMNS,
    ),
]
Drop = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME,...", help="Columns that no model may see.", rich_help_panel=COLUMNS),
]
Embed = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN=FOLDER",
        help="Make numbers of texts, or of images by path, with the pretrained model in a local folder. "
        "Repeatable.",
        rich_help_panel=COLUMNS,
    ),
]
DriftSample = Annotated[
    bool,
    typer.Option(
        help="Keep a sample of the rows in the model, in bins, by which rung check tells drift.",
        rich_help_panel=COLUMNS,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(metavar="COL", help="The column of the rows' weights.", rich_help_panel=COLUMNS),
]
Positive = Annotated[
    str | None,
    typer.Option(
        metavar="LABEL",
        help="The positive class of two; with several targets, of those that have two.",
        rich_help_panel=COLUMNS,
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        metavar="WAY",
        help="How rows are held out: stratified, group:COL, time:COL or folds:COL.",
        show_default="stratified",
        rich_help_panel=CHOICE,
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(metavar="LEARNER,...", help="These learners only.", rich_help_panel=CHOICE),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="LEARNER,...", help="Not these learners.", rich_help_panel=CHOICE),
]
PredictTime = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="What predicting one row, of a thousand at once, may take: 1ms, 50us.",
        show_default="0.3ms",
        rich_help_panel=CHOICE,
    ),
]
WarmStart = Annotated[
    bool,
    typer.Option(help="Begin with what was best in earlier tasks and studies.", rich_help_panel=CHOICE),
]
Refit = Annotated[
    bool,
    typer.Option(
        "--refit",
        help="Fit each member once more on all rows, in place of one model a fold: faster, smaller.",
        rich_help_panel=CHOICE,
    ),
]
