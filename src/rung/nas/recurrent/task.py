"""The task of predicting the next word: windows for weights and alphas, losses, and scores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rung.errors import DataError
from rung.nas.data.keys import numbers, seed_of
from rung.nas.data.reading import SCIKIT_LEARN
from rung.nas.data.text import Corpus, batchify, evaluation_windows, lengths, read_text, window
from rung.nas.devices import part
from rung.nas.genotype import Genotype
from rung.nas.recurrent.language import CELL, activation_penalty
from rung.nas.recurrent.masks import Dropouts, Masks, Sizes, draw
from rung.nas.recurrent.presets import LanguageRecipe
from rung.nas.recurrent.scratch import Scratch
from rung.nas.recurrent.short import short_text
from rung.nas.recurrent.supernet import LanguageSupernet, search_macs
from rung.nas.recurrent.training import evaluated, summed_loss
from rung.nas.space import Space
from rung.nas.supernet import frozen_statistics
from rung.nas.task import SHORT, Call, Mixed, Net, Scores, Short


@dataclass(eq=False)
class TextBatch:
    """A window of text, with what it is read with.

    Attributes:
        x, y: words and those that follow (steps, rows).
        pace: its length over the usual one.
        masks: what every training pass over it drops, so that passes of one step can be compared.
        state: that it begins with; None for zeros.
        after: the state that its last pass left, for the next window of the same stream.
    """

    x: Tensor
    y: Tensor
    pace: float
    masks: Masks
    state: Tensor | None = None
    after: Tensor | None = None

    @property
    def size(self) -> int:
        """Words."""
        return self.y.numel()


class LanguageTask:
    """Text for a search: the training part for the weights, the validation part for the alphas.

    As in the DARTS reference the states of both streams are carried from window to window of an epoch,
    without their gradients, and an epoch begins with zeros. All passes of a step over one window drop the
    same: otherwise the two passes of second-order DARTS' difference would differ by their dropout alone.

    Args:
        corpus: the data.
        recipe: vocabulary and words are the corpus' own; all else of the supernet and its text is here.
        seed: of everything random.
        device: where networks are.
        dtype: of networks.

    Raises:
        DataError: a part is too short for so many rows.
    """

    def __init__(
        self,
        corpus: Corpus,
        recipe: LanguageRecipe,
        *,
        seed: int,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.corpus, self.recipe, self.seed = corpus, recipe, seed
        self.device, self.dtype = torch.device(device), dtype
        self._scratch = Scratch(corpus, recipe.words, self.device, dtype)
        if recipe.batch < 2:
            raise DataError("states are normalised over the batch: give --batch 2 or more")
        self.train = _part(batchify(corpus.train[: recipe.words], recipe.batch)).to(self.device)
        whole = batchify(corpus.valid, recipe.batch)
        self.valid, self.held_out = _part(whole).to(self.device), whole.to(self.device)
        self._columns = 0  # of the hidden-to-hidden matrices of the supernet that was made
        self._spans = lengths(len(self.train), recipe.bptt, seed=seed, epoch=0, spread=0.0)

    @property
    def spoken(self) -> str:
        """What the data is, in a few words."""
        words = min(len(self.corpus.train), self.recipe.words or len(self.corpus.train))
        return (
            f"{words:,} + {len(self.corpus.valid):,} words for weights and alphas, "
            f"{len(self.corpus.vocabulary):,} of vocabulary"
        )

    @property
    def identity(self) -> dict[str, Any]:
        """Of the text."""
        return {"data": [len(self.corpus.vocabulary), *self.corpus.checksums]}

    @property
    def dropouts(self) -> Dropouts:
        """While searching."""
        return self.recipe.dropouts

    @property
    def steps(self) -> int:
        """Windows of an epoch."""
        return len(self._spans)

    def supernet(self, space: Space, form: str, seed: int) -> Net:
        """Its weights are a function of the seed, the same in either form."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = LanguageSupernet(
                space, len(self.corpus.vocabulary), self.recipe.hidden, self.dropouts, form=form
            )
        self._columns = net.sizes.columns
        return net.to(device=self.device, dtype=self.dtype)

    def pairs(self, epoch: int) -> Iterator[tuple[TextBatch, TextBatch]]:
        """Windows of the training part, and beside each one of the validation part, which is read in circles.

        An epoch has the same lengths as any other, in another order, so that windows begin elsewhere and
        their number is known.
        """
        recipe = self.recipe
        order = numbers(self.seed, epoch, "windows").permutation(len(self._spans))
        start, place = 0, 0
        state = other = None
        for step, which in enumerate(order):
            first = self._batch(self.train, start, self._spans[which], (epoch, step, "weights"), state)
            second = self._batch(self.valid, place, recipe.bptt, (epoch, step, "alphas"), other)
            yield first, second
            state = first.after
            other = second.after if second.after is not None else other
            start += len(first.x)
            place += len(second.x)
            if place >= len(self.valid) - 1:
                place, other = 0, None

    def _batch(
        self, data: Tensor, start: int, length: int, key: tuple[int, int, str], state: Tensor | None
    ) -> TextBatch:
        cut = window(data, start, length, self.recipe.bptt)
        generator = torch.Generator().manual_seed(seed_of(self.seed, *key))
        sizes = Sizes(len(self.corpus.vocabulary), self.recipe.hidden, self.recipe.hidden, self._columns)
        masks = _rows(draw(self.dropouts, sizes, self.recipe.batch, generator))
        return TextBatch(cut.x, cut.y, cut.pace, masks, state)

    def loss(self, call: Call, mixed: Mixed, batch: TextBatch, *, training: bool = False) -> Tensor:
        """Mean cross entropy of a word, in nats; while training, with the penalties of activations."""
        spoken = call(batch.x, mixed.mixtures, mixed.active, batch.state, batch.masks)
        batch.after = spoken.state.detach()
        loss = summed_loss(spoken.logits, batch.y) / batch.size
        if training:
            loss = loss + activation_penalty(spoken, self.recipe.activation, self.recipe.temporal)
        return loss

    def evaluate(self, call: Call, mixed: Mixed | None) -> Scores:
        """On the validation part, as many rows side by side as in the search; the mode is left as it was.

        Where a single architecture is judged (`mixed.active`), states are normalised by the batch: running
        statistics are of all architectures that shared the weights, under which its loss may be anything.
        """
        network: Any = call
        if mixed is None:
            return Scores(evaluated(network, self.held_out, self.recipe.bptt), None)
        training = network.training
        network.eval()
        total, words, state = 0.0, 0, None
        with torch.no_grad(), frozen_statistics(network):
            if mixed.active is not None:
                _normalise_by_batch(network)
            for cut in evaluation_windows(self.held_out, self.recipe.bptt):
                spoken = network(cut.x, mixed.mixtures, mixed.active, state)
                state = spoken.state
                total += float(summed_loss(spoken.logits, cut.y))
                words += cut.y.numel()
        network.train(training)
        return Scores(total / words, None)

    def macs(self, net: Net, space: Space, form: str = "plain") -> float:
        """Of one word's forward pass through what is alive."""
        hidden = self.recipe.hidden
        return search_macs(
            space[CELL], net.alive[CELL], Sizes(len(self.corpus.vocabulary), hidden, hidden, 0)
        )

    def size(self, genotype: Genotype, recipe: LanguageRecipe) -> tuple[int, int]:
        """Parameters, and multiply-adds of a word, of the language model that `retrain` trains."""
        return self._scratch.size(genotype, recipe.training)

    def retrain(
        self,
        genotype: Genotype,
        recipe: LanguageRecipe,
        seed: int,
        short: Short = SHORT,
    ) -> tuple[Scores | None, list[str]]:
        """See `rung.nas.recurrent.short.short_text`.

        Args:
            recipe: of the search; its `training`.
        """
        return short_text(self._scratch, genotype, recipe.training, seed, short)


