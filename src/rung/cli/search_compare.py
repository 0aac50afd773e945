"""`rung search compare`: strategies beside each other, with the same seeds, searched and retrained alike."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import output
from rung.cli.options import Json
from rung.cli.search_options import (
    CellKind,
    Classes,
    Cutout,
    Data,
    Device,
    Epochs,
    Limit,
    Preset,
    Settings,
    Size,
    SpaceName,
    setting,
)
from rung.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rung.nas.comparing import Line, Row
    from rung.nas.planning import Request
    from rung.nas.result import SearchResult

Strategies = Annotated[
    str,
    typer.Option(
        metavar="NAME,...", help="Which; random is the baseline that the others are tested against."
    ),
]
Seeds = Annotated[int, typer.Option(min=1, help="Searches of each strategy, with seeds from 0.")]
Rows = Annotated[
    Path,
    typer.Option(
        "--out", metavar="FILE", help="One line of JSON a search; rows that it has are not searched again."
    ),
]


def compare(  # noqa: PLR0913  # a door
    data: Data = None,
    strategies: Strategies = "random,darts1,darts,asap,snas",
    seeds: Seeds = 3,
    cell: CellKind = "cnn",
    space: SpaceName = None,
    preset: Preset = "tiny",
    epochs: Epochs = None,
    limit: Limit = None,
    cutout: Cutout = 0,
    size: Size = None,
    classes: Classes = None,
    settings: Settings = None,
    device: Device = "auto",
    out: Rows = Path("compare.jsonl"),
    json: Json = False,
) -> None:
    """Compare strategies: mean and spread over seeds, cost, relaxation gap, and a paired test."""
    from rung.cli.begin import check_writable
    from rung.cli.search_run import space_named
    from rung.deploy.extras import need

    if data is None:
        raise UserError("rung search compare needs --data, as rung search does")
    names = [name.strip() for name in strategies.split(",") if name.strip()]
    need("torch", "rung search")
    from rung.nas.planning import Request
    from rung.nas.strategies.table import make

    for name in names:
        make(name)  # says what is wrong with it
    check_writable(out, "--out")
    request = Request(
        data=data,
        cell=cell,
        space=space_named(space),
        preset=preset,
        epochs=epochs,
        limit=limit,
        cutout=cutout,
        size=size,
        classes=classes,
        settings=dict(setting(text) for text in settings or ()),
        device=device,
    )
    rows = _rows(out)
    try:
        _search(names, seeds, request, rows, out)
    except KeyboardInterrupt:
        output.say(f"interrupted: {len(rows)} rows are in {out}; the same command goes on")
        raise
    _tell(rows, json=json)


def _rows(path: Path) -> list[Row]:
    """Those of an earlier call.

    Raises:
        UserError: the file is of something else.
    """
    from rung.nas.comparing import Row

    if not path.exists():
        return []
    try:
        return [Row.from_dict(jsons.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no rows of a comparison: give another --out") from error


def _search(names: Sequence[str], seeds: int, request: Request, rows: list[Row], out: Path) -> None:
    from dataclasses import replace

    from rung.cli.search_progress import SearchProgress
    from rung.nas.comparing import compare as compared
    from rung.nas.comparing import runs
    from rung.nas.searching import Search

    waiting = runs(names, seeds, rows)
    output.say(f"{len(waiting)} searches, {len(rows)} rows in {out} already")

    def one(name: str, seed: int) -> SearchResult:
        progress = SearchProgress(f"{name}, seed {seed}")
        search = Search(replace(request, strategy=name, seed=seed), "memory", None, progress)
        with progress.showing():
            return search.run(progress.phase)

    for row in compared(names, seeds, one, tuple(rows)):
        rows.append(row)
        with out.open("a", encoding="utf-8") as file:
            file.write(jsons.dumps(row.to_dict()) + "\n")
        error = "" if row.retrained is None else f"error {row.retrained:.4f}, "
        output.say(
            f"{row.strategy}, seed {row.seed}: {error}{row.parameters:,} parameters, {row.seconds:.0f} s"
        )


def _tell(rows: Sequence[Row], *, json: bool) -> None:
    from dataclasses import asdict

    from rung.nas.comparing import table

    lines = table(rows)
    if json:
        output.print_json([asdict(line) for line in lines])
        return
    output.out().print(drawn(lines))


def drawn(lines: Sequence[Line]) -> Any:
    """The table in the papers' form."""
    heads = ("seeds", "error", "best", "parameters", "search", "gap", "to random", "p")
    table = output.grid("strategy", *heads, right=heads)
    for line in lines:
        table.add_row(
            line.strategy,
            str(line.seeds),
            f"{line.error:.4f} ± {line.spread:.4f}",
            f"{line.best:.4f}",
            f"{line.parameters:,.0f}",
            f"{line.seconds:.0f} s",
            "" if line.gap is None else f"{line.gap:.2g}",
            "" if line.difference is None else f"{line.difference:+.4f}",
            "" if line.p is None else f"{line.p:.3f}",
        )
    table.caption = "error of the retrained network; p of the exact sign-flip test over paired seeds"
    table.caption_justify = "left"
    return table
