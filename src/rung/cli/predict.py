"""`rung predict`: a model's predictions for a table's rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import output
from rung.cli.one_target import OneTarget, one_target
from rung.cli.options import Json, Trust
from rung.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.model import Model
    from rung.tabular.several import SeveralModels


def predict(  # noqa: PLR0913  # a door
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file, as rung fit writes it.")],
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="CSV, TSV, Parquet, Feather, JSON or Excel; - is standard input."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where predictions go: .csv, .tsv or .parquet.", show_default="stdout"
        ),
    ] = None,
    intervals: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Add what holds the truth this often, such as 90%: low and high, or a set of classes.",
        ),
    ] = None,
    sets: Annotated[
        str | None,
        typer.Option(
            metavar="lac|aps",
            help="Sets as small as can be, or larger where the model is unsure.",
            show_default="lac",
        ),
    ] = None,
    target: OneTarget = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Predict a table's rows: the column `prediction`, and for classes one probability each.

    Of several targets it is a column each, called as they are; --target gives the probabilities of one.
    """
    from rung.cli.begin import check_apart, check_writable

    if sets is not None and intervals is None:
        raise UserError("--sets says how --intervals makes sets of classes: give --intervals, such as 90%")
    coverage = None if intervals is None else _coverage(intervals)
    if out is not None:
        _ending(out)
        check_apart(out, "--out", {"the table itself": table, "the model's file": model})
        check_writable(out, "--out")
    from rung.tabular.model_file import read_manifest
    from rung.tabular.several import holds_several, load_any

    model = one_target(model, target)
    if not holds_several(model):
        read_manifest(model)
    fitted = load_any(model, tuple(trust or ()))
    frame = read_for(fitted, table)
    predictions = _predicted(fitted, frame, coverage, sets or "lac")
    say_lost(fitted, frame)
    if json:
        output.print_json(predictions.to_dict("records"))
    if out is not None:
        _write(predictions, out)
        output.say(f"{len(predictions):,} prediction{'s' * (len(predictions) != 1)} in {out}")
    elif not json:
        predictions.to_csv(sys.stdout, index=False, lineterminator="\n")


def say_lost(model: Model | SeveralModels, frame: pd.DataFrame) -> None:
    """Say which cells of the table the model can make nothing of."""
    from rung.tabular.predict import lost_cells, strange_levels

    notes = [(*lost_cells(one.columns, frame), *strange_levels(one.encoder, frame)) for one in _each(model)]
    for note in dict.fromkeys(note for some in notes for note in some):
        output.say(note)


def worded(model: Model | SeveralModels) -> tuple[str, ...]:
    """The columns that a file's reader is to leave as words, for the model knows what they mean; a target of
    words is one of them.
    """
    from rung.tabular.columns import as_they_stand

    names = [name for one in _each(model) for name in as_they_stand(one.columns)]
    return (*names, *(one.target for one in _each(model) if str in map(type, one.task.classes)))


def read_for(model: Model | SeveralModels, table: str) -> pd.DataFrame:
    """A table for a model: words where it knows them, nothing refused in columns that it does not read."""
    from rung.tabular.read import read_table

    read = {column.name for one in _each(model) for column in one.columns if column.used}
    read |= {one.target for one in _each(model)}
    return read_table(table, worded(model), read.__contains__)


def _each(model: Model | SeveralModels) -> Iterable[Model]:
    from rung.tabular.several import SeveralModels

    return model.models.values() if isinstance(model, SeveralModels) else [model]


def _coverage(text: str) -> float:
    """The share of rows whose truth is to be held."""
    from rung.cli.parse import parse_share

    return parse_share(text, "coverage")


def _predicted(
    model: Model | SeveralModels, frame: pd.DataFrame, coverage: float | None, sets: str
) -> pd.DataFrame:
    from rung.tabular.predict import predict_covered, predict_table
    from rung.tabular.several import SeveralModels

    if isinstance(model, SeveralModels):
        if coverage is not None:
            raise UserError("intervals are for one target: name it with --target")
        return model.predict(frame)

    if coverage is None:
        return predict_table(model, frame)
    predictions, note = predict_covered(model, frame, coverage, sets)
    if note:
        output.say(note)
    return predictions


def _ending(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in (".csv", ".tsv", ".parquet"):
        raise UserError(f"{path} has no ending that rung writes: name it .csv, .tsv or .parquet")
    return ending


def _write(predictions: pd.DataFrame, path: Path) -> None:
    """Whole or not at all: beside the place first, then moved there."""
    from rung.storage.whole import to_replace

    ending, place = _ending(path), to_replace(path, "--out")
    temporary = place.with_name(f".{place.name}.part")
    try:
        if ending == ".parquet":
            predictions.to_parquet(temporary, index=False)
        else:
            separator = "\t" if ending == ".tsv" else ","
            predictions.to_csv(temporary, index=False, sep=separator, lineterminator="\n")
        temporary.replace(place)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}): give another --out"
        ) from error
