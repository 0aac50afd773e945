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
    Networks,
    NetworksAtOnce,
    Preset,
    Size,
    SpaceName,
    setting,
)
from rung.cli.sizes import spoken_size
from rung.errors import UserError
from rung.study.durations import spoken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="[STRATEGY.]NAME=VALUE",
        help="A setting of all, such as batch=64, or of one strategy, such as asap.T0=2. Repeatable.",
    ),
]
Picture = Annotated[
    Path, typer.Option(metavar="FILE.svg", help="Where the errors and costs are drawn, as a picture.")
]
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
    networks: Networks = None,
    workers: NetworksAtOnce = None,
    limit: Limit = None,
    cutout: Cutout = 0,
    size: Size = None,
    classes: Classes = None,
    settings: Settings = None,
    device: Device = "auto",
    out: Rows = Path("compare.jsonl"),
    picture: Picture = Path("compare.svg"),
    json: Json = False,
) -> None:
    """Compare strategies: mean and spread over seeds, cost, relaxation gap, and a paired test.

    All with a supernet search as many epochs of as many pictures: one whose steps cost more takes longer.
    """
    given = dict(locals())  # first of all, so that it has the options and nothing else
    from dataclasses import fields

    from rung.cli.search_run import space_named
    from rung.deploy.extras import need

    if data is None:
        raise UserError("rung search compare needs --data, as rung search does")
    _check_places(data, out, picture)
    names = [name.strip() for name in strategies.split(",") if name.strip()]
    need("torch", "rung search")
    from rung.nas.comparing import check_options, check_owners, options_of
    from rung.nas.planning import Request

    pairs = [setting(text) for text in settings or ()]
    check_owners(names, pairs)
    shared = {field.name for field in fields(Request)} & given.keys() - {"space", "settings"}
    request = Request(space=space_named(space), **{name: given[name] for name in shared})
    requests = {name: _checked(_counted(request, name, names), name, pairs) for name in names}
    rows = _rows(out)
    options = {name: options_of(own) for name, own in requests.items()}
    check_options(rows, names, options.__getitem__)
    try:
        _search(requests, seeds, rows, out)
    except KeyboardInterrupt:
        output.say(f"interrupted: {len(rows)} rows are in {out}; the same command goes on")
        raise
    shown = [row for row in rows if row.strategy in names and row.seed < seeds]
    _tell(shown, picture, words=cell == "rnn", json=json)


def _check_places(data: str, out: Path, picture: Path) -> None:
    from rung.cli.begin import check_apart, check_writable

    check_writable(out, "--out")
    check_writable(picture, "--picture")
    check_apart(out, "--out", {"the data itself": data})
    check_apart(picture, "--picture", {"the data itself": data, "the rows' file": out})
    if picture.suffix.lower() != ".svg":
        raise UserError(f"--picture names a file that ends in .svg, not {picture}")


def _counted(request: Request, strategy: str, names: Sequence[str]) -> Request:
    """The request without a number of networks and workers, where only others of these train networks."""
    from dataclasses import replace

    from rung.nas.complete_plan import is_complete

    others = any(is_complete(name) for name in names)
    return replace(request, networks=None, workers=None) if others and not is_complete(strategy) else request


def _checked(request: Request, strategy: str, pairs: Sequence[tuple[str, Any]]) -> Request:
    """The request for a strategy, once it is known that all settings can be used.

    Raises:
        UserError: one cannot; for one that another strategy has it says how to give it to that alone.
    """
    from dataclasses import replace

    from rung.nas.comparing import settings_for
    from rung.nas.complete_plan import checked, is_complete
    from rung.nas.planning import strategy_of

    own = replace(request, strategy=strategy, settings=settings_for(strategy, pairs))
    try:
        if is_complete(strategy):
            checked(own)
        else:
            strategy_of(own)
    except UserError as error:
        if "has no setting" not in str(error):
            raise
        raise UserError(
            f"{error}; what one strategy alone has is given as --set STRATEGY.NAME=VALUE"
        ) from error
    return own


