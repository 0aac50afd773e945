"""`rung search`: with options alone it searches an architecture; its commands use what was found."""

from __future__ import annotations

import json as jsons
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from rung.cli.options import DEFAULT_STORAGE, Json, Storage, StudyName
from rung.cli.search_cells import count, draw, show
from rung.cli.search_retrain import retrain
from rung.errors import UserError

group = typer.Typer(invoke_without_command=True, no_args_is_help=True, rich_markup_mode="rich")

Data = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|NAME",
        help="Pictures: an .npz file, a folder with one subfolder a class, or a scikit-learn set such as "
        "digits. For --cell rnn: a text file.",
        show_default=False,
    ),
]
Strategy = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="asap, darts, darts1, snas, gdas, pc_darts, p_darts, darts_pt, fair or random."
    ),
]
CellKind = Annotated[str, typer.Option("--cell", metavar="cnn|rnn", help="Of pictures, or of text.")]
SpaceName = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="NAME|FILE.py:NAME",
        help="darts, s1 to s4, nasbench201, tiny, or your own.",
        show_default="darts; recurrent for rnn",
    ),
]
Preset = Annotated[
    str,
    typer.Option(metavar="tiny|small|paper", help="Minutes or an hour on two cores; the papers' settings."),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Wall time: 90, 90s, 5m, 1h30m; where the preset's epochs do not fit, fewer are planned.",
        show_default="as long as the preset takes",
    ),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Of the search.", show_default="the preset's")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the preset or the strategy, such as batch=64 or T0=1.6. Repeatable.",
    ),
]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Use so many training pictures.", show_default="the preset's")
]
Cutout = Annotated[
    int, typer.Option(min=0, metavar="PIXELS", help="Side of the square cut out of training pictures.")
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where the networks are trained.")]
Retrain = Annotated[
    bool,
    typer.Option("--retrain/--no-retrain", help="Train the derived network for a short time at the end."),
]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the cell is written.")]
Report = Annotated[Path, typer.Option("--report", metavar="FILE", help="Where the HTML page is written.")]


@group.callback()
def search(  # noqa: PLR0913  # a door
    context: typer.Context,
    data: Data = None,
    strategy: Strategy = "asap",
    cell: CellKind = "cnn",
    space: SpaceName = None,
    preset: Preset = "tiny",
    budget: Budget = None,
    epochs: Epochs = None,
    limit: Limit = None,
    cutout: Cutout = 0,
    settings: Settings = None,
    seed: Seed = 0,
    device: Device = "auto",
    retrain: Retrain = True,
    out: Out = Path("cell.json"),
    report: Report = Path("search.html"),
    storage: Storage = DEFAULT_STORAGE,
    study: StudyName = None,
    json: Json = False,
) -> None:
    """Search a network's cell by gradient descent; with a command, draw, show or count what was found."""
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    from rung.cli.parse import parse_duration
    from rung.cli.search_order import Order
    from rung.deploy.extras import need

    if data is None:
        raise UserError(
            "rung search needs --data: an .npz file, a folder of pictures, or a text for --cell rnn"
        )
    seconds = None if budget is None else parse_duration(budget)
    pairs = tuple(setting(text) for text in settings or ())
    need("torch", "rung search")
    from rung.cli.search_run import run

    run(
        Order(
            data=data,
            strategy=strategy,
            cell=cell,
            space=space,
            preset=preset,
            budget=seconds,
            epochs=epochs,
            seed=seed,
            settings=pairs,
            limit=limit,
            cutout=cutout,
            device=device,
            retrain=retrain,
            out=str(out),
            report=str(report),
            storage=storage,
            study=study,
            json=json,
        )
    )


def setting(text: str) -> tuple[str, Any]:
    """A name and its value, which is read as JSON (a number, true, false) or else is text.

    Raises:
        UserError: it is no NAME=VALUE.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UserError(f"--set takes NAME=VALUE, such as batch=64, not {text!r}")
    try:
        return name.strip(), jsons.loads(value)
    except jsons.JSONDecodeError:
        return name.strip(), value.strip()


def _refuse_options(context: typer.Context) -> None:
    """Options of a search stand before a command's name by mistake only.

    Raises:
        UserError: one does; a source of COMMANDLINE tells.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            name = parameter.opts[0]
            command = context.invoked_subcommand
            raise UserError(
                f"{name} belongs to a search: put it after `rung search {command}`, or leave one out"
            )


def _hang_in() -> None:
    """The group's commands, in the order in which the help shows them."""
    rows: list[tuple[str, Callable[..., None]]] = [
        ("draw", draw),
        ("show", show),
        ("count", count),
        ("retrain", retrain),
    ]
    for name, body in rows:
        group.command(name)(body)


_hang_in()
