"""`rung search retrain`: train a cell's network from scratch."""

from __future__ import annotations

import json as jsons
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rung.cli import output
from rung.cli import search_retrain_options as options
from rung.cli.exits import INTERRUPTED, NO_RESULT
from rung.cli.options import Json
from rung.cli.search_cells import CellFile, Own, own_operations, own_table, read_cell
from rung.cli.search_retrain_progress import COLUMNS, RetrainProgress, figures, interrupted, write_page
from rung.cli.search_retrain_text import TextOrder, train_text
from rung.cli.sizes import spoken_size
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.nas.data.pictures import Pictures
    from rung.nas.genotype import Genotype
    from rung.nas.retraining import Retrained


def retrain(  # noqa: PLR0913  # a door
    cell: CellFile,
    data: options.Data,
    space: Own = None,
    preset: options.Preset = "paper",
    channels: options.Channels = None,
    layers: options.Layers = None,
    epochs: options.Epochs = None,
    batch: options.Batch = None,
    rate: options.Rate = None,
    warm_up: options.WarmUp = None,
    auxiliary: options.Auxiliary = None,
    cutout: options.Cutout = None,
    jitter: options.Jitter = None,
    drop_path: options.DropPath = None,
    label_smoothing: options.Smoothing = None,
    stem: options.Stem = None,
    amp: options.Amp = False,
    hidden: options.Hidden = None,
    limit: options.Limit = None,
    size: options.Size = None,
    classes: options.Classes = None,
    budget: options.Budget = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: options.Out = Path("network.pt"),
    report: options.Report = Path("retrain.html"),
    resume: options.Resume = False,
    update: options.Update = False,
    json: Json = False,
) -> None:
    """Train a cell's network from scratch on all training pictures, and test it.

    After each epoch a checkpoint is written beside --out: after Ctrl-C, --resume goes on from there.
    """
    given = dict(locals())  # first of all, so that it has the options and nothing else
    from rung.cli.begin import command_start
    from rung.cli.parse import parse_duration
    from rung.deploy.extras import need

    need("torch", "rung search retrain")
    from rung.nas.retraining import retrain as trained

    genotype = read_cell(cell, own_operations(space))
    _check_places(cell, data, out, report, update)
    seconds = None if budget is None else parse_duration(budget)
    if genotype.recurrent:
        options.refuse_given(cell, given)
        with processes(device) as here:
            asked = (data, preset, epochs, batch, rate, hidden, limit, seconds, seed, here)
            train_text(cell, genotype, TextOrder(*asked, str(out), str(report), resume, json))
        return
    options.refuse_hidden(cell, hidden)
    wanted = options.schedule(preset, {name: given[name] for name in options.NETWORK}, auxiliary, amp)
    with processes(device) as here:
        pictures = read(data, limit, size, classes, seed)
        ready = partial(trained, genotype, pictures, wanted, seed=seed, device=here, table=own_table(space))
        timed = partial(ready, out=out, resume=resume, budget=seconds, began=command_start())
        found = train(cell.name, lambda progress: timed(watch=progress, tell=progress.tell), out)
        if first():
            finish(cell, found, out, update, json)
            _write_report(given, genotype, pictures, found)
    if found.diverged is not None:
        raise typer.Exit(NO_RESULT)


def _write_report(given: dict[str, Any], genotype: Genotype, pictures: Pictures, found: Retrained) -> None:
    """Write the page.

    Args:
        given: the options of `retrain`.
    """
    from rung.nas.training_page import Made, page_of_pictures

    own = given["space"] if given["space"] is not None and ".py" in given["space"] else ""
    made = Made(given["cell"].name, pictures.name, genotype, given["seed"], str(given["out"]), own)
    write_page(page_of_pictures(found, made, len(pictures.y_train)), given["report"])


def _check_places(cell: Path, data: str, out: Path, report: Path, update: bool) -> None:
    from rung.cli.begin import check_apart, check_writable

    check_writable(out, "--out")
    check_writable(report, "--report")
    kept: dict[str, str | Path] = {"the cell file": cell, "the data": data}
    check_apart(out, "--out", kept)
    check_apart(report, "--report", {**kept, "the network's file": out})
    if update:
        result_form(cell)


def result_form(cell: Path) -> dict[str, Any]:
    """What a search wrote.

    Raises:
        UserError: the cell file is a bare genotype.
    """
    try:
        form = jsons.loads(cell.read_text(encoding="utf-8"))
    except jsons.JSONDecodeError:  # the reference's text form
        form = None
    if not isinstance(form, dict) or not isinstance(form.get("accuracy"), dict):
        raise UserError(f"{cell} is a bare genotype, no result of a search: leave --update out")
    return form


@contextmanager
def processes(device: str) -> Iterator[str]:
    """The device's name; where `torchrun` started several processes they work together, the first speaks."""
    from rung.nas.devices import device_of, rank, together

    here = device_of(device)
    with together(here):
        if rank():
            output.volume.set(-1)
        yield here


def first() -> bool:
    """Whether this process is the one that prints and writes."""
    from rung.nas.devices import rank

    return rank() == 0


def read(data: str, limit: int | None, size: int | None, classes: str | None, seed: int) -> Pictures:
    """Pictures, with a test part; says what was read."""
    from rung.nas.data.reading import read_pictures

    pictures = read_pictures(data, limit=limit, size=size, classes=classes, seed=seed, test=True)
    height, width, channels = pictures.shape
    tested = 0 if pictures.y_test is None else len(pictures.y_test)
    colours = "grey" if channels == 1 else "colour" if channels == 3 else f"{channels} channels"
    output.say(
        f"{pictures.name}: {len(pictures.y_train):,} pictures to train on, {tested:,} to test, "
        f"{height} x {width}, {colours}, {len(pictures.classes)} classes"
    )
    return pictures


def train(title: str, run: Callable[[Any], Retrained], out: Path, before: int = 0) -> Retrained:
    """Run a training under a progress display; on Ctrl-C, say how to go on.

    Args:
        before: networks that were trained before this one, and are kept.

    Raises:
        typer.Exit: it was interrupted, or diverged in its first epoch.
    """
    from rung.nas.loop import Diverged

    progress = RetrainProgress(title)
    try:
        with progress.showing():
            found = run(progress)
    except KeyboardInterrupt as error:
        output.say(interrupted(progress.epochs_done, progress.epochs, out, before))
        raise typer.Exit(INTERRUPTED) from error
    except Diverged as error:
        output.fail(f"{error}; {'what was trained before is kept' if before else 'nothing is kept'}")
        raise typer.Exit(NO_RESULT) from error
    if found.diverged is not None:
        output.fail(found.diverged)
    return found


def finish(cell: Path, found: Retrained, out: Path, update: bool, json: bool) -> None:
    """Print what was found, and write it into the cell file if that is wished."""
    if update:
        from rung.storage.whole import write_whole

        form = result_form(cell)
        form["accuracy"]["retrained"] = found.accuracy
        write_whole(cell, jsons.dumps(form, indent=1) + "\n", "CELL")
    if json:
        output.print_json({"cell": str(cell), **found.to_dict(), "network": str(out)})
    else:
        table = output.grid(*COLUMNS, right=COLUMNS[1:])
        table.add_row(*figures(cell.name, found))
        output.out().print(table)
    output.say(f"network {out} ({spoken_size(out.stat().st_size)}): rung.nas.load_network reads it")
    if update:
        output.say(f"{cell}: its accuracy retrained is {found.accuracy:.4f} now")
