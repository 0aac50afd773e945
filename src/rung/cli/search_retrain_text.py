"""`rung search retrain` of a recurrent cell: a language model trained from scratch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rung.cli import output
from rung.cli.exits import INTERRUPTED, NO_RESULT
from rung.cli.search_retrain_progress import interrupted, write_page
from rung.cli.sizes import spoken_size
from rung.errors import UserError
from rung.study.durations import spoken

if TYPE_CHECKING:
    from rung.nas.genotype import Genotype
    from rung.nas.recurrent.presets import LanguageRecipe
    from rung.nas.retraining_text import RetrainedText


@dataclass(frozen=True)
class TextOrder:
    """What was asked for: see the options of the command; None leaves the preset's.

    Attributes:
        limit: words of the training part.
        budget: seconds.
    """

    data: str
    preset: str
    epochs: int | None
    batch: int | None
    rate: float | None
    hidden: int | None
    limit: int | None
    budget: float | None
    seed: int
    device: str
    out: str
    report: str
    resume: bool
    json: bool


def train_text(cell: Path, genotype: Genotype, order: TextOrder) -> None:
    """Train a recurrent cell's language model from scratch, and print its perplexities."""
    from rung.nas.data.text import read_text
    from rung.nas.devices import rank
    from rung.nas.recurrent.training import Diverged
    from rung.nas.retraining_text import TextTick, retrain_text
    from rung.nas.training_page import Made, page_of_text

    recipe = recipe_of(order)
    corpus = read_text(order.data, vocabulary=recipe.vocabulary)
    limit = order.limit or recipe.words
    corpus = replace(corpus, train=corpus.train[:limit])
    output.say(
        f"{corpus.name}: {len(corpus.train):,} words to train on, {len(corpus.vocabulary):,} different"
    )
    for note in corpus.notes:
        output.say(note)
    done = 0

    def watch(tick: TextTick) -> None:
        nonlocal done
        done, epoch = tick.epoch.number, tick.epoch
        left = tick.seconds / done * (tick.epochs - done)
        averaged = ", averaged" if epoch.averaged else ""
        output.say(
            f"epoch {done}/{tick.epochs}, train loss {epoch.train_loss:.4f}, validation perplexity "
            f"{epoch.valid_perplexity:.2f}{averaged}, "
            + (f"about {spoken(left)} left" if left else f"{spoken(tick.seconds)} in all")
        )

    out = Path(order.out)
    try:
        found = retrain_text(
            genotype,
            corpus,
            recipe.training,
            seed=order.seed,
            device=order.device,
            out=out,
            resume=order.resume,
            budget=order.budget,
            watch=watch,
        )
    except Diverged as error:
        output.fail(f"{error}; nothing is kept")
        raise typer.Exit(NO_RESULT) from error
    except KeyboardInterrupt as error:
        output.say(interrupted(done, recipe.retrain_epochs, out))
        raise typer.Exit(INTERRUPTED) from error
    if not rank():  # of several processes, the one that prints and writes
        finish(cell, found, order)
        made = Made(cell.name, corpus.name, genotype, order.seed, order.out)
        words = len(corpus.train), len(corpus.vocabulary)
        write_page(page_of_text(found, made, words, recipe.training), Path(order.report))
    if found.diverged is not None:
        output.fail(found.diverged)
        raise typer.Exit(NO_RESULT)


def finish(cell: Path, found: RetrainedText, order: TextOrder) -> None:
    """Print what was found."""
    from rung.nas.recurrent.language import perplexity

    for note in found.notes:
        output.say(note)
    if order.json:
        output.print_json({"cell": str(cell), **found.to_dict(), "network": order.out})
    else:
        columns = ("cell", "test perplexity", "validation", "parameters", "epochs", "time")
        table = output.grid(*columns, right=columns[1:])
        table.add_row(
            cell.name,
            f"{perplexity(found.loss):.2f}",
            f"{perplexity(found.valid_loss):.2f}",
            f"{found.parameters:,}",
            str(len(found.epochs)),
            spoken(found.seconds),
        )
        output.out().print(table)
    size = spoken_size(Path(order.out).stat().st_size)
    output.say(f"network {order.out} ({size}): rung.nas.retraining_text.load_language_model reads it")


def recipe_of(order: TextOrder) -> LanguageRecipe:
    """A preset of recurrent cells with what was set otherwise.

    Raises:
        UserError: there is no such preset.
    """
    from rung.nas.recurrent.presets import LANGUAGE_PRESETS

    if order.preset not in LANGUAGE_PRESETS:
        raise UserError(f"unknown preset {order.preset!r}: there are {', '.join(LANGUAGE_PRESETS)}")
    if order.rate is not None and not 0 < order.rate < math.inf:  # NaN is none of them
        raise UserError(f"the learning rate must be a number above 0, not {order.rate}")
    own = {
        "retrain_epochs": order.epochs,
        "retrain_batch": order.batch,
        "rate": order.rate,
        "retrain_hidden": order.hidden,
    }
    given: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
    return replace(LANGUAGE_PRESETS[order.preset], **given)
