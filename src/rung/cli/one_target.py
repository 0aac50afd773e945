"""`--target` of commands that take one model: which of a file of several targets."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

OneTarget = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="COL", help="Of a file with models of several targets: take this one's."
    ),
]


def one_target(model: str, target: str | None) -> str:
    """The path of the model of this target: `model` itself unless it holds several.

    Raises:
        DataError: the file has no model of this target.
    """
    if target is None:
        return model
    from rung.tabular.several import take_out

    folder = Path(tempfile.mkdtemp(prefix="rung-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(take_out(model, target, folder))