def _rows(path: Path) -> list[Row]:
    """Those of an earlier call.

    Raises:
        UserError: the file is of something else.
    """
    from rung.nas.comparing import Row

    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        whole, end, rest = text.rpartition("\n")
        rows = [Row.from_dict(jsons.loads(line)) for line in whole.splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no rows of a comparison: give another --out") from error
    if rest:
        _mend(path, whole + end, rest, rows)
    return rows


def _mend(path: Path, whole: str, rest: str, rows: list[Row]) -> None:
    """End the last line, or cut it off: a call that was killed, or a full disk, leaves half of one.

    Args:
        rows: those of the lines before; the last line's joins them if it is one.
    """
    from rung.nas.comparing import Row
    from rung.storage.whole import write_whole

    try:
        rows.append(Row.from_dict(jsons.loads(rest)))
        whole += rest + "\n"
    except (ValueError, KeyError, TypeError) as error:
        if not rows:
            raise UserError(f"{path} holds no rows of a comparison: give another --out") from error
        output.say(f"{path}: its last line was not written to its end, and is left out")
    write_whole(path, whole, "--out")


def _search(requests: Mapping[str, Request], seeds: int, rows: list[Row], out: Path) -> None:
    from dataclasses import replace

    from rung.cli.search_run import searcher
    from rung.nas.comparing import compare as compared
    from rung.nas.comparing import evened, options_of, runs

    names = list(requests)
    waiting = runs(names, seeds, rows)
    output.say(f"{len(waiting)} searches, {len(rows)} rows in {out} already")

    def one(name: str, seed: int) -> SearchResult:
        request = replace(evened(requests[name]), seed=seed)
        search, progress = searcher(request, f"{name}, seed {seed}", "memory", None)
        with progress.showing():
            result: SearchResult = search.run(progress.phase)
            return result

    for row in compared(names, seeds, one, tuple(rows), lambda name: options_of(requests[name])):
        rows.append(row)
        with out.open("a", encoding="utf-8") as file:
            file.write(jsons.dumps(row.to_dict()) + "\n")
        what = "loss" if requests[row.strategy].cell == "rnn" else "error"
        error = "" if row.retrained is None else f"{what} {row.retrained:.4f}, "
        output.say(
            f"{row.strategy}, seed {row.seed}: {error}{row.parameters:,} parameters, {row.seconds:.0f} s"
        )


def _tell(rows: Sequence[Row], picture: Path, *, words: bool, json: bool) -> None:
    from dataclasses import asdict

    from rung.nas.comparing import table
    from rung.nas.comparing_picture import write_picture

    lines = table(rows)
    what = "loss of the retrained network, nats a word" if words else "error of the retrained network"
    if json:
        output.print_json([asdict(line) for line in lines])
    else:
        output.out().print(drawn(lines, what))
    if lines:
        write_picture(rows, lines, picture, what)
        output.say(f"picture   {picture} ({spoken_size(picture.stat().st_size)})")


def drawn(lines: Sequence[Line], what: str) -> Any:
    """The table in the papers' form.

    Args:
        what: the error is, in words.
    """
    heads = (
        "seeds",
        what.split()[0],
        "best",
        "parameters",
        "search",
        "multiply-adds",
        "gap",
        "to random",
        "p",
    )
    table = output.grid("strategy", *heads, right=heads)
    for line in lines:
        table.add_row(
            line.strategy,
            str(line.seeds),
            f"{line.error:.4f}" + ("" if line.spread is None else f" ± {line.spread:.4f}"),
            f"{line.best:.4f}",
            f"{line.parameters:,.0f}",
            spoken(line.seconds),
            f"{line.multiply_adds:.3g}",
            "" if line.gap is None else f"{line.gap:.2g}",
            "" if line.difference is None else f"{line.difference:+.4f}",
            "" if line.p is None else f"{line.p:.3f}",
        )
    table.caption = f"{what}; p of the exact sign-flip test over paired seeds"
    table.caption_justify = "left"
    return table
