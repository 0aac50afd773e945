"""How long and how fast a search learns: the settings that do not change what is searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal, Self

PresetName = Literal["tiny", "small", "paper"]


@dataclass(frozen=True)
class Recipe:
    """Settings of a search for pictures; the defaults are the paper's (DARTS, section 3.1.1).

    Attributes:
        text: what the preset is, in a sentence.
        channels, layers: of the supernet.
        epochs, batch: of the search.
        pictures: training pictures used, both halves together; None for all.
        rate, rate_min: learning rate of the weights, falling along half a cosine by epochs.
        momentum, decay, clip: of the weights' SGD; clip is the largest norm of a gradient.
        alpha_rate, alpha_betas, alpha_decay: of the alphas' Adam.
        retrain_channels, retrain_layers, retrain_epochs, retrain_batch, retrain_drop_path: of the short
            training that judges the derived network.
        strategy: settings of strategies that are scaled to the number of steps, by strategy, then by name.
        alpha_rates: by strategy, where it is another.
    """

    text: str = "the papers' settings, on a GPU"
    channels: int = 16
    layers: int = 8
    epochs: int = 50
    batch: int = 64
    pictures: int | None = None
    rate: float = 0.025
    rate_min: float = 0.001
    momentum: float = 0.9
    decay: float = 3e-4
    clip: float = 5.0
    alpha_rate: float = 3e-4
    alpha_betas: tuple[float, float] = (0.5, 0.999)
    alpha_decay: float = 1e-3
    retrain_channels: int = 36
    retrain_layers: int = 20
    retrain_epochs: int = 100
    retrain_batch: int = 96
    retrain_drop_path: float = 0.2
    strategy: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    alpha_rates: tuple[tuple[str, float], ...] = ()

    def of(self, strategy: str) -> Self:
        """The same for a strategy: with its own `alpha_rate`, where it has one."""
        rate = dict(self.alpha_rates).get(strategy, self.alpha_rate)
        return replace(self, alpha_rate=rate, alpha_rates=())

    def settings(self, strategy: str) -> dict[str, float]:
        """What this preset sets of a strategy."""
        return dict(dict(self.strategy).get(strategy, ()))


PRESETS: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        "tiny": Recipe(
            text="about three minutes on two cores (second-order DARTS a quarter of an hour): 2,000 "
            "pictures, 12 epochs of few steps, so that alphas learn 30 times as fast as the papers' (ASAP's "
            "300 times, to be apart before it is cold) and the temperature falls as far as theirs, ASAP's in "
            "two fifths of the epochs",
            channels=4,
            layers=3,
            epochs=12,
            batch=32,
            pictures=2000,
            rate=0.05,
            rate_min=0.005,
            alpha_rate=1e-2,
            alpha_rates=(("asap", 1e-1),),
            strategy=(("asap", (("anneal", 0.4), ("extra", 1))),),
            retrain_channels=8,
            retrain_layers=3,
            retrain_epochs=6,
            retrain_batch=32,
            retrain_drop_path=0.0,
        ),
        "small": Recipe(
            text="about an hour on two cores: 6,000 pictures, 20 epochs; alphas learn ten times as fast as "
            "the papers' (ASAP's 100 times), the temperature falls as far as theirs, ASAP's in two "
            "fifths of the epochs",
            channels=8,
            layers=5,
            epochs=20,
            batch=32,
            pictures=6000,
            rate=0.05,
            alpha_rate=3e-3,
            alpha_rates=(("asap", 3e-2),),
            strategy=(("asap", (("anneal", 0.4), ("extra", 1))),),
            retrain_channels=12,
            retrain_layers=5,
            retrain_epochs=20,
            retrain_batch=64,
            retrain_drop_path=0.05,
        ),
        "paper": Recipe(),
    }
)
