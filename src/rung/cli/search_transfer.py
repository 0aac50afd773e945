"""`rung search transfer`: a cell on other data, beside random cells of its size."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import output
from rung.cli import search_retrain_options as options
from rung.cli.options import Json
from rung.cli.search_cells import CellFile, Own
from rung.cli.search_retrain import announce, first, processes, read, train
from rung.cli.search_retrain_progress import COLUMNS, figures
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.nas.genotype import Genotype
    from rung.nas.retraining import Retrained
    from rung.nas.retraining_schedule import Schedule

Baselines = Annotated[
    int, typer.Option("--baseline", min=0, max=20, help="Train so many random cells of equal size beside it.")
]


def transfer(  # noqa: PLR0913  # a door
    cell: CellFile,
    data: options.Data,
    space: Own = None,
    baseline: Baselines = 1,
    preset: options.Preset = "tiny",
    channels: options.Channels = None,
    layers: options.Layers = None,
    epochs: options.Epochs = None,
    batch: options.Batch = None,
    rate: options.Rate = None,
    auxiliary: options.Auxiliary = None,
    cutout: options.Cutout = None,
    drop_path: options.DropPath = None,
    stem: options.Stem = None,
    amp: options.Amp = False,
    limit: options.Limit = None,
    classes: options.Classes = None,
    budget: options.Budget = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: Json = False,
) -> None:
    """Train a cell from scratch on other data, and random cells of its size beside it in the same way."""
    given = dict(locals())  # first of all, so that it has the options and nothing else
    from rung.cli.parse import parse_duration
    from rung.cli.search_cells import own_operations, own_table, read_cell
    from rung.cli.search_run import space_named
    from rung.deploy.extras import need

    need("torch", "rung search transfer")
    from rung.nas.retraining import retrain
    from rung.nas.retraining_transfer import transfer as transferred

    genotype = read_cell(cell, own_operations(space))
    own = space_named(space) if space is not None and ".py" in space else None
    if genotype.recurrent:
        raise UserError(f"{cell} is a recurrent cell: train it on another text with rung search retrain")
    seconds = None if budget is None else parse_duration(budget) / (1 + baseline)
    settings = {name: given.get(name) for name in options.NETWORK}
    wanted = options.schedule(preset, settings, auxiliary, amp)
    with processes(device) as here:
        pictures = read(data, limit, classes, seed)
        announce(pictures)
        for note in pictures.notes:
            output.say(note)
        pictures = replace(pictures, notes=())
        ready = partial(retrain, pictures=pictures, seed=seed, device=here, table=own_table(space))
        training = Trainings(cell.name, wanted, seconds, ready)
        transferred(genotype, pictures, wanted, baselines=baseline, seed=seed, train=training, own=own)
        if first():
            finish(training.rows, json)


class Trainings:
    """Trains cells one after the other, for as many epochs as the first one's budget had time for.

    Args:
        name: of the first cell.
        schedule: of all.
        seconds: that the first may take.
        ready: `rung.nas.retraining.retrain` but for the genotype, the schedule, the budget and the watchers.
    """

    def __init__(
        self, name: str, schedule: Schedule, seconds: float | None, ready: Callable[..., Retrained]
    ) -> None:
        self.rows: list[tuple[str, Retrained]] = []
        self._name, self._schedule, self._seconds, self._ready = name, schedule, seconds, ready

    def __call__(self, title: str, genotype: Genotype) -> Retrained:
        name = self._name if title == "cell" else title
        output.say(f"training {name}")
        alone = not self.rows
        wanted = self._schedule if alone else replace(self._schedule, epochs=self.rows[0][1].epochs)
        own = partial(self._ready, genotype, schedule=wanted, budget=self._seconds if alone else None)
        found = train(
            name,
            lambda progress: own(watch=progress, tell=progress.tell if alone else None),
            None,
        )
        self.rows.append((name, found))
        return found


def finish(rows: list[tuple[str, Retrained]], json: bool) -> None:
    """Print what was found: the cell, the random cells, and how far it is from their mean."""
    errors = [100 * (1 - found.accuracy) for _, found in rows]
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
            f"cell{'s' * (len(rows) > 2)} of its size ({mean:.2f}{spread} %)"
        )


def _plain(rows: list[tuple[str, Retrained]]) -> dict[str, Any]:
    cells = [{"cell": name, **found.to_dict()} for name, found in rows]
    return {"cell": cells[0], "baselines": cells[1:]}
