"""`rung export-model`: a model as an ONNX graph, a scikit-learn script, or an MLflow folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from rung.cli import output
from rung.cli.one_target import OneTarget, one_target
from rung.cli.options import Json, Trust
from rung.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.model import Model


class _Order(NamedTuple):
    """What is to be written, and where."""

    source: str
    model: Model
    out: Path
    frame: pd.DataFrame | None
    drop: tuple[str, ...]


_ENDINGS: Final = {"onnx": ".onnx", "python": ".py", "mlflow": ""}


def export_model(  # noqa: PLR0913  # a door
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file, as rung fit writes it.")],
    to: Annotated[str, typer.Option("--to", metavar="FORM", help="onnx, python or mlflow.")],
    out: Annotated[
        Path, typer.Option(metavar="PATH", help="FILE.onnx, FILE.py, or a new folder for mlflow.")
    ],
    check: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE",
            help="Compare the graph with the model on this table's rows.",
            show_default="made-up rows",
        ),
    ] = None,
    drop_member: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Leave this member of the ensemble out. Repeatable."),
    ] = None,
    target: OneTarget = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Write a model for other programs: an ONNX graph, a scikit-learn script, or an MLflow folder."""
    from rung.cli.begin import check_apart, check_writable

    write = _writer(to, check)
    if to != "mlflow":
        _check_ending(out, to)
        check_writable(out, "--out")
    others = {"the model's file": model} | ({"the table itself": check} if check else {})
    check_apart(out, "--out", others)
    from rung.deploy.extras import one_model
    from rung.tabular.columns import as_they_stand
    from rung.tabular.read import read_table

    model = one_target(model, target)
    loaded = one_model(model, trust or ())
    frame = read_table(check, as_they_stand(loaded.columns)) if check else None
    facts, sentence = write(_Order(model, loaded, out, frame, tuple(drop_member or ())))
    if json:
        output.print_json(facts)
    output.say(sentence)


def _writer(to: str, check: str | None) -> Callable[[_Order], tuple[Mapping[str, Any], str]]:
    if to not in _WRITERS:
        raise UserError(f"there is no form {to!r}: give --to onnx, python or mlflow")
    if check and to != "onnx":
        raise UserError(f"--check compares an ONNX graph with its model: leave it out with --to {to}")
    return _WRITERS[to]


def _check_ending(out: Path, to: str) -> None:
    if out.suffix.lower() != _ENDINGS[to]:
        raise UserError(f"{out} does not end in {_ENDINGS[to]}: name it so, for that is what it will be")


def _onnx(order: _Order) -> tuple[Mapping[str, Any], str]:
    from rung.deploy.to_onnx import export_onnx

    done = export_onnx(order.model, order.out, order.frame, order.drop)
    inputs = "1 input" if len(done.inputs) == 1 else f"{len(done.inputs)} inputs"
    compared = "rows of the table" if order.frame is not None else "made-up rows"
    return done._asdict(), (
        f"{order.out}: {inputs}, {done.size / 1e6:.2g} MB; on {done.rows:,} {compared} it "
        f"differs from the model by {done.difference:.1g} at most"
    )


def _python(order: _Order) -> tuple[Mapping[str, Any], str]:
    from rung.deploy.to_python import export_python

    if order.drop:
        raise UserError(
            "--drop-member is for onnx and mlflow: the script rebuilds one member only, the heaviest"
        )
    done = export_python(order.model, order.out)
    return done._asdict(), (
        f"{order.out}: a script that fits {done.member} as a scikit-learn pipeline; run it with "
        f"python {order.out} TABLE.csv"
    )


def _mlflow(order: _Order) -> tuple[Mapping[str, Any], str]:
    from rung.deploy.to_mlflow import export_mlflow

    place = export_mlflow(order.model, order.out, order.drop)
    return {"path": place}, (
        f"{place}: an MLflow model; load it with mlflow.pyfunc.load_model({str(place)!r})"
    )


_WRITERS: Final = {"onnx": _onnx, "python": _python, "mlflow": _mlflow}
