"""`rung search`: with options alone it searches an architecture; its commands use what was found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from rung.cli.options import DEFAULT_STORAGE, Address, Json, Needs, Storage, StudyName
from rung.cli.search_cells import count, draw, show
from rung.cli.search_compare import compare
from rung.cli.search_options import (
    Budget,
    CellKind,
    Classes,
    Crop,
    Cutout,
    Data,
    Device,
    Epochs,
    Flip,
    Limit,
    Networks,
    NetworksAtOnce,
    Out,
    Preset,
    Report,
    Retrain,
    SearchExecutor,
    Seed,
    Settings,
    Size,
    SpaceName,
    Strategy,
    setting,
)
from rung.cli.search_retrain import retrain
from rung.cli.search_transfer import transfer
from rung.errors import UserError

group = typer.Typer(invoke_without_command=True, no_args_is_help=True, rich_markup_mode="rich")


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
    networks: Networks = None,
    workers: NetworksAtOnce = None,
    limit: Limit = None,
    cutout: Cutout = 0,
    crop: Crop = True,
    flip: Flip = None,
    size: Size = None,
    classes: Classes = None,
    settings: Settings = None,
    seed: Seed = 0,
    device: Device = "auto",
    retrain: Retrain = True,
    out: Out = Path("cell.json"),
    report: Report = Path("search.html"),
    executor: SearchExecutor = None,
    address: Address = None,
    needs: Needs = None,
    storage: Storage = DEFAULT_STORAGE,
    study: StudyName = None,
    json: Json = False,
) -> None:
    """Search a network's cell; with a command, draw, show, count or train what was found."""
    given = dict(locals())  # first of all, so that it has the options and nothing else
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    from rung.cli.parse import parse_duration
    from rung.cli.search_order import order_of
    from rung.deploy.extras import need

    if data is None:
        raise UserError(
            "rung search needs --data: an .npz file, a folder of pictures, or a text for --cell rnn"
        )
    seconds = None if budget is None else parse_duration(budget)
    pairs = tuple(setting(text) for text in settings or ())
    need("torch", "rung search")
    from rung.cli.search_run import run

    run(order_of({**given, "budget": seconds, "settings": pairs}))


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
        ("transfer", transfer),
        ("compare", compare),
    ]
    for name, body in rows:
        group.command(name)(body)


_hang_in()
