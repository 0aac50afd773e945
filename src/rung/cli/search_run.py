"""What `rung search` does: from data to a cell file and a page."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from rung.cli import output
from rung.cli.search_order import Order
from rung.cli.sizes import spoken_size
from rung.cli.store import command
from rung.storage import shown
from rung.study.durations import spoken

if TYPE_CHECKING:
    from rung.nas.result import SearchResult

RECORD: Final = "command"  # the topic under which the log keeps what ran


def run(order: Order) -> None:
    """The whole way, from checking the input to the last file.

    Raises:
        UserError: something that was given cannot be used; nothing has been searched yet.
    """
    from rung.cli.exits import INTERRUPTED
    from rung.cli.search_progress import SearchProgress
    from rung.nas.devices import device_of, rank, together
    from rung.nas.planning import Request
    from rung.nas.searching import Search

    _check_places(order)
    engine = order.engine
    here = device_of("auto" if engine is not None else order.device)
    request = Request(
        data=order.data,
        strategy=order.strategy,
        cell=order.cell,
        space=space_named(order.space),
        preset=order.preset,
        budget=order.budget,
        epochs=order.epochs,
        seed=order.seed,
        settings=dict(order.settings),
        limit=order.limit,
        cutout=order.cutout,
        crop=order.crop,
        flip=order.flip,
        size=order.size,
        classes=order.classes,
        device=here,
        retrain=order.retrain,
    )
    progress = SearchProgress(f"{order.strategy} on {Path(order.data).name}")
    with together(here):
        first = rank() == 0  # of several processes, the one that prints and writes
        if not first:
            output.volume.set(-1)
        search = Search(
            request, order.storage if first else "memory", order.study, progress, engine, order.device
        )
        search.keep(RECORD, {**dataclasses.asdict(order), "storage": shown(order.storage)})
        announce(order, search)
        with progress.showing():
            result = search.run(progress.phase)
    if not first:
        return
    write(order, result)
    tell(order, result)
    if result.interrupted:
        output.say(f"go on with: {command('resume', result.study or '', order.storage)}")
        raise typer.Exit(INTERRUPTED)


def resume_search(name: str, storage: str) -> None:
    """Go on with an interrupted search.

    Raises:
        UserError: it was begun from Python.
    """
    from rung.cli.store import read_study, reading
    from rung.errors import UserError

    with reading(storage) as store:
        recorded = read_study(store, name).history.records.get(RECORD, [])
    if not recorded:
        raise UserError(
            f"study {name!r} was begun from Python: go on there, with search and the same settings"
        )
    kept = dict(recorded[-1].data)
    kept["settings"] = tuple((str(key), value) for key, value in kept["settings"])
    run(dataclasses.replace(Order(**kept), study=name, storage=storage))


def space_named(text: str | None) -> Any:
    """A space by name, or the variable of a file that `FILE.py:NAME` names.

    Raises:
        UserError: the file or the variable is not there, or is no space.
    """
    if text is None or ".py" not in text:
        return text
    from rung.cli.objective import load_module
    from rung.errors import UserError
    from rung.nas.space import Space

    file, _, name = text.partition(":")
    found = getattr(load_module(Path(file)), name or "space", None)
    if not isinstance(found, Space):
        raise UserError(f"{file} has no rung.nas.Space called {name or 'space'}: write FILE.py:NAME")
    return found


def announce(order: Order, search: Any) -> None:
    """Say what will be done."""
    if output.quiet():
        return
    prepared = search.prepared
    plan = prepared.plan
    recipe = plan.recipe
    output.say(f"data      {prepared.data}: {plan.task.spoken}")
    output.say(
        f"search    {plan.strategy.name} in space {plan.space.name}, seed {plan.seed}: "
        f"{recipe.epochs} epoch{'s' * (recipe.epochs != 1)} of {plan.task.steps} steps, "
        f"{_width(recipe)}"
    )
    output.say(f"preset    {order.preset}: {recipe.text}")
    for note in prepared.notes:
        output.say(f"note      {note}")


def _width(recipe: Any) -> str:
    """How wide and deep the supernet is."""
    hidden = getattr(recipe, "hidden", None)
    return f"{recipe.channels} channels, {recipe.layers} layers" if hidden is None else f"{hidden} units"


def write(order: Order, result: SearchResult) -> None:
    """The cell file and the page."""
    from rung.nas.page import write_page

    result.save(order.out)
    write_page(result, Path(order.report), reproduces(order))


def reproduces(order: Order) -> str:
    """The command that searches the same again."""
    import shlex

    plain = Order(data=order.data)
    words = ["rung", "search", "--data", order.data]
    for field in dataclasses.fields(order):
        value = getattr(order, field.name)
        if field.name in ("data", "settings", "json", "study") or value == getattr(plain, field.name):
            continue
        if isinstance(value, bool):
            words.append(f"--{field.name}" if value else f"--no-{field.name}")
        else:
            words += [f"--{field.name}", f"{value:g}s" if field.name == "budget" else str(value)]
    for name, value in order.settings:
        words += ["--set", f"{name}={value}"]
    return shlex.join(words)


def tell(order: Order, result: SearchResult) -> None:
    """Print what was found, where it lies, and the next command to type."""
    if order.json:
        output.print_json({**result.to_dict(), "records": len(result.records)})
    else:
        console = output.out()
        console.print(figures(result))
        console.print(result.genotype.to_text())
    for note in result.notes:
        output.say(f"note      {note}")
    for label, path in (("cell", order.out), ("page", order.report)):
        output.say(f"{label:<9} {path} ({spoken_size(Path(path).stat().st_size)})")
    if not result.interrupted:
        output.say(f"next      rung search draw {order.out} --out cell.svg")
        output.say(f"          rung search retrain {order.out} --data {order.data}")


def figures(result: SearchResult) -> Any:
    """The table of a search's figures."""
    table = output.grid("", "searched", "derived", "retrained", right=("searched", "derived", "retrained"))
    if result.perplexity:
        table.add_row("perplexity", *(_number(result.perplexity.get(name), 1) for name in _STAGES))
    else:
        accuracy = result.accuracy
        values = (accuracy.searched, accuracy.derived, accuracy.retrained)
        table.add_row("held-out accuracy", *(_number(value, 4) for value in values))
    gap = result.relaxation_gap
    cost = result.cost
    parts = [
        "relaxation gap not defined"
        if gap.outputs is None
        else f"relaxation gap {gap.outputs:.6f} of outputs",
        f"{result.parameters:,} parameters",
        f"{spoken(cost['seconds'])}, {cost['passes']:,} passes, {cost['images']:,} samples",
    ]
    table.caption, table.caption_justify = "; ".join(parts), "left"
    return table


_STAGES: Final = ("searched", "derived", "retrained")


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _check_places(order: Order) -> None:
    from rung.cli.begin import check_apart, check_writable

    kept = {"the data itself": order.data, "the studies' file": order.storage.removeprefix("sqlite:///")}
    check_apart(Path(order.out), "--out", kept)
    check_apart(Path(order.report), "--report", {**kept, "the cell's file": order.out})
    check_writable(Path(order.out), "--out")
    check_writable(Path(order.report), "--report")
