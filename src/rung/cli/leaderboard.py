"""`rung leaderboard`: what a fit tried, and its model card, from the model file alone."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rung.cli import output
from rung.cli.one_target import OneTarget, one_target
from rung.cli.options import Json
from rung.errors import UserError
from rung.tabular.digits import score_form, score_text


def leaderboard(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file, as rung fit writes it.")],
    card: Annotated[bool, typer.Option("--card", help="The model card (Markdown) instead.")] = False,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Show this many.")] = 20,
    target: OneTarget = None,
    json: Json = False,
) -> None:
    """List the configurations that a fit tried, or print the model's card."""
    from rung.tabular.model_file import read_card, read_manifest

    if card and json:
        raise UserError("a card is Markdown: leave --card or --json out")
    model = one_target(model, target)
    manifest = read_manifest(model)
    if card:
        output.out().print(read_card(model).rstrip("\n"))
        return
    rows = manifest.get("leaderboard")
    if not isinstance(rows, list) or not rows:
        raise UserError(
            f"{model} keeps no leaderboard: it was written from Python or by an earlier rung; "
            f"fit it anew, or look at its study with rung show {manifest.get('study') or 'NAME'}"
        )
    if json:
        output.print_json(rows)
        return
    _print([row for row in rows if isinstance(row, dict)], str(manifest.get("metric", "score")), top)


def _print(rows: list[dict[str, Any]], metric: str, top: int) -> None:
    table = output.grid(
        "", "learner", metric, "rows", "seconds", "weight", "configuration",
        right=("", metric, "rows", "seconds", "weight"),
    )  # fmt: skip
    form = score_form(_score(row) for row in rows[:top])
    for row in rows[:top]:
        weight = row.get("weight") or 0.0
        config = {k: v for k, v in (row.get("config") or {}).items() if k != "learner"}
        cells = (
            str(row.get("rank", "")),
            str(row.get("learner", "")),
            score_text(_score(row), form),
            _number(row.get("rows"), ",.0f"),
            _number(row.get("seconds"), ".2f"),
            f"{weight:.0%}" if weight else "",
            output.settings(config),
        )
        table.add_row(*cells, style="bold" if weight else "")
    output.out().print(table)
    if len(rows) > top:
        output.say(f"and {len(rows) - top} more: --top {len(rows)}")


def _score(row: dict[str, Any]) -> float | None:
    score = row.get("score")
    return score if isinstance(score, int | float) else None


def _number(value: Any, form: str) -> str:
    return f"{value:{form}}" if isinstance(value, int | float) else "–"
