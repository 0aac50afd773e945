"""Options of `rung search retrain` and `rung search transfer`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from rung.cli.search_options import Size as Size
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.nas.retraining_schedule import Schedule

_PRESET = "the preset's"

Data = Annotated[
    str,
    typer.Option(
        metavar="PATH|NAME",
        help="Pictures: an .npz file, a folder with one subfolder a class, or a scikit-learn set such as "
        "digits. For a recurrent cell: a text file.",
        show_default=False,
    ),
]
Preset = Annotated[
    str,
    typer.Option(
        metavar="tiny|small|paper|imagenet",
        help="What is not said by other options: the papers' settings, or short trainings of small networks.",
    ),
]
Channels = Annotated[
    int | None, typer.Option(min=1, help="Of a node in the first cells.", show_default=_PRESET)
]
Layers = Annotated[int | None, typer.Option(min=1, help="Cells in the stack.", show_default=_PRESET)]
Epochs = Annotated[int | None, typer.Option(min=1, help="Of the training.", show_default=_PRESET)]
Batch = Annotated[int | None, typer.Option(min=2, help="Pictures in a step.", show_default=_PRESET)]
Rate = Annotated[
    float | None,
    typer.Option(help="Learning rate; it falls to zero along half a cosine.", show_default=_PRESET),
]
WarmUp = Annotated[
    int | None,
    typer.Option(min=0, metavar="EPOCHS", help="In which the rate rises at first.", show_default=_PRESET),
]
Auxiliary = Annotated[
    bool | None,
    typer.Option(
        "--auxiliary/--no-auxiliary",
        help="Train a second head after two thirds of the cells, where pictures are large enough.",
        show_default=_PRESET,
    ),
]
Cutout = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="PIXELS",
        help="Side of the square cut out of training pictures; 0 for none.",
        show_default=_PRESET,
    ),
]
Jitter = Annotated[
    bool | None,
    typer.Option(
        "--jitter/--no-jitter",
        help="Move brightness, contrast, saturation and hue of training pictures, as DARTS does on ImageNet.",
        show_default=_PRESET,
    ),
]
DropPath = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=0.99, help="Drop paths with this probability, in the end.", show_default=_PRESET
    ),
]
Smoothing = Annotated[
    float | None,
    typer.Option(
        "--label-smoothing",
        min=0.0,
        max=0.99,
        help="Share of a label that is spread over all classes.",
        show_default=_PRESET,
    ),
]
Stem = Annotated[
    Literal["cifar", "imagenet"] | None,
    typer.Option(
        help="What stands before the cells: imagenet divides the size by eight.", show_default=_PRESET
    ),
]
Amp = Annotated[bool, typer.Option("--amp", help="Compute in bfloat16: for GPUs; slower on most processors.")]
Hidden = Annotated[
    int | None,
    typer.Option(min=1, help="Of a recurrent cell: width of its state.", show_default=_PRESET),
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where the network is trained.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
Limit = Annotated[int | None, typer.Option(min=2, help="Use so many training pictures.", show_default="all")]
Classes = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES|0-4",
        help="Keep only these classes: names, or positions where names are no numbers.",
        show_default="all",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Wall time: 90, 90s, 5m, 1h30m; where not all epochs fit, fewer are planned.",
        show_default="as long as it takes",
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the trained network is written.")]
Report = Annotated[Path, typer.Option("--report", metavar="FILE", help="Where the HTML page is written.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a training that was interrupted.")]
Update = Annotated[
    bool, typer.Option("--update", help="Write the accuracy into the cell file, if a search wrote it.")
]


NETWORK: Final = (
    "channels",
    "layers",
    "epochs",
    "batch",
    "rate",
    "warm_up",
    "cutout",
    "jitter",
    "drop_path",
    "label_smoothing",
    "stem",
)
"""Options that are fields of a schedule."""


def refuse_given(cell: Path, given: dict[str, Any]) -> None:
    """Refuse settings that a recurrent cell has no use for.

    Args:
        given: the options of `rung search retrain`.

    Raises:
        UserError: one was given.
    """
    names = set(NETWORK) - {"epochs", "batch", "rate"} | {"size", "classes", "auxiliary"}
    wrong = [name for name in given if name in names and given[name] is not None] + ["amp"] * given["amp"]
    if wrong:
        raise UserError(
            f"--{wrong[0].replace('_', '-')} does not apply to {cell}, a recurrent cell: it takes --epochs, "
            "--batch, --rate and --hidden"
        )


def refuse_hidden(cell: Path, hidden: int | None) -> None:
    """Refuse a width of a state, which a cell for pictures has not.

    Raises:
        UserError: it was given.
    """
    if hidden is not None:
        raise UserError(f"--hidden is for recurrent cells, and {cell} is a cell for pictures: leave it out")


def schedule(preset: str, settings: dict[str, Any], auxiliary: bool | None, amp: bool) -> Schedule:
    """A preset with what was set otherwise.

    Args:
        settings: fields of `Schedule`; None leaves the preset's.

    Raises:
        UserError: there is no such preset, or a value is out of range.
    """
    from rung.nas.retraining_schedule import SCHEDULES, Schedule

    if preset not in SCHEDULES:
        raise UserError(f"unknown preset {preset!r}: there are {', '.join(SCHEDULES)}")
    own = {name: value for name, value in settings.items() if value is not None}
    chosen = SCHEDULES[preset]
    if auxiliary is not None:
        own["auxiliary"] = (chosen.auxiliary or Schedule().auxiliary) if auxiliary else 0.0
    return replace(chosen, **own, amp=amp)
