"""Options of `rung search` and of comparisons."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import Annotated, Any

import typer

from rung.errors import UserError

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
        metavar="NAME",
        help="Of a supernet: asap, darts, darts1, snas, gdas, pc_darts, p_darts, darts_pt, fair, enas or "
        "random. Each network trained on its own: evolution, reinforce, pnas, bananas (Bayesian) or "
        "random_retraining. See rung methods.",
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
    typer.Option(
        metavar="tiny|small|paper",
        help="Three to six minutes or about an hour on two cores, of a supernet or of networks "
        "trained each on its own: one whose steps cost more has fewer; the papers' settings.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Wall time: 90, 90s, 5m, 1h30m; where the preset's epochs do not fit, fewer are planned.",
        show_default="as long as the preset takes",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1, help="Of the search, or of each network trained on its own.", show_default="the preset's"
    ),
]
Networks = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="How many are trained, where a strategy trains each network on its own.",
        show_default="the preset's: 12, 20 or 200",
    ),
]
NetworksAtOnce = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        metavar="N",
        help="How many of them are trained at the same time, each in a process of its own.",
        show_default="1",
    ),
]
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
    int | None,
    typer.Option(
        min=1, help="Use so many training pictures, or words of a text.", show_default="the preset's"
    ),
]
Cutout = Annotated[
    int, typer.Option(min=0, metavar="PIXELS", help="Side of the square cut out of training pictures.")
]
Crop = Annotated[
    bool, typer.Option("--crop/--no-crop", help="Whether training pictures are cropped out of a border.")
]
Flip = Annotated[
    bool | None,
    typer.Option(
        "--flip/--no-flip",
        help="Whether half of the training pictures are mirrored.",
        show_default="unless the data is called digits or the like",
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        min=4,
        max=1024,
        metavar="PIXELS",
        help="Scale and cut all pictures to squares of this side.",
        show_default="as they are",
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="Use only these classes: names, or positions (0-4) where names are no numbers.",
    ),
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where the networks are trained.")]
Retrain = Annotated[
    bool,
    typer.Option("--retrain/--no-retrain", help="Train the derived network for a short time at the end."),
]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the cell is written.")]
Report = Annotated[Path, typer.Option("--report", metavar="FILE", help="Where the HTML page is written.")]


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


def spelled(value: Any) -> str:
    """A value as `setting` reads it: a text as it stands, unless it would be read as something else."""
    if isinstance(value, str) and setting(f"x={value}") == ("x", value):
        return value
    return jsons.dumps(value, ensure_ascii=False)


SearchExecutor = Annotated[
    str | None,
    typer.Option("--executor", metavar="NAME", help="ray, or leave it out.", show_default="here"),
]
