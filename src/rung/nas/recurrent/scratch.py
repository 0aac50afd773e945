"""The short training of a derived recurrent cell from scratch, that judges what a search found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor

from rung.errors import DataError
from rung.nas import retraining_files as files
from rung.nas.counting import parameters
from rung.nas.data.strata import Indices
from rung.nas.data.text import Corpus, batchify
from rung.nas.devices import from_first, rank, world
from rung.nas.genotype import Genotype
from rung.nas.memory import OutOfMemory, largest, let_go, out_of_memory
from rung.nas.recurrent.language import LanguageModel, language_model, word_macs
from rung.nas.recurrent.presets import TrainingRecipe
from rung.nas.recurrent.training import Diverged, Epoch, Training, evaluated, go_on
from rung.nas.task import SHORT, Scores, Short, Told

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
        self,
        genotype: Genotype,
        settings: TrainingRecipe,
        seed: int,
        short: Short = SHORT,
    ) -> tuple[Scores | None, list[str]]:
        """Train a cell from scratch; the weights that did best on the validation part are tested.

        Returns:
            The test part's scores (None where not even an epoch fits), and what a reader should know.
        """
        try:
            return self._retrained(genotype, settings, seed, short)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return None, [f"not retrained: {self.explained(error, genotype, settings, seed).in_a_search()}"]

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

    def _retrained(
        self,
        genotype: Genotype,
        settings: TrainingRecipe,
        seed: int,
        short: Short,
    ) -> tuple[Scores | None, list[str]]:
        ends = None if short.seconds is None else time.perf_counter() + short.seconds
        training = Training(self._fresh(genotype, settings, seed), settings, seed)
        keeper = _Keeper(short.out, {"cell": genotype.to_dict(), "seed": seed, **asdict(settings)})
        keeper.load(training)
        if ends is not None and not training.epochs:
            each = self.epoch_seconds(genotype, settings, seed)
            if time.perf_counter() + each > ends:
                return None, [
                    f"not retrained: an epoch takes about {each:.0f} s, more than the budget has left"
                ]
        try:
            go_on(
                training,
                self.corpus.train[: self.words],
                self.corpus.valid,
                going_on=_until(ends, keeper, training, short.told),
            )
        except (Diverged, DataError) as why:
            return None, [f"not retrained: {why}"]
        keeper.end()
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


class _Keeper:
    """The checkpoint of a training; nothing without `out`."""

    def __init__(self, out: Path | None, same: dict[str, Any]) -> None:
        self._out, self._same = out, same

    def load(self, training: Training) -> None:
        """Take over what was kept, if it is of the same training."""
        kept = from_first(self._kept)
        if kept is not None:
            training.load(kept)

    def _kept(self) -> dict[str, Any] | None:
        if self._out is None or not files.goes_on(self._out):
            return None
        kept = files.read(files.checkpoint_of(self._out))
        return kept if kept.get("identity") == self._same else None

    def save(self, training: Training) -> None:
        """After an epoch."""
        if self._out is not None and not rank():
            files.write({"identity": self._same, **training.state()}, files.checkpoint_of(self._out))

    def end(self) -> None:
        """Nothing is needed any more."""
        if self._out is not None and not rank():
            files.discard(self._out)


def _until(
    ends: float | None, keeper: _Keeper, training: Training, told: Told | None
) -> Callable[[Epoch], bool]:
    """Keep and tell each epoch, and say whether there is time for another, as long as those before."""
    began, before = time.perf_counter(), len(training.epochs)

    def going_on(epoch: Epoch) -> bool:
        keeper.save(training)
        if told is not None:
            told(epoch.number, training.recipe.epochs)
        now = time.perf_counter()
        return ends is None or now + (now - began) / (epoch.number - before) <= ends

    return going_on


def _said(training: Training) -> list[str]:
    best = min(training.epochs, key=lambda epoch: epoch.valid_loss)
    since = next((epoch.number for epoch in training.epochs if epoch.averaged), None)
    averaged = "" if since is None else f", averaging weights from epoch {since}"
    return [
        f"retrained for {len(training.epochs)} epochs{averaged}: perplexity {best.valid_perplexity:.1f} on "
        f"the validation part after epoch {best.number}; the retrained cell's own is of the test part"
    ]
