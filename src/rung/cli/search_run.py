"""What `rung search` does: from data to a cell file and a page."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from rung.cli import output
from rung.cli.search_options import spelled
from rung.cli.search_order import Order
from rung.cli.sizes import spoken_size
from rung.cli.store import command
from rung.errors import DataError, UserError
from rung.storage import shown
from rung.study.durations import spoken

if TYPE_CHECKING:
    from rung.executors.setup import Engine
    from rung.nas.planning import Request
    from rung.nas.result import SearchResult

RECORD: Final = "command"  # the topic under which the log keeps what ran


def run(order: Order) -> None:
    """The whole way, from checking the input to the last file.

    Raises:
        UserError: something that was given cannot be used; nothing has been searched yet.
    """
    from rung.cli.begin import command_start
    from rung.cli.exits import INTERRUPTED
    from rung.nas.complete import NothingTrained
    from rung.nas.devices import device_of, rank, together

    began = command_start()
    _check_places(order)
    here = device_of("auto" if order.engine is not None else order.device)
    with together(here):
        first = rank() == 0  # of several processes, the one that prints and writes
        if not first:
            output.volume.set(-1)
        search, progress = _prepared(order, here, first=first)
        search.count_from(began)
        search.keep(RECORD, {**dataclasses.asdict(order), "storage": shown(order.storage)})
        announce(order, search)
        said = search.prepared.notes
        try:
            with progress.showing():
                result = search.run(progress.phase)
        except NothingTrained as error:
            output.say(f"{error}; go on with: {command('resume', error.study, order.storage)}")
            raise typer.Exit(INTERRUPTED) from error
        except KeyboardInterrupt as error:  # after the search: deriving, or the last training
            if search.study is not None:
                output.say(f"interrupted; go on with: {command('resume', search.study, order.storage)}")
            raise typer.Exit(INTERRUPTED) from error
    if not first:
        return
    try:
        write(order, result)
    except DataError as error:  # its folder was there when the search began
        again = command("resume", result.study or "", order.storage)
        raise UserError(f"{error}; the search itself is kept, and {again} writes it there later") from error
    tell(order, result, said)
    if result.interrupted:
        output.say(f"go on with: {command('resume', result.study or '', order.storage)}")
        raise typer.Exit(INTERRUPTED)


def _prepared(order: Order, here: str, *, first: bool) -> tuple[Any, Any]:
    """The search, and what shows it."""
    from rung.nas.planning import Request

    names = {field.name for field in dataclasses.fields(Request)} & {
        f.name for f in dataclasses.fields(Order)
    }
    same = {name: getattr(order, name) for name in names - {"space", "settings", "device"}}
    request = Request(**same, space=space_named(order.space), settings=dict(order.settings), device=here)
    title = f"{order.strategy} on {Path(order.data).name}"
    storage = order.storage if first else "memory"
    return searcher(request, title, storage, order.study, order.engine, order.device)


def searcher(  # a search, all that it needs
    request: Request,
    title: str,
    storage: str,
    study: str | None,
    engine: Engine | None = None,
    device: str = "auto",
) -> tuple[Any, Any]:
    """The search that was asked for, with a supernet or over complete networks, and what shows it.

    Raises:
        UserError: the request cannot be met.
    """
    from rung.cli.search_networks import NetworksProgress
    from rung.cli.search_progress import SearchProgress
    from rung.nas.complete import CompleteSearch
    from rung.nas.complete_plan import is_complete
    from rung.nas.searching import Search

    if not is_complete(request.strategy):
        epochs = SearchProgress(title)
        return Search(request, storage, study, epochs, engine, device), epochs
    if engine is not None:
        raise UserError(
            f"strategy {request.strategy!r} trains its networks on this machine: leave --executor out, and "
            "give --workers N for several at a time"
        )
    networks = NetworksProgress(title)
    return CompleteSearch(request, storage, study, networks), networks


def resume_search(name: str, storage: str) -> None:
    """Go on with an interrupted search.

    Raises:
        UserError: it was begun from Python.
    """
    from rung.cli.store import read_study, reading

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
    from rung.nas.space import Space

    file, _, name = text.partition(":")
    found = getattr(load_module(Path(file)), name or "space", None)
    if not isinstance(found, Space):
        raise UserError(f"{file} has no rung.nas.Space called {name or 'space'}: write FILE.py:NAME")
    return found


def announce(order: Order, search: Any) -> None:
    """Say what will be done."""
    from rung.cli.search_networks import announced

    if output.quiet():
        return
    prepared = search.prepared
    plan = prepared.plan
    output.say(f"data      {prepared.data}: {plan.task.spoken}")
    output.say(f"search    {announced(plan) if hasattr(plan, 'networks') else _announced(plan)}")
    otherwise = bool(order.settings) or order.epochs is not None or order.limit is not None
    scope = ", where nothing else was asked" if otherwise else ""
    output.say(f"preset    {order.preset}{scope}: {preset_text(order.preset, plan)}")
    for note in prepared.notes:
        output.say(f"note      {note}")


def preset_text(preset: str, plan: Any) -> str:
    """What a preset is for a search."""
    from rung.nas.complete_scale import SCALES, TEXT_SCALES

    if not hasattr(plan, "networks"):
        return str(plan.recipe.text)
    return (TEXT_SCALES if plan.space.skeleton == "recurrent" else SCALES)[preset].text


def _announced(plan: Any) -> str:
    """What will be searched with a supernet, in a line."""
    recipe = plan.recipe
    return (
        f"{plan.strategy.name} in space {plan.space.name}, seed {plan.seed}: "
        f"{recipe.epochs} epoch{'s' * (recipe.epochs != 1)} of {plan.task.steps} steps, {_width(recipe)}"
    )


def _width(recipe: Any) -> str:
    """How wide and deep the supernet is."""
    hidden = getattr(recipe, "hidden", None)
    return f"{recipe.channels} channels, {recipe.layers} layers" if hidden is None else f"{hidden} units"


def write(order: Order, result: SearchResult) -> None:
    """The cell file and the page."""
    from rung.nas.page import write_page

    result.save(order.out)
    write_page(result, Path(order.report), reproduces(planned(order, result)))


def planned(order: Order, result: SearchResult) -> Order:
    """With the epochs that a budget had time for: timed anew, they might be others."""
    recipe = result.settings.get("recipe", {})
    if order.budget is None or result.tried or "epochs" not in recipe:
        return order
    settings = order.settings
    if order.epochs is None and "alpha_rate" not in dict(settings):  # with epochs asked for, the preset's
        settings = (*settings, ("alpha_rate", recipe["alpha_rate"]))
    return dataclasses.replace(order, budget=None, epochs=int(recipe["epochs"]), settings=settings)


def reproduces(order: Order) -> str:
    """The command that searches the same again; it shows no password."""
    plain, order = Order(data=order.data), dataclasses.replace(order, storage=shown(order.storage))
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
        words += ["--set", f"{name}={spelled(value)}"]
    return shlex.join(words)


def tell(order: Order, result: SearchResult, said: Sequence[str] = ()) -> None:
    """Print what was found, where it lies, and the next command to type.

    Args:
        said: notes that stand above already.
    """
    if order.json:
        output.print_json({**result.to_dict(), "records": len(result.records)})
    else:
        console = output.out()
        console.print(figures(result))
        console.print(result.genotype.to_text())
    for note in result.notes:
        if note not in said:
            output.say(f"note      {note}")
    for label, path in (("cell", order.out), ("page", order.report)):
        output.say(f"{label:<9} {path} ({spoken_size(Path(path).stat().st_size)})")
    if not result.interrupted:
        own = ["--space", order.space] if order.space is not None and ".py" in order.space else []
        drawn = ["draw", order.out, "--out", "cell.svg", *own]
        given = (("--size", order.size), ("--classes", order.classes))
        same = [word for name, value in given if value is not None for word in (name, str(value))]
        trained = ["retrain", order.out, "--data", order.data, *same, *own]
        output.say(f"next      {shlex.join(['rung', 'search', *drawn])}")
        output.say(f"          {shlex.join(['rung', 'search', *trained])}")


def figures(result: SearchResult) -> Any:
    """The table of a search's figures."""
    from rung.cli.search_networks import rows_of

    stages = tuple(name for name in _STAGES if name != "derived" or not result.tried)
    table = output.grid("", *stages, right=stages)
    if result.perplexity:
        table.add_row("perplexity", *(_number(result.perplexity.get(name), 1) for name in stages))
    else:
        values = (getattr(result.accuracy, name) for name in stages)
        table.add_row("held-out accuracy", *(_number(value, 4) for value in values))
    cost = result.cost
    parts = [
        rows_of(result.tried) if result.tried else _gap(result.relaxation_gap.outputs),
        f"{result.parameters:,} parameters",
        f"{spoken(cost['seconds'])}, {cost['passes']:,} passes, {cost['images']:,} samples",
    ]
    table.caption, table.caption_justify = "; ".join(parts), "left"
    return table


def _gap(outputs: float | None) -> str:
    return "relaxation gap not defined" if outputs is None else f"relaxation gap {outputs:.3g} of outputs"


_STAGES: Final = ("searched", "derived", "retrained")


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _check_places(order: Order) -> None:
    from rung.cli.begin import check_apart, check_writable, studies_file

    kept: dict[str, str | Path] = {
        "the data itself": order.data,
        "the studies' file": studies_file(order.storage),
    }
    check_apart(Path(order.out), "--out", kept)
    check_apart(Path(order.report), "--report", {**kept, "the cell's file": order.out})
    check_writable(Path(order.out), "--out")
    check_writable(Path(order.report), "--report")
