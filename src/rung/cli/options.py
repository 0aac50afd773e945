"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from rung.cli.place import placed

DEFAULT_STORAGE = "rung.db"
PLACE = "Where and how jobs run"  # a panel of the help

Storage = Annotated[
    str,
    typer.Option(
        "--storage",
        envvar="RUNG_STORAGE",
        metavar="PATH|URL",
        help="Where the studies are kept: a file, or a URL such as sqlite:///study.db.",
        show_default=True,
        callback=placed,
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The study's name; `rung list` has them.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable on stdout.")]
StudyName = Annotated[
    str | None,
    typer.Option("--study", metavar="NAME", help="The study's name; one is made up if none is given."),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Jobs that run at the same time.")]
Executor = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="local, ray, inline or simulated.",
        show_default="local",
        rich_help_panel=PLACE,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="A Ray cluster (or auto); without one Ray is started here.",
        rich_help_panel=PLACE,
    ),
]
Needs = Annotated[
    str | None,
    typer.Option(
        "--needs",
        metavar="CPUS,...",
        help="What a trial takes of it: cpus=2,gpus=0.5,memory=4GB,nodes=1.",
        rich_help_panel=PLACE,
    ),
]
Trials = Annotated[int | None, typer.Option("--trials", min=1, help="Start this many configurations.")]
TotalResource = Annotated[
    int | None, typer.Option("--total-resource", min=1, help="Spend at most this much of the resource.")
]
Target = Annotated[float | None, typer.Option("--target", help="Stop when the metric is this good.")]
TrialTime = Annotated[
    str | None,
    typer.Option(
        "--trial-time", metavar="TIME", help="The longest that one job may take.", rich_help_panel=PLACE
    ),
]
TrialMemory = Annotated[
    str | None,
    typer.Option(
        "--trial-memory",
        metavar="SIZE",
        help="The most memory for one job, such as 2GB.",
        rich_help_panel=PLACE,
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(
        "--retries",
        min=0,
        help="How often a job runs again whose worker was lost; 3 unless told.",
        rich_help_panel=PLACE,
    ),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(metavar="TYPE", help="Load this type too, if you know who made the model. Repeatable."),
]
