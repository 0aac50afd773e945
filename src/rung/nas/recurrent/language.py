"""The language model around a recurrent cell: embedding, dropouts, and a decoder tied to the embedding.

Liu, Simonyan, Yang 2019, appendix A.2; regularisation of activations: Merity, McCann, Socher 2017.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, cast

import torch
from torch import Tensor, nn

from rung.nas.genotype import Genotype
from rung.nas.recurrent.cells import INITIAL, RecurrentCell
from rung.nas.recurrent.lstm import LSTM
from rung.nas.recurrent.masks import NOTHING, Dropouts, Masks, Sizes, draw, masked

CELL: Final = "recurrent"  # its name in spaces and genotypes


class Spoken(NamedTuple):
    """What a language model says of a window.

    Attributes:
        logits: scores of the next word (steps, rows, vocabulary); their log-softmax are log-probabilities.
        state: of the cell after the last step, to begin the next window with.
        outputs: of the cell (steps, rows, hidden).
        dropped: the same as the decoder sees them.
    """

    logits: Tensor
    state: Tensor
    outputs: Tensor
    dropped: Tensor

    @property
    def log_probabilities(self) -> Tensor:
        """(steps, rows, vocabulary), in nats."""
        return torch.log_softmax(self.logits, -1)


class Frame(nn.Module):
    """Embedding and decoder, which share one matrix (Press and Wolf 2017; Inan et al. 2017).

    Args:
        vocabulary: words.
        width: of an embedded word, and of the cell's output.
    """

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.vocabulary, self.width = vocabulary, width
        self.embedding = nn.Parameter(torch.empty(vocabulary, width))
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        nn.init.uniform_(self.embedding, -INITIAL, INITIAL)

    def embedded(self, words: Tensor, masks: Masks) -> Tensor:
        """(steps, rows, width) of words (steps, rows)."""
        x = nn.functional.embedding(words, self.embedding)
        if masks.words is not None:
            x = x * masks.words[words]
        return masked(x, masks.embedding)

    def spoken(self, outputs: Tensor, state: Tensor, masks: Masks) -> Spoken:
        """Scores of the next words, from what the cell put out."""
        dropped = masked(outputs, masks.output)
        return Spoken(nn.functional.linear(dropped, self.embedding, self.bias), state, outputs, dropped)


class LanguageModel(nn.Module):
    """A language model of a derived cell or an LSTM.

    Args:
        cell: from (steps, rows, width) and a state to outputs (steps, rows, width) and the next state.
        vocabulary: words.
        dropouts: while training.
    """

    def __init__(self, cell: RecurrentCell | LSTM, vocabulary: int, dropouts: Dropouts) -> None:
        super().__init__()
        width = cell.weights.hidden if isinstance(cell, RecurrentCell) else cell.hidden
        self.dropouts = dropouts
        self.sizes = Sizes(vocabulary, width, width, cell.columns)
        self.frame = Frame(vocabulary, width)
        self.cell = cell

    def forward(self, words: Tensor, state: Tensor | None = None, masks: Masks | None = None) -> Spoken:
        """Scores of the words that follow.

        Args:
            words: ids (steps, rows).
            state: what the window before left; zeros unless given.
            masks: what is dropped; drawn from torch's global state unless given. Not used in evaluation.
        """
        masks = settled_masks(self, masks, words.shape[1])
        x = self.frame.embedded(words, masks)
        state = self.begin(words.shape[1]) if state is None else state
        outputs, state = cast(tuple[Tensor, Tensor], self.cell(x, state, masks))
        return self.frame.spoken(outputs, state, masks)

    def begin(self, rows: int) -> Tensor:
        """The state before the first word: zeros."""
        size = self.sizes.hidden * (2 if isinstance(self.cell, LSTM) else 1)
        return self.frame.embedding.new_zeros(rows, size)


class Drops(nn.Module):
    """What has dropouts and sizes (for types)."""

    dropouts: Dropouts
    sizes: Sizes
    frame: Frame


def settled_masks(model: nn.Module, masks: Masks | None, rows: int) -> Masks:
    """Nothing in evaluation; what is given, or else drawn now, while training."""
    if not model.training:
        return NOTHING
    owner = cast(Drops, model)
    return (draw(owner.dropouts, owner.sizes, rows) if masks is None else masks).to(owner.frame.embedding)


def language_model(
    genotype: Genotype, vocabulary: int, hidden: int, dropouts: Dropouts, *, norm: bool = False
) -> LanguageModel:
    """The network of a recurrent genotype; weights drawn from torch's global state.

    Raises:
        SpaceError: an activation is unknown.
    """
    return LanguageModel(RecurrentCell(genotype[CELL], hidden, hidden, norm=norm), vocabulary, dropouts)


def lstm_model(vocabulary: int, hidden: int, dropouts: Dropouts) -> LanguageModel:
    """The baseline."""
    return LanguageModel(LSTM(hidden, hidden), vocabulary, dropouts)


def word_macs(model: LanguageModel) -> int:
    """Multiply-adds of one word: products of the cell, and the decoder."""
    matrices = sum(p.numel() for p in model.cell.parameters() if p.dim() == 2)
    if isinstance(model.cell, RecurrentCell):  # a node of several edges multiplies its matrix once for each
        reads = sum(len(nodes) for nodes in model.cell.readers.values())
        matrices += (reads - len(model.cell.weights.nodes)) * 2 * model.sizes.hidden**2
    return matrices + model.sizes.vocabulary * model.sizes.width


def activation_penalty(spoken: Spoken, activation: float, temporal: float) -> Tensor:
    """Alpha mean(m^2) of dropped outputs m, and beta mean((h_t+1 - h_t)^2) of outputs h (Merity et al. 2017).

    Both are means over all elements, as in the reference. A window of one step has no temporal term.
    """
    penalty = spoken.outputs.new_zeros(())
    if activation:
        penalty = penalty + activation * spoken.dropped.square().mean()
    if temporal and len(spoken.outputs) > 1:
        penalty = penalty + temporal * (spoken.outputs[1:] - spoken.outputs[:-1]).square().mean()
    return penalty


def perplexity(loss: float) -> float:
    """The exponential of a loss in nats a word; infinite where that is out of range."""
    return math.exp(loss) if loss < 700.0 else math.inf
