"""How long and how fast recurrent cells are searched and trained: settings and presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from rung.nas.recipe import Recipe
from rung.nas.recurrent.masks import Dropouts

_CLIPPED: Final = ("darts", (("clip", 0.25),))
_SURE: Final = ("enas", (("entropy_weight", 1e-4),))


@dataclass(frozen=True)
class TrainingRecipe:
    """Settings of training a language model from scratch; the defaults are the paper's for Penn Treebank.

    Attributes:
        hidden: units of a state, and width of an embedded word.
        rows: sequences side by side.
        bptt: words of a window, on average.
        spread: standard deviation of a window's length.
        epochs: at most.
        rate: of SGD, for a window of `bptt` words; others are scaled by their length.
        clip: largest norm of a gradient.
        decay: of weights.
        dropouts: while training.
        activation, temporal: alpha and beta of the regularisation of activations.
        patience: epochs; averaging begins when the validation loss is worse than the best before the last
            so many (Merity et al. 2018, algorithm 1).
    """

    hidden: int = 850
    rows: int = 64
    bptt: int = 35
    spread: float = 5.0
    epochs: int = 3600
    rate: float = 20.0
    clip: float = 0.25
    decay: float = 8e-7
    dropouts: Dropouts = field(default_factory=lambda: Dropouts(words=0.1))
    activation: float = 0.0
    temporal: float = 1e-3
    patience: int = 5


@dataclass(frozen=True)
class LanguageRecipe(Recipe):
    """Settings of a search for a recurrent cell, and of the training that judges what it found.

    The defaults are the paper's for Penn Treebank (DARTS, section 3.1.2 and appendix A.1.2). SGD has no
    momentum and one rate; of the picture settings `channels`, `layers` and the like nothing is read.

    Attributes:
        vocabulary: most frequent words that are kept, the others being unknown; None for all.
        words: of the training part that are used; None for all.
        hidden: units of a state, and width of an embedded word.
        bptt: words of a window; one of twenty has half of them.
        dropout, dropout_hidden, dropout_inputs, dropout_embedding, dropout_words, dropout_weights: see
            `rung.nas.recurrent.masks.Dropouts`; the first is of outputs.
        activation, temporal: alpha and beta of the regularisation of activations.
        retrain_hidden, retrain_decay, retrain_dropout_hidden, retrain_dropout_words, retrain_patience: of the
            training from scratch, where they differ from the search's.
        strategy: second-order DARTS clips the gradients of its virtual step, too, as the reference does in
            recurrent cells alone; ENAS adds 1e-4 of the entropy (section 3.1).
    """

    text: str = "the paper's settings for Penn Treebank, on a GPU"
    epochs: int = 50
    batch: int = 256
    rate: float = 20.0
    rate_min: float = 20.0
    momentum: float = 0.0
    decay: float = 5e-7
    clip: float = 0.25
    alpha_rate: float = 3e-3
    alpha_betas: tuple[float, float] = (0.9, 0.999)
    alpha_decay: float = 1e-3
    retrain_batch: int = 64
    retrain_epochs: int = 3600
    vocabulary: int | None = None
    words: int | None = None
    hidden: int = 300
    bptt: int = 35
    dropout: float = 0.75
    dropout_hidden: float = 0.25
    dropout_inputs: float = 0.75
    dropout_embedding: float = 0.2
    dropout_words: float = 0.0
    dropout_weights: float = 0.0
    activation: float = 0.0
    temporal: float = 1e-3
    retrain_hidden: int = 850
    retrain_decay: float = 8e-7
    retrain_dropout_hidden: float = 0.25
    retrain_dropout_words: float = 0.1
    retrain_patience: int = 5
    strategy: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = (_CLIPPED, _SURE)

    @property
    def dropouts(self) -> Dropouts:
        """Of the search."""
        return Dropouts(
            output=self.dropout,
            hidden=self.dropout_hidden,
            inputs=self.dropout_inputs,
            embedding=self.dropout_embedding,
            words=self.dropout_words,
            weights=self.dropout_weights,
        )

    @property
    def training(self) -> TrainingRecipe:
        """Of the derived cell, from scratch."""
        return TrainingRecipe(
            hidden=self.retrain_hidden,
            rows=self.retrain_batch,
            bptt=self.bptt,
            epochs=self.retrain_epochs,
            rate=self.rate,
            clip=self.clip,
            decay=self.retrain_decay,
            dropouts=replace(
                self.dropouts, hidden=self.retrain_dropout_hidden, words=self.retrain_dropout_words
            ),
            activation=self.activation,
            temporal=self.temporal,
            patience=self.retrain_patience,
        )


_FEW_EPOCHS: Final = (_CLIPPED, _SURE, ("asap", (("anneal", 0.4), ("extra", 1))))

LANGUAGE_PRESETS: Final[Mapping[str, LanguageRecipe]] = MappingProxyType(
    {
        "tiny": LanguageRecipe(
            text="about three minutes on two cores: 30,000 words of text, 1,000 of vocabulary, 32 units, "
            "little dropout; alphas learn ten times as fast as the paper's (ASAP's 30 times), ASAP's "
            "temperature falls as far as the paper's in two fifths of the epochs",
            epochs=6,
            batch=32,
            rate=10.0,
            rate_min=10.0,
            alpha_rate=3e-2,
            alpha_rates=(("asap", 1e-1), ("enas", 5e-3)),
            strategy=_FEW_EPOCHS,
            vocabulary=1000,
            words=30_000,
            hidden=32,
            bptt=20,
            dropout=0.2,
            dropout_hidden=0.1,
            dropout_inputs=0.1,
            dropout_embedding=0.0,
            retrain_hidden=48,
            retrain_batch=32,
            retrain_epochs=8,
            retrain_dropout_hidden=0.1,
            retrain_dropout_words=0.0,
            retrain_patience=2,
        ),
        "small": LanguageRecipe(
            text="about an hour on two cores: 4,000 words of vocabulary, 128 units; alphas learn three times "
            "as fast as the paper's (ASAP's ten times), ASAP's temperature falls as far as the paper's in "
            "two fifths of the epochs",
            epochs=15,
            batch=32,
            alpha_rate=1e-2,
            alpha_rates=(("asap", 3e-2), ("enas", 2e-3)),
            strategy=_FEW_EPOCHS,
            vocabulary=4000,
            hidden=128,
            dropout=0.4,
            dropout_hidden=0.2,
            dropout_inputs=0.3,
            dropout_embedding=0.1,
            retrain_hidden=200,
            retrain_batch=32,
            retrain_epochs=40,
            retrain_dropout_hidden=0.2,
            retrain_patience=3,
        ),
        "paper": LanguageRecipe(),
        "wikitext2": LanguageRecipe(
            text="the paper's settings for the transfer to WikiText-2, on a GPU",
            retrain_hidden=700,
            retrain_decay=5e-7,
            retrain_dropout_hidden=0.15,
        ),
    }
)
