"""A preset's short training of a recurrent cell that a search found, that judges it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rung.errors import UserError
from rung.nas import retraining_files as files
from rung.nas.devices import rank
from rung.nas.genotype import Genotype
from rung.nas.memory import OutOfMemory
from rung.nas.recurrent.presets import TrainingRecipe
from rung.nas.recurrent.retraining import RetrainedText, TextTick, retrain_text
from rung.nas.recurrent.scratch import Scratch
from rung.nas.recurrent.training import Diverged
from rung.nas.task import SHORT, Scores, Short


def short_text(
    scratch: Scratch, genotype: Genotype, settings: TrainingRecipe, seed: int, short: Short = SHORT
) -> tuple[Scores | None, list[str]]:
    """Train a cell from scratch; the weights that did best on the validation part are tested.

    Args:
        scratch: the text, how many words of it, and the device.

    Returns:
        The test part's scores (None where not even an epoch fits, or there is no memory), and what a reader
        should know.
    """
    if short.seconds is not None and short.seconds <= 0:
        return None, ["not retrained: the budget left no time for it"]
    corpus = replace(scratch.corpus, train=scratch.corpus.train[: scratch.words])

    def trained(resume: bool) -> RetrainedText:
        return retrain_text(
            genotype,
            corpus,
            settings,
            seed=seed,
            device=str(scratch.device),
            out=short.out,
            resume=resume,
            budget=short.seconds,
            watch=_told(short),
        )

    try:
        found, again = files.gone_on(trained, short.out)
    except OutOfMemory as why:  # what was searched is kept, here and below
        return None, [f"not retrained: {why.in_a_search()}"]
    except (Diverged, UserError) as why:
        return None, [f"not retrained: {why}"]
    if short.out is not None and not rank():
        files.discard(short.out)
    if found.diverged is not None:
        return None, [f"not retrained: {found.diverged}"]
    return Scores(found.loss, None), _said(found, again)


def _told(short: Short) -> Callable[[TextTick], object]:
    """What watches the training for whom wants to be told of its epochs."""

    def watch(tick: TextTick) -> None:
        if short.told is not None:
            short.told(tick.epoch.number, tick.epochs)

    return watch


def _said(found: RetrainedText, again: str | None) -> list[str]:
    best = min(found.epochs, key=lambda epoch: epoch.valid_loss)
    since = next((epoch.number for epoch in found.epochs if epoch.averaged), None)
    averaged = "" if since is None else f", averaging weights from epoch {since}"
    epochs = f"{len(found.epochs)} epoch{'s' * (len(found.epochs) != 1)}"
    said = (
        f"retrained for {epochs}{averaged}: perplexity {best.valid_perplexity:.1f} on "
        f"the validation part after epoch {best.number}; the retrained cell's own is of the test part"
    )
    return [said] if again is None else [said, f"retraining was {again}"]
