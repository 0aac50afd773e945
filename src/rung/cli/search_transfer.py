"""`rung search transfer`: a cell on other data, beside random cells about as large."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import output
from rung.cli import search_retrain_options as options
from rung.cli.options import Json
from rung.cli.search_cells import CellFile
from rung.cli.search_retrain import first, processes, read, train
from rung.cli.search_retrain_progress import COLUMNS, figures
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.nas.genotype import Genotype
    from rung.nas.retraining import Retrained
    from rung.nas.retraining_schedule import Schedule
    from rung.nas.retraining_transfer_files import TransferFolder

Out = Annotated[
    Path,
    typer.Option(
        "--out", metavar="FOLDER", help="Where the trained networks are written: cell.pt, random-1.pt, ..."
    ),
]
Space = Annotated[
    str | None,
    typer.Option(
        metavar="SPACE",
        help="Of the cell and the random cells: a name, or your own as FILE.py:NAME.",
        show_default="the one that the cell was searched in, or the smallest that has it",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a transfer that was interrupted.")]
Baselines = Annotated[
    int,
    typer.Option(
        "--baseline",
        min=0,
        max=20,
        help="Train so many random cells beside it, of its size or the nearest drawn.",
    ),
]


def transfer(  # noqa: PLR0913  # a door
    cell: CellFile,
    data: options.Data,
    space: Space = None,
    baseline: Baselines = 1,
    preset: options.Preset = "tiny",
    channels: options.Channels = None,
    layers: options.Layers = None,
    epochs: options.Epochs = None,
    batch: options.Batch = None,
    rate: options.Rate = None,
    auxiliary: options.Auxiliary = None,
    cutout: options.Cutout = None,
    jitter: options.Jitter = None,
    drop_path: options.DropPath = None,
    stem: options.Stem = None,
    amp: options.Amp = False,
    limit: options.Limit = None,
    size: options.Size = None,
    classes: options.Classes = None,
    budget: options.Budget = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: Out = Path("transfer"),
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Train a cell from scratch on other data, and random cells about as large beside it in the same way.

    Each network is kept in the folder of --out, and after each epoch a checkpoint of the one that is being
    trained: after Ctrl-C, --resume goes on from there.
    """
    given = dict(locals())  # first of all, so that it has the options and nothing else
    from rung.cli.parse import parse_duration
    from rung.cli.search_cells import own_operations, own_table, read_cell, space_given, space_searched
    from rung.deploy.extras import need

    need("torch", "rung search transfer")
    from rung.nas.retraining import retrain
    from rung.nas.retraining_transfer import transfer as transferred
    from rung.nas.retraining_transfer_files import TransferFolder

    genotype = read_cell(cell, own_operations(space))
    own = space_searched(cell) if space is None else space_given(space)
    if genotype.recurrent:
        raise UserError(f"{cell} is a recurrent cell: train it on another text with rung search retrain")
    seconds = None if budget is None else parse_duration(budget) / (1 + baseline)
    _check_folder(out, cell, data)
    settings = {name: given.get(name) for name in options.NETWORK}
    wanted = options.schedule(preset, settings, auxiliary, amp)
    with processes(device) as here:
        pictures = read(data, limit, size, classes, seed)
        for note in pictures.notes:
            output.say(note)
        pictures = replace(pictures, notes=())
        table, folder = own_table(space), TransferFolder(out, resume=resume)
        ready = partial(retrain, pictures=pictures, seed=seed, device=here, table=table)
        ended = partial(folder.ended, pictures=pictures, seed=seed, table=table)
        training = Trainings(cell.name, wanted, seconds, folder, ready, ended)
        with _ending(folder, baseline):
            transferred(genotype, pictures, wanted, baselines=baseline, seed=seed, train=training, own=own)
        if first():
            finish(training.rows, out, json)


@contextmanager
def _ending(folder: TransferFolder, baseline: int) -> Iterator[None]:
    """Leave no empty folder behind, and say whose a budget is that is too short."""
    from rung.nas.retraining_budget import OutOfBudget

    try:
        yield
    except OutOfBudget as error:
        many = f"; the budget is for {1 + baseline} networks together" if baseline else ""
        raise UserError(f"{error}{many}") from error
    finally:
        folder.leave()


