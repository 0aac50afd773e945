"""`rung fit` with several targets: `--target price,rooms`."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import typer

from rung.cli import output
from rung.cli.begin import check_writable
from rung.cli.exits import INTERRUPTED, NO_RESULT
from rung.cli.fit_order import Order
from rung.cli.fit_outcome import as_json, prediction, tell
from rung.cli.sizes import spoken_size
from rung.cli.store import command
from rung.storage.names import check_name
from rung.tabular.names import parts_between_commas, unquoted

if TYPE_CHECKING:
    from rung.tabular.result import FitResult

Check: TypeAlias = Callable[[Order, Sequence[Order], str], list[Order]]
Run: TypeAlias = "Callable[[Order, str, str | None, float], tuple[FitResult, bool]]"


def targets_of(table: str, target: str) -> list[str]:
    """The columns that `target` names: itself, or where there is no such column its parts between commas.

    Raises:
        DataError: the table cannot be read, or a part is no column or named twice.
    """
    if "," not in target or (table != "-" and not Path(table).exists()):
        return [target]
    from rung.tabular.read import read_table

    return parts_of(target, [str(name) for name in read_table(table, used=lambda _: False).columns])


def parts_of(target: str, names: list[str]) -> list[str]:
    """The columns that `target` names: itself, or where there is no such column its parts between commas.

    Args:
        names: of the table's columns.

    Raises:
        DataError: a part is no column or named twice.
    """
    from rung.tabular.several import check_targets

    parts = [unquoted(part) for part in parts_between_commas(target)]
    if target in names or len(parts) < 2:
        return [target]
    check_targets(parts, names)
    return parts


def beside(report: Path, target: str) -> Path:
    """Where one target's file goes, of several, whatever signs its name has."""
    plain = "".join("-" if sign in "/\\\0" else sign for sign in target)
    return report.with_name(f"{report.stem}-{plain}{report.suffix}")


def run_several(
    order: Order,
    targets: list[str],
    place: tuple[str, str | None],
    steps: tuple[Check, Run],
    *,
    json: bool,
) -> None:
    """Fit one target after the other, each with its share of the budget, and write one model file.

    What was found is written even if something comes between, Ctrl-C above all.

    Args:
        place: the storage, and what the studies' names begin with, if it was given.
        steps: what refuses, before the first is fitted, that which cannot be done of the order and its parts,
            and gives these as they are to be done; and what fits one, and says whether Ctrl-C cut it short.
    """
    check_writable(Path(order.out), "--out")  # beside which a folder is made
    storage, name = place
    check, run = steps
    studies = {target: None if name is None else check_name(f"{name}-{target}") for target in targets}
    found: dict[str, FitResult] = {}
    interrupted = None
    with tempfile.TemporaryDirectory(dir=Path(order.out).absolute().parent) as folder:
        orders = check(order, _parts(order, targets, Path(folder)), storage)
        try:
            for number, one in enumerate(orders):
                study = studies[one.target]
                named = "" if study is None else f" (study {study})"
                output.say(f"target {number + 1} of {len(targets)}: {one.target}{named}")
                result, cut = run(one, storage, study, time.monotonic())
                if result.leaderboard:
                    found[one.target] = result
                    tell(one, result, storage, table=not json)
                if cut:
                    interrupted = one, result.study
                    break
        finally:
            _save(order, orders)
    if json and found:
        parts = {one.target: dataclasses.replace(one, out=order.out) for one in orders}
        output.print_json({"targets": {target: as_json(parts[target], found[target]) for target in found}})
    _end(order, [target for target in targets if target not in found], storage, interrupted)


def _parts(order: Order, targets: list[str], folder: Path) -> list[Order]:
    """An order for each target, whose model goes into the folder and which sees none of the others."""
    return [
        dataclasses.replace(
            order,
            target=target,
            budget=order.budget / len(targets),
            out=str(folder / f"{number}.rung"),
            alone=str(beside(Path(order.out), target)),
            report=str(beside(Path(order.report), target)),
            wishes=dataclasses.replace(
                order.wishes, drop=(*order.wishes.drop, *(name for name in targets if name != target))
            ),
        )
        for number, target in enumerate(targets)
    ]


def _save(order: Order, orders: Sequence[Order]) -> None:
    """One file of the models that there are, and say which."""
    from rung.tabular.several import save_several

    files = {one.target: Path(one.out) for one in orders if Path(one.out).exists()}
    if not files:
        return
    save_several(files, order.out)
    of = f"{len(files)} targets"
    if len(files) < len(orders):
        of = f"{len(files)} of {len(orders)} targets: {', '.join(files)}"
    output.say(f"model   {order.out} ({spoken_size(Path(order.out).stat().st_size)}), of {of}")


def _end(order: Order, without: Sequence[str], storage: str, interrupted: tuple[Order, str] | None) -> None:
    """Say how to go on; leave with the exit code that says whether something is missing.

    Args:
        without: targets that have no model.
        interrupted: the target at which Ctrl-C came, and its study.
    """
    if interrupted is not None:
        one, study = interrupted
        missing = f"; there is no model of {', '.join(without)}" if without else ""
        on = f"Go on with {one.target} alone, into {one.alone}, with: {command('resume', study, storage)}"
        output.say(f"interrupted; what was found is saved{missing}. {on}")
        raise typer.Exit(INTERRUPTED)
    if without:
        raise typer.Exit(NO_RESULT)
    output.say(f"next    {prediction(order)}")
