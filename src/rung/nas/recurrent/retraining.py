"""Training a recurrent cell's language model from scratch, kept after each epoch.

An epoch is a function of the state before it and of (seed, epoch), so that a training that goes on from a
checkpoint goes on bit for bit.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch

from rung.errors import DataError
from rung.nas import retraining_files as files
from rung.nas.counting import parameters
from rung.nas.data.text import Corpus, batchify
from rung.nas.devices import average, check_batch, device_of, from_first, rank, together
from rung.nas.genotype import Genotype
from rung.nas.memory import out_of_memory
from rung.nas.recurrent.language import LanguageModel, language_model, perplexity
from rung.nas.recurrent.masks import Dropouts
from rung.nas.recurrent.presets import TrainingRecipe
from rung.nas.recurrent.scratch import TEST_ROWS, Scratch
from rung.nas.recurrent.training import Diverged, Epoch, Training, evaluated
from rung.nas.retraining_budget import Budget, OutOfBudget
from rung.nas.retraining_limits import out_of_budget

FORMAT: Final = "rung language model 1"


class TextTick(NamedTuple):
    """What a watcher sees after an epoch: of how many, seconds of the whole training, the least loss of the
    validation part so far.
    """

    epoch: Epoch
    epochs: int
    seconds: float
    best: float = math.inf


@dataclass(frozen=True)
class RetrainedText:
    """A language model trained from scratch.

    Attributes:
        loss: on the test part, in nats a word, with the weights that did best on the validation part.
        valid_loss: theirs on the validation part.
        parameters: of cell and embedding.
        seconds: of training.
        epochs: what was seen, one each.
        notes: what a reader should know, in sentences.
        diverged: why the training stopped, if its loss was no longer finite.
    """

    loss: float
    valid_loss: float
    parameters: int
    seconds: float
    epochs: tuple[Epoch, ...]
    notes: tuple[str, ...]
    diverged: str | None

    def to_dict(self) -> dict[str, Any]:
        """For files."""
        return {
            **asdict(self),
            "perplexity": perplexity(self.loss),
            "valid_perplexity": perplexity(self.valid_loss),
            "epochs": [epoch._asdict() for epoch in self.epochs],
            "notes": list(self.notes),
        }


def retrain_text(  # noqa: PLR0913  # a door
    genotype: Genotype,
    corpus: Corpus,
    recipe: TrainingRecipe,
    *,
    seed: int = 0,
    device: str = "auto",
    out: str | Path | None = None,
    resume: bool = False,
    budget: float | None = None,
    watch: Callable[[TextTick], object] | None = None,
) -> RetrainedText:
    """Train a recurrent cell's language model from scratch, and score it on the test part.

    Args:
        out: where the model is written; beside it, after each epoch, a checkpoint, removed at the end.
        resume: go on from that checkpoint.
        budget: seconds; the training ends when another epoch would not fit.
        watch: called after each epoch.

    Raises:
        DataError: a text too short, or a checkpoint in the way.
        SpaceError: the checkpoint is of another training.
        OutOfBudget: the budget is under one epoch, as a few of its windows say.
        UserError: several processes cannot share the rows evenly.
        OutOfMemory: there is too little memory; the message names what fits.
        Diverged: the loss is not finite in the first epoch.
    """
    device, allowed = device_of(device), None if budget is None else Budget(budget, time.monotonic())
    with together(device):
        check_batch(recipe.rows)
        try:
            job = _Job(genotype, corpus, recipe, seed, device)
            return _retrained(job, None if out is None else Path(out), resume, allowed, watch)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            scratch = Scratch(corpus, None, torch.device(device))
            raise scratch.explained(error, genotype, recipe, seed) from error


class _Job(NamedTuple):
    """What is trained."""

    genotype: Genotype
    corpus: Corpus
    recipe: TrainingRecipe
    seed: int
    device: str


def _retrained(
    job: _Job,
    place: Path | None,
    resume: bool,
    allowed: Budget | None,
    watch: Callable[[TextTick], object] | None,
) -> RetrainedText:
    corpus, recipe, device = job.corpus, job.recipe, job.device
    training, seconds = _begun(job), 0.0
    same = _identity(job.genotype, corpus, recipe, job.seed)
    if place is not None:
        seconds = _resumed(training, files.checkpoint_of(place), same, resume)
    train = batchify(corpus.train, recipe.rows).to(device)
    valid = batchify(corpus.valid, TEST_ROWS).to(device)
    if allowed is not None and not training.epochs:
        _check_time(job, allowed)
    diverged = None
    while len(training.epochs) < recipe.epochs:
        began = time.monotonic()
        try:
            done = training.epoch(train, valid)
        except Diverged as why:
            if not training.epochs:
                raise
            diverged = f"{why}; the best weights before are kept"
            break
        seconds += (each := time.monotonic() - began)
        _keep(training, place, {"identity": same, "seconds": seconds})
        if watch is not None:
            best = min(epoch.valid_loss for epoch in training.epochs)
            watch(TextTick(done, recipe.epochs, seconds, best))
        if allowed is not None and average(allowed.spent() + each) > allowed.seconds:
            break
    return _finished(training, corpus, seconds, diverged, place, same)


def _keep(training: Training, place: Path | None, about: dict[str, Any]) -> None:
    """Write a checkpoint beside the place of the model, if it has one."""
    if place is not None and not rank():
        files.write({**about, **training.state()}, files.checkpoint_of(place))


def _begun(job: _Job) -> Training:
    """Before its first step: weights are a function of the seed."""
    recipe, words = job.recipe, len(job.corpus.vocabulary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        model = language_model(job.genotype, words, recipe.hidden, recipe.dropouts)
    return Training(model.to(job.device), recipe, job.seed)


def _check_time(job: _Job, budget: Budget) -> None:
    """Refuse a budget in which no epoch fits, as a few windows of a training say that is thrown away.

    Raises:
        OutOfBudget: it does not.
    """
    scratch = Scratch(job.corpus, None, torch.device(job.device))
    each = scratch.epoch_seconds(job.genotype, job.recipe, job.seed)
    whole = average(budget.spent() + each)
    if whole > budget.seconds:
        raise OutOfBudget(out_of_budget(budget.seconds, whole))


def _resumed(training: Training, path: Path, same: dict[str, Any], resume: bool) -> float:
    """Take over what was kept; seconds that it took."""
    kept = from_first(lambda: files.kept(path, resume=resume))
    if kept is None:
        return 0.0
    files.check_same(path, same, kept["identity"])
    training.load(kept)
    return float(kept["seconds"])


def _finished(
    training: Training,
    corpus: Corpus,
    seconds: float,
    diverged: str | None,
    place: Path | None,
    same: dict[str, Any],
) -> RetrainedText:
    planned, done = training.recipe.epochs, len(training.epochs)
    notes = [f"{done} of {planned} epochs fitted the budget"] if done < planned and diverged is None else []
    model = training.restore_best()
    device = model.frame.embedding.device
    loss = evaluated(model, batchify(corpus.test, TEST_ROWS).to(device), training.recipe.bptt)
    found = RetrainedText(
        loss=loss,
        valid_loss=min(epoch.valid_loss for epoch in training.epochs),
        parameters=parameters(model),
        seconds=seconds,
        epochs=tuple(training.epochs),
        notes=tuple(notes),
        diverged=diverged,
    )
    if place is not None and not rank():
        weights = {name: value.detach().cpu() for name, value in model.state_dict().items()}
        about = {"vocabulary": list(corpus.vocabulary), "loss": loss, "valid_loss": found.valid_loss}
        files.write({"format": FORMAT, **same, **about, "weights": weights}, place)
        if diverged is None:
            files.checkpoint_of(place).unlink(missing_ok=True)
    return found


def load_language_model(path: str | Path) -> tuple[LanguageModel, tuple[str, ...]]:
    """Read a language model that `rung search retrain` wrote, in evaluation mode, and its vocabulary by id.

    Raises:
        DataError: the file cannot be read, or holds no language model.
    """
    form = files.read(Path(path))
    if form.get("format") != FORMAT:
        raise DataError(f"{path} is no language model of rung search retrain")
    model = language_model(
        Genotype.from_dict(form["cell"]),
        len(form["vocabulary"]),
        form["hidden"],
        Dropouts(**form["dropouts"]),
    )
    model.load_state_dict(form["weights"])
    return model.eval(), tuple(form["vocabulary"])


def _identity(genotype: Genotype, corpus: Corpus, recipe: TrainingRecipe, seed: int) -> dict[str, Any]:
    """What must be the same where a training goes on."""
    data = [zlib.crc32(np.ascontiguousarray(ids).data) for ids in (corpus.train, corpus.valid)]
    return {"cell": genotype.to_dict(), "seed": seed, "data": [corpus.name, *data], **asdict(recipe)}