def _check_folder(out: Path, cell: Path, data: str) -> None:
    from rung.cli.begin import check_apart

    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: give --out the name of a folder")
    if not out.parent.is_dir():
        raise UserError(f"the folder {out.parent} does not exist: make it, or give another --out")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise UserError(f"{out} cannot be written: give another --out, or change the permissions")
    check_apart(out, "--out", {"the folder of the data": data})
    check_apart(out / "cell.pt", "--out", {"the cell file": cell})


class Trainings:
    """Trains cells one after the other, for as many epochs as the first one's budget had time for.

    Args:
        name: of the first cell.
        schedule: of all.
        seconds: that the first may take.
        folder: where they are kept; what is there is not trained again.
        ready: `rung.nas.retraining.retrain` but for the genotype, the schedule, the budget, the files and the
            watchers.
        ended: the folder's, but for the title, the genotype, the schedule and whether there is a budget.
    """

    def __init__(  # what is trained, and how
        self,
        name: str,
        schedule: Schedule,
        seconds: float | None,
        folder: TransferFolder,
        ready: Callable[..., Retrained],
        ended: Callable[..., Retrained | None],
    ) -> None:
        self.rows: list[tuple[str, Retrained]] = []
        self._name, self._schedule, self._seconds = name, schedule, seconds
        self._folder, self._ready, self._ended = folder, ready, ended

    def __call__(self, title: str, genotype: Genotype) -> Retrained:
        name = self._name if title == "cell" else title
        alone, wanted = not self.rows, self._wanted()
        seconds = self._seconds if alone else None
        found = self._ended(title, genotype, schedule=wanted, fewer=seconds is not None)
        if found is None:
            output.say(f"training {name}")
            resume, out = self._folder.under_way(title), self._folder.out(title)
            own = partial(self._ready, genotype, schedule=wanted, out=out, resume=resume, budget=seconds)
            found = train(
                name,
                lambda progress: own(watch=progress, tell=progress.tell if alone else None),
                out,
                len(self.rows),
            )
        else:
            output.say(f"{name} was trained before")
        self.rows.append((name, found))
        return found

    def _wanted(self) -> Schedule:
        """The first one's, once that was trained."""
        if not self.rows:
            return self._schedule
        found = self.rows[0][1]
        warm_up = min(found.schedule.warm_up, found.epochs - 1)
        return replace(found.schedule, epochs=found.epochs, warm_up=warm_up)


def finish(rows: list[tuple[str, Retrained]], out: Path, json: bool) -> None:
    """Print what was found: the cell, the random cells, and how far it is from their mean."""
    errors = [100 * (1 - found.accuracy) for _, found in rows]
    output.say(f"networks in the folder {out}: rung.nas.load_network reads them")
    if json:
        output.print_json(_plain(rows))
        return
    table = output.grid(*COLUMNS, right=COLUMNS[1:])
    for number, (name, found) in enumerate(rows):
        table.add_row(*figures(name, found), style="bold" if not number else "")
    output.out().print(table)
    if len(rows) > 1:
        mean = statistics.mean(errors[1:])
        spread = f" ± {statistics.stdev(errors[1:]):.2f}" if len(rows) > 2 else ""
        less = mean - errors[0]
        word = "fewer" if less >= 0 else "more"
        output.say(
            f"the cell errs on {abs(less):.2f} points {word} than {len(rows) - 1} random "
            f"cell{'s' * (len(rows) > 2)} {sizes([found.parameters for _, found in rows])} "
            f"({mean:.2f}{spread} %)"
        )


def sizes(parameters: list[int]) -> str:
    """How large random cells are beside a cell, in words.

    Args:
        parameters: of the cell's network, then of theirs.
    """
    from rung.nas.retraining_transfer import NEAR

    own, *others = parameters
    if all(abs(other - own) / own <= NEAR for other in others):
        return "of its size"
    shares = [other / own for other in others]
    least, most = f"{min(shares):.2f}", f"{max(shares):.2f}"
    return (
        f"of {least if least == most else f'{least} to {most}'} times its size, the nearest that were drawn"
    )


def _plain(rows: list[tuple[str, Retrained]]) -> dict[str, Any]:
    cells = [{"cell": name, **found.to_dict()} for name, found in rows]
    return {"cell": cells[0], "baselines": cells[1:]}
