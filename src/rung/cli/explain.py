"""`rung explain`: why a model predicts what it does for one row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rung.cli import output
from rung.cli.one_target import OneTarget, one_target
from rung.cli.options import Json, Trust
from rung.cli.predict import read_for, say_lost
from rung.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.explain.shapley import Contribution, Explanation
    from rung.tabular.model import Model

SHOWN: Final = 12  # columns with a line of their own
WIDTH: Final = 36  # cells of the bars
_PIECES: Final = " ▏▎▍▌▋▊▉█"


def explain(  # noqa: PLR0913  # a door
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file, as rung fit writes it.")],
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="CSV, TSV, Parquet, Feather, JSON or Excel; - is standard input."
        ),
    ],
    row: Annotated[int, typer.Option(metavar="N", help="Which row, counted from 1, the header left out.")],
    label: Annotated[
        str | None,
        typer.Option(
            "--class", metavar="LABEL", help="Explain this class's probability.", show_default="the predicted"
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE", help="Compare with the rows of this table.", show_default="TABLE's own rows"
        ),
    ] = None,
    shap: Annotated[
        bool,
        typer.Option(
            "--shap", help="SHAP values of the heaviest member made of trees, in place of the whole."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the background and of the sampling.")] = 0,
    target: OneTarget = None,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Say why a row is predicted as it is: what each column's cell adds to the usual prediction."""
    from rung.tabular.explain.shapley import check_row, explain_row
    from rung.tabular.model_file import load_model, read_manifest

    model = one_target(model, target)
    read_manifest(model)
    fitted = load_model(model, tuple(trust or ()))
    frame = read_for(fitted, table)
    check_row(row - 1, len(frame))
    others = frame if background is None else read_for(fitted, background)
    if len(others) < 2 and not shap:
        raise UserError("there is no row to compare with: give a table of more rows with --background")
    say_lost(fitted, frame.iloc[[row - 1]])
    if shap:
        _explain_trees(fitted, frame, row, (label, background), json=json)
        return
    which = None if label is None else _class(label, fitted)
    found = explain_row(fitted, frame, row - 1, others, output=which, seed=seed)
    if json:
        output.print_json(_plain(found, row))
        return
    _print(found, row, _truth(fitted, frame, row))


def _explain_trees(
    model: Model, frame: pd.DataFrame, row: int, refused: tuple[str | None, str | None], *, json: bool
) -> None:
    """The row's SHAP values of one member, printed; of classes the member says which one it counts up."""
    from rung.tabular.explain.trees import explain_row_by_trees

    if refused != (None, None):
        raise UserError("--class and --background belong to the whole model's explanation: leave --shap out")
    found = explain_row_by_trees(model, frame, row - 1)
    if json:
        output.print_json({**_plain(found, row), "shap": True})
        return
    _print(found, row, _truth(model, frame, row))


def _class(label: str, model: Model) -> int:
    from rung.tabular.names import listed

    names = [str(name) for name in model.task.classes]
    if not names:
        raise UserError(f"the model predicts a number and has no class {label!r}: leave --class out")
    if label not in names:
        raise UserError(f"{label!r} is none of the classes {listed(map(repr, names), 'and')}")
    return names.index(label)


def _truth(model: Model, frame: pd.DataFrame, row: int) -> str:
    """What the table says, if it does."""
    names = [str(name) for name in frame.columns]
    if model.target not in names:
        return ""
    target = frame.iloc[:, names.index(model.target)]
    return "" if target.isna().iloc[row - 1] else f"; the table says {target.iloc[row - 1]!s}"


def _print(found: Explanation, row: int, truth: str) -> None:
    console = output.out()
    console.print(f"row {row}: {found.what} = {found.prediction:.5g}, usually {found.base:.5g}{truth}")
    shown = [part for part in found.contributions if part.amount][:SHOWN]
    rest = found.contributions[len(shown) :]
    table = output.grid("column", "cell", "adds", "", right=("cell", "adds"))
    table.add_row("usually", "", f"{found.base:.4g}", "")
    reach = max((abs(part.amount) for part in shown), default=1.0)
    for part in shown:
        style = "green" if part.amount > 0 else "red"
        table.add_row(part.column, _cell(part), f"{part.amount:+.4g}", _styled(_bar(part, reach), style))
    if rest:
        what = f"{len(rest)} other column{'s' * (len(rest) != 1)}"
        table.add_row(what, "", f"{sum(part.amount for part in rest):+.4g}", "")
    table.add_row(found.what, "", f"{found.prediction:.4g}", "", style="bold")
    console.print(table)
    output.say(_how(found) if found.samples else "SHAP values of one member (TreeSHAP), exact for its trees")


def _how(found: Explanation) -> str:
    against = f"against {found.background:,} rows"
    if found.exact:
        return f"exact Shapley values: all {found.samples:,} sets of columns, {against}"
    error = max(part.error for part in found.contributions)
    return (
        f"Shapley values from {found.samples:,} orders of the columns, {against}; "
        f"the largest standard error is {error:.2g}"
    )


def _bar(part: Contribution, reach: float) -> str:
    """A bar from the middle, to the right where the cell adds and to the left where it takes away."""
    half = WIDTH // 2
    length = abs(part.amount) / (reach or 1.0) * half
    whole, piece = int(length), int((length % 1) * 8)
    if part.amount > 0:
        return " " * half + "│" + "█" * whole + (_PIECES[piece] if piece else "")
    return " " * (half - max(round(length), 1)) + "█" * max(round(length), 1) + "│"


def _styled(text: str, style: str) -> Any:
    from rich.text import Text

    return Text(text, style=style)


def _cell(part: Contribution) -> str:
    if part.value is None:
        return "missing"
    text = f"{part.value:.6g}" if isinstance(part.value, float) else str(part.value)
    return text if len(text) <= 24 else text[:23] + "…"


def _plain(found: Explanation, row: int) -> dict[str, Any]:
    return {
        "row": row,
        "what": found.what,
        "prediction": found.prediction,
        "base": found.base,
        "exact": found.exact,
        "samples": found.samples,
        "background": found.background,
        "contributions": [part._asdict() for part in found.contributions],
    }
