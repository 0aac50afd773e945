"""The options of `rung fit` that say more of columns, rows and learners."""

from __future__ import annotations

from typing import Annotated

import typer

COLUMNS = "Columns"
CHOICE = "Choice of models"

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
Weights = Annotated[
    str | None,
    typer.Option(metavar="COL", help="The column of the rows' weights.", rich_help_panel=COLUMNS),
]
Positive = Annotated[
    str | None,
    typer.Option(metavar="LABEL", help="The positive class of two.", rich_help_panel=COLUMNS),
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
