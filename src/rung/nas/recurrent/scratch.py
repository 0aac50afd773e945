"""The short training of a derived recurrent cell from scratch, that judges what a search found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from rung.nas.counting import parameters
from rung.nas.data.strata import Indices
from rung.nas.data.text import Corpus, batchify
from rung.nas.genotype import Genotype
from rung.nas.recurrent.language import LanguageModel, language_model, word_macs
from rung.nas.recurrent.presets import TrainingRecipe
from rung.nas.recurrent.training import Diverged, Epoch, Training, evaluated, train
from rung.nas.task import Scores

TEST_ROWS: Final = 10  # side by side where a text is scored, as in the reference
_PROBES: Final = 3  # windows that are timed before a training that has a limit


@dataclass(frozen=True, eq=False)
class Scratch:
    """Language models of derived cells, for a text.

    Attributes:
        corpus: the data.
        words: of its training part that are used, None for all.
        device, dtype: of the models.
    """

    corpus: Corpus
    words: int | None
    device: torch.device
    dtype: torch.dtype = torch.float32

    def size(self, genotype: Genotype, settings: TrainingRecipe) -> tuple[int, int]:
        """Parameters, and multiply-adds of a word."""
        with torch.device("meta"):
            made = language_model(genotype, len(self.corpus.vocabulary), settings.hidden, settings.dropouts)
        return parameters(made), word_macs(made)

    def retrain(
        self, genotype: Genotype, settings: TrainingRecipe, seed: int, seconds: float | None
    ) -> tuple[Scores | None, list[str]]:
        """Train a cell from scratch; the weights that did best on the validation part are tested.

        Args:
            seconds: that are left, None for as many as it takes.

        Returns:
            The test part's scores (None where not even an epoch fits), and what a reader should know.
        """
        ends = None if seconds is None else time.perf_counter() + seconds
        if ends is not None:
            each = self.epoch_seconds(genotype, settings, seed)
            if time.perf_counter() + each > ends:
                return None, [
                    f"not retrained: an epoch takes about {each:.0f} s, more than the budget has left"
                ]
        try:
            training = train(
                self._fresh(genotype, settings, seed),
                self.corpus.train[: self.words],
                self.corpus.valid,
                settings,
                seed=seed,
                going_on=_until(ends),
            )
        except Diverged as why:
            return None, [f"not retrained: {why}"]
        test = batchify(self.corpus.test, TEST_ROWS).to(self.device)
        return Scores(evaluated(training.model, test, settings.bptt), None), _said(training)

    def epoch_seconds(self, genotype: Genotype, settings: TrainingRecipe, seed: int) -> float:
        """What an epoch takes, by a few of its windows after one that is not timed."""
        train_ids = self.corpus.train[: self.words]
        rows = len(train_ids) // settings.rows
        some = self._some(train_ids, settings.rows, _PROBES * settings.bptt)
        held_out = self._some(self.corpus.valid, TEST_ROWS, settings.bptt)
        training = Training(self._fresh(genotype, settings, seed), settings, seed)
        training.epoch(some[: max(settings.bptt, 2)], held_out)
        began = time.perf_counter()
        evaluated(training.model, held_out, settings.bptt)
        scored = time.perf_counter()
        training.epoch(some, held_out)
        trained = time.perf_counter()
        scoring = scored - began
        tested = scoring * len(self.corpus.valid) / held_out.numel()
        return max(trained - scored - scoring, 0.0) * rows / len(some) + tested

    def step_seconds(self, genotype: Genotype, settings: TrainingRecipe, seed: int, probes: int) -> float:
        """What training on a window takes, the least of so many after one; of that one if none is wanted."""
        some = self._some(self.corpus.train[: self.words], settings.rows, settings.bptt)
        training = Training(self._fresh(genotype, settings, seed), settings, seed)
        spent = []
        for _ in range(probes + 1):
            began = time.perf_counter()
            training.epoch(some, some[:2])
            spent.append(time.perf_counter() - began)
        return min(spent[1:] or spent)

    def _some(self, ids: Indices, rows: int, most: int) -> Tensor:
        """The beginning of a text, side by side, of so many words a column at most."""
        kept = min(len(ids) // rows, max(most, 2))
        return batchify(ids[: rows * kept], rows).to(self.device)

    def _fresh(self, genotype: Genotype, settings: TrainingRecipe, seed: int) -> LanguageModel:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = language_model(genotype, len(self.corpus.vocabulary), settings.hidden, settings.dropouts)
        return made.to(device=self.device, dtype=self.dtype)


def _until(ends: float | None) -> Callable[[Epoch], bool]:
    """Whether there is time for another epoch, as long as those before."""
    began = time.perf_counter()

    def going_on(epoch: Epoch) -> bool:
        now = time.perf_counter()
        return ends is None or now + (now - began) / epoch.number <= ends

    return going_on


def _said(training: Training) -> list[str]:
    best = min(training.epochs, key=lambda epoch: epoch.valid_loss)
    since = next((epoch.number for epoch in training.epochs if epoch.averaged), None)
    averaged = "" if since is None else f", averaging weights from epoch {since}"
    return [
        f"retrained for {len(training.epochs)} epochs{averaged}: perplexity {best.valid_perplexity:.1f} on "
        f"the validation part after epoch {best.number}; the retrained cell's own is of the test part"
    ]
