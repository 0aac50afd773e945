"""Complete networks for text: language models of recurrent cells, scored by their perplexity.

Each is trained from scratch on the training part and scored on the validation part, with the weights that did
best there; the best cell's last training is scored on the test part, which nothing was chosen by.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import torch

from rung.errors import DataError
from rung.nas.complete_kind import Watching
from rung.nas.data.keys import seed_of
from rung.nas.data.text import Corpus, lengths
from rung.nas.genotype import Genotype
from rung.nas.loop import Diverged
from rung.nas.memory import out_of_memory
from rung.nas.recurrent import training
from rung.nas.recurrent.language import perplexity
from rung.nas.recurrent.presets import LanguageRecipe, TrainingRecipe
from rung.nas.recurrent.retraining import RetrainedText, TextTick, retrain_text
from rung.nas.recurrent.scratch import TEST_ROWS, Scratch
from rung.nas.recurrent.short import short_text
from rung.nas.search_study import PERPLEXITY
from rung.nas.task import SHORT, Scores, Short

SETTINGS: Final = (
    *("vocabulary", "words", "rate", "clip", "bptt"),
    *("retrain_hidden", "retrain_epochs", "retrain_batch", "retrain_decay", "retrain_patience"),
    *("dropout", "dropout_inputs", "dropout_embedding", "dropout_weights"),
    *("retrain_dropout_hidden", "retrain_dropout_words", "activation", "temporal"),
)
"""Of a recipe, those that a language model trained from scratch knows."""


@dataclass(frozen=True, eq=False)
class TextNetworks:
    """See `rung.nas.complete_kind.Networks`.

    Attributes:
        corpus: the text.
        recipe: of which `words` are used, and how models are trained.
        seed: of everything random.
        device: where models are.
    """

    corpus: Corpus
    recipe: LanguageRecipe
    seed: int
    device: torch.device

    metric = PERPLEXITY
    recorded = SETTINGS

    def __post_init__(self) -> None:
        """Check that each part fills its rows.

        Raises:
            DataError: one is too short.
        """
        parts = (
            ("training", self.searched.train, self.recipe.retrain_batch, ", or a smaller retrain_batch"),
            ("validation", self.corpus.valid, TEST_ROWS, ""),
            ("test", self.corpus.test, TEST_ROWS, ""),
        )
        for name, ids, rows, smaller in parts:
            if len(ids) < 2 * rows:
                raise DataError(
                    f"the text {self.corpus.name!r} is too short: its {name} part has {len(ids)} words, and "
                    f"{rows} rows side by side need {2 * rows}: give a longer one{smaller}"
                )

    @cached_property
    def searched(self) -> Corpus:
        """What the networks of a search see: in place of the test part, the validation part.

        Of that no more than half as many words as are trained on, the first ones: scoring takes a sixth of
        the time of training at most.
        """
        train = self.corpus.train[: self.recipe.words]
        valid = self.corpus.valid[: max(len(train) // 2, TEST_ROWS * self.recipe.bptt)]
        return replace(self.corpus, train=train, valid=valid, test=valid)

    @property
    def spoken(self) -> str:
        """What the data is, in a few words."""
        return (
            f"{len(self.searched.train):,} words to train on, {len(self.searched.valid):,} to be scored on, "
            f"{len(self.corpus.vocabulary):,} of vocabulary"
        )

    @property
    def shape(self) -> list[int]:
        """Words of the training part, of the validation part and of the vocabulary."""
        return [len(self.searched.train), len(self.searched.valid), len(self.corpus.vocabulary)]

    @property
    def checksums(self) -> list[int]:
        """Of the training and validation parts."""
        return self.searched.checksums

    def width(self, recipe: LanguageRecipe) -> str:
        """How wide networks are, in words."""
        return f"{recipe.retrain_hidden} units"

    def told(self, scores: Scores) -> dict[str, float]:
        """The perplexity, and the loss that it is the exponential of, in nats a word."""
        return {PERPLEXITY: perplexity(scores.loss), "loss": scores.loss}

    def passes(self, recipe: LanguageRecipe, epochs: int) -> tuple[int, int]:
        """Windows, and the words in them."""
        settings = recipe.training
        rows = len(self.searched.train) // settings.rows
        spans = [
            lengths(rows, settings.bptt, seed=self._seed, epoch=epoch, spread=settings.spread)
            for epoch in range(epochs)
        ]
        return sum(map(len, spans)), settings.rows * sum(map(sum, spans))

    def train(
        self, genotype: Genotype, recipe: LanguageRecipe, *, out: Path, resume: bool, watch: Watching
    ) -> tuple[int, Scores]:
        """With the weights that did best on the validation part, as all scores on the way are."""

        def ticked(tick: TextTick) -> None:
            if tick.epoch.number < tick.epochs:  # its checkpoint is written by now
                watch.seen(tick.epoch.number, Scores(tick.best, None))
                watch.kept(tick.epoch.number, Scores(tick.best, None))

        settings = recipe.training
        try:
            found = self._trained(genotype, settings, out, ticked, resume=resume)
        except training.Diverged as why:
            raise Diverged(str(why)) from why
        if not math.isfinite(perplexity(found.valid_loss)):
            raise Diverged(f"the loss of the validation part is {found.valid_loss}: lower the rate")
        return len(found.epochs), Scores(found.valid_loss, None)

    def _trained(
        self,
        genotype: Genotype,
        settings: TrainingRecipe,
        out: Path,
        watch: Callable[[TextTick], object],
        *,
        resume: bool,
    ) -> RetrainedText:
        return retrain_text(
            genotype,
            self.searched,
            settings,
            seed=self._seed,
            device=str(self.device),
            out=out,
            resume=resume,
            watch=watch,
        )

    @property
    def _seed(self) -> int:
        """Of the search's trainings: another than that of the last one."""
        return seed_of(self.seed, "search") % 2**31

    def retrain(
        self,
        genotype: Genotype,
        recipe: LanguageRecipe,
        seed: int,
        short: Short = SHORT,
    ) -> tuple[Scores | None, list[str]]:
        """See `rung.nas.task.Task`: scored on the test part."""
        return short_text(self._scratch, genotype, recipe.training, seed, short)

    def step_seconds(self, genotype: Genotype, recipe: LanguageRecipe, probes: int) -> float:
        """Of a window.

        Raises:
            OutOfMemory: there is too little memory for it.
        """
        try:
            return self._scratch.step_seconds(genotype, recipe.training, self.seed, probes)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise self._scratch.explained(error, genotype, recipe.training, self.seed) from error

    def training_seconds(self, genotype: Genotype, recipe: LanguageRecipe) -> float:
        """Of `train`."""
        each = Scratch(self.searched, None, self.device)
        return recipe.retrain_epochs * each.epoch_seconds(genotype, recipe.training, self.seed)

    def size(self, genotype: Genotype, recipe: LanguageRecipe) -> tuple[int, int | None]:
        """Of the language model that is trained; multiply-adds of a word."""
        return self._scratch.size(genotype, recipe.training)

    @property
    def _scratch(self) -> Scratch:
        return Scratch(self.corpus, self.recipe.words, self.device)
