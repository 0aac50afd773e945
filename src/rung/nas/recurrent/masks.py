"""The dropouts of a language model, and the masks that one window of text sees.

All masks but that of words are *locked* (Gal and Ghahramani 2016): one a sequence, the same at every step.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from rung.errors import UserError


@dataclass(frozen=True)
class Dropouts:
    """Probabilities with which something is zeroed while training; the defaults are those of DARTS' search.

    Attributes:
        output: units of the cell's output, before the decoder.
        hidden: units of every state that a matrix of the cell reads.
        inputs: units of what the cell reads.
        embedding: units of the embedded words (a second mask on the same vector as `inputs`).
        words: whole words of the vocabulary.
        weights: entries of the hidden-to-hidden matrices (DropConnect; Merity et al. 2018, section 2).
    """

    output: float = 0.75
    hidden: float = 0.25
    inputs: float = 0.75
    embedding: float = 0.2
    words: float = 0.0
    weights: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0.0 <= value < 1.0:
                raise UserError(f"dropout of {name} is {value}: it is a probability of 0 or more, below 1")


class Masks(NamedTuple):
    """Factors, 0 or 1 / (1 - probability); None where nothing is dropped.

    Attributes:
        words: (vocabulary, 1).
        embedding, inputs: (rows, width).
        hidden, output: (rows, hidden).
        weights: (hidden, columns of all hidden-to-hidden matrices beside each other).
    """

    words: Tensor | None = None
    embedding: Tensor | None = None
    inputs: Tensor | None = None
    hidden: Tensor | None = None
    output: Tensor | None = None
    weights: Tensor | None = None

    def to(self, like: Tensor) -> Masks:
        """The same on the device and in the type of a tensor."""
        return Masks(*(None if mask is None else mask.to(like) for mask in self))


class Sizes(NamedTuple):
    """What the masks of a model depend on.

    Attributes:
        vocabulary: words.
        width: of an embedded word.
        hidden: units of a state.
        columns: of all hidden-to-hidden matrices beside each other.
    """

    vocabulary: int
    width: int
    hidden: int
    columns: int


NOTHING = Masks()


def draw(dropouts: Dropouts, sizes: Sizes, rows: int, generator: torch.Generator | None = None) -> Masks:
    """Masks for a window of `rows` sequences; from torch's global state unless a generator is given."""

    def mask(probability: float, *shape: int) -> Tensor | None:
        if not probability:
            return None
        kept = torch.empty(shape).bernoulli_(1.0 - probability, generator=generator)
        return kept.div_(1.0 - probability)

    return Masks(
        words=mask(dropouts.words, sizes.vocabulary, 1),
        embedding=mask(dropouts.embedding, rows, sizes.width),
        inputs=mask(dropouts.inputs, rows, sizes.width),
        hidden=mask(dropouts.hidden, rows, sizes.hidden),
        output=mask(dropouts.output, rows, sizes.hidden),
        weights=mask(dropouts.weights, sizes.hidden, sizes.columns),
    )


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """The product, or `x` itself where nothing is dropped."""
    return x if mask is None else x * mask
