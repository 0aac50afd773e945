"""What training a language model of a derived recurrent cell takes: parameters, time, memory."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final, Literal

import torch
from torch import Tensor

from rung.nas.counting import parameters
from rung.nas.data.strata import Indices
from rung.nas.data.text import Corpus, batchify
from rung.nas.devices import world
from rung.nas.genotype import Genotype
from rung.nas.memory import OutOfMemory, largest, let_go
from rung.nas.recurrent.language import LanguageModel, language_model, word_macs
from rung.nas.recurrent.presets import TrainingRecipe
from rung.nas.recurrent.training import Training, evaluated

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

    def explained(
        self, error: BaseException, genotype: Genotype, settings: TrainingRecipe, seed: int
    ) -> OutOfMemory:
        """Out of memory as a sentence that names what fits, by trying; its frames must be through by now."""
        let_go(error)
        rows, hidden = settings.rows, settings.hidden
        said = f"out of memory with a batch of {rows} and {hidden} hidden units"
        if world() > 1:  # a step of one process alone would wait for the others
            return OutOfMemory(
                f"{said}: it grows with both, so halve one: --batch {rows // 2} or --hidden {hidden // 2}"
            )

        def fits(name: Literal["rows", "hidden"], have: int, least: int) -> int | None:
            def attempt(size: int) -> None:
                one = replace(settings, rows=size) if name == "rows" else replace(settings, hidden=size)
                self.step_seconds(genotype, one, seed, 0)

            return largest(have, least, attempt)

        tried = {"--batch": fits("rows", rows, 2), "--hidden": fits("hidden", hidden, 1)}
        fitting = " or ".join(f"{name} {size}" for name, size in tried.items() if size is not None)
        if not fitting:
            return OutOfMemory(f"{said}, and with less of either alone: take a smaller vocabulary, or bptt")
        return OutOfMemory(f"{said}; a step of less was tried, and this fits: {fitting}")

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