def language_task(
    data: Any, recipe: LanguageRecipe, seed: int, limit: int | None, device: str
) -> tuple[LanguageTask, str, tuple[str, ...]]:
    """From a text to the task of searching a recurrent cell for it.

    Args:
        data: what `rung.nas.data.text.read_text` takes, or a `Corpus`.
        limit: of so many words of the training part, instead of the preset's.

    Returns:
        The task, the data's name, and what a reader should know, in sentences.

    Raises:
        DataError: the text cannot be used.
    """
    corpus = corpus_of(data, recipe)
    if limit is not None:
        recipe = replace(recipe, words=limit)
    return LanguageTask(corpus, recipe, seed=seed, device=device), corpus.name, corpus.notes


def corpus_of(data: Any, recipe: LanguageRecipe) -> Corpus:
    """The text of a search, with as many words of vocabulary as the recipe has.

    Raises:
        DataError: it cannot be used.
    """
    if isinstance(data, Corpus):
        return data
    if _pictures(data):
        raise DataError(f"{data} holds pictures, and cell rnn is for text: give a text file, or --cell cnn")
    return read_text(data, vocabulary=recipe.vocabulary)


def _pictures(data: Any) -> bool:
    """Whether a name is that of pictures: an archive of arrays, or a set of scikit-learn's."""
    if not isinstance(data, str | os.PathLike):
        return False
    return Path(data).suffix == ".npz" or (not Path(data).exists() and os.fspath(data) in SCIKIT_LEARN)


def _normalise_by_batch(net: nn.Module) -> None:
    """Normalise by the batch in what else is evaluation mode."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.train()


def _part(data: Tensor) -> Tensor:
    """Of a text's rows, those of this process."""
    return part(data.t()).t().contiguous()


def _rows(masks: Masks) -> Masks:
    """Of what is drawn for all rows, what belongs to those of this process."""

    def own(mask: Tensor | None) -> Tensor | None:
        return None if mask is None else part(mask)

    return masks._replace(
        embedding=own(masks.embedding),
        inputs=own(masks.inputs),
        hidden=own(masks.hidden),
        output=own(masks.output),
    )
