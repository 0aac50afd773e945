"""A preset's short training of what a search found, that judges it; an interrupted one goes on."""

from __future__ import annotations

from collections.abc import Mapping

from rung.errors import DataError
from rung.nas import retraining_files as files
from rung.nas.data.pictures import Pictures
from rung.nas.devices import rank
from rung.nas.genotype import Genotype
from rung.nas.loop import Diverged
from rung.nas.memory import OutOfMemory
from rung.nas.operations import OPERATIONS, Operation
from rung.nas.recipe import Recipe
from rung.nas.retraining import Retrained, apart, retrain
from rung.nas.retraining_budget import OutOfBudget
from rung.nas.retraining_epochs import Tick, Watch
from rung.nas.retraining_schedule import schedule_of
from rung.nas.task import SHORT, Scores, Short


def short_training(  # a training, all that it depends on
    genotype: Genotype,
    pictures: Pictures,
    recipe: Recipe,
    *,
    seed: int,
    device: str,
    short: Short = SHORT,
    table: Mapping[str, Operation] = OPERATIONS,
) -> tuple[Scores | None, list[str]]:
    """A preset's short training from scratch, that judges what a search found.

    It learns from the weights' half of the search's pictures and is scored on the alphas' half, as the
    supernet was, so that the accuracies may be compared.

    Returns:
        The scores, None where there was no time or no memory for it; and what a reader should know, in
        sentences.
    """
    parts, out = apart(pictures, seed), short.out
    if short.seconds is not None and short.seconds <= 0:
        return None, ["the budget left no time to train the derived network"]

    def trained(resume: bool) -> Retrained:
        return retrain(
            genotype,
            parts,
            schedule_of(recipe),
            seed=seed,
            device=device,
            out=out,
            resume=resume,
            budget=short.seconds,
            watch=_told(short),
            table=table,
        )

    try:
        found, again = files.gone_on(trained, out)
    except OutOfMemory as why:  # what was searched is kept, here and below
        return None, [f"the derived network was not trained: {why.in_a_search()}"]
    except (OutOfBudget, DataError) as why:
        return None, [f"the derived network was not trained: {why}"]
    except Diverged as why:
        return None, [f"the short training of the derived network diverged: {why}"]
    if out is not None and not rank():
        files.discard(out)
    notes = [f"the short training: {note}" for note in (*found.notes, again) if note]
    return Scores(found.loss, found.accuracy), notes


def _told(short: Short) -> Watch:
    """What watches the training for whom wants to be told of its epochs."""

    def watch(tick: Tick) -> None:
        if short.told is not None and tick.row is not None:
            short.told(tick.epoch + 1, tick.epochs)

    return watch
