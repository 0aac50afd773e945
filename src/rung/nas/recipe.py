"""How long and how fast a search learns: the settings that do not change what is searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self


class Share(NamedTuple):
    """How much of a preset's course a strategy has time for, whose passes cost more than those of most.

    Attributes:
        why: in a few words.
        epochs: share of the preset's epochs that it searches.
        samples: share of the preset's pictures that it uses.
    """

    why: str
    epochs: float = 1.0
    samples: float = 1.0


SHARES: Final[Mapping[str, Share]] = MappingProxyType(
    {
        "darts": Share("a step takes 5 passes where most take 2", epochs=2 / 5),
        "pc_darts": Share("operations of a quarter of the channels are computed one by one", epochs=3 / 4),
        "darts_pt": Share("choosing by what each removal costs takes twice the search", samples=3 / 10),
    }
)
"""By strategy, where it is not all, so that all take about as long: passes as the ledger counts them."""

_STOPPING: Final = Share("the eigenvalue of early_stop takes a pass a step more", epochs=2 / 3)

WHOLE: Final = frozenset({"darts", "darts1", "darts_pt", "fair", "pc_darts"})
"""Strategies that compute every operation in two passes a step or more, to the last: others remove some, or
sample, or take one pass."""


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
        retrain_as_published: whether it has the paper's rate, cutout and auxiliary head, whatever the
            search's; else the search's rate, and none of them.
        strategy: settings of strategies that are scaled to the number of steps, by strategy, then by name.
        alpha_rates, alpha_decays: by strategy, where it is another; a controller is not decayed.
        own: settings of this recipe that a strategy's paper has otherwise, by strategy, then by name.
        even: whether strategies have their `SHARES` of epochs and pictures, to take about as long.
        whole: share of the pictures that `WHOLE` strategies have, beside that.
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
    retrain_as_published: bool = True
    strategy: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()
    alpha_rates: tuple[tuple[str, float], ...] = (("enas", 3.5e-4),)
    alpha_decays: tuple[tuple[str, float], ...] = (("enas", 0.0),)
    own: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...] = ()
    even: bool = False
    whole: float = 1.0

    def of(self, strategy: str, *, fewer: bool = True, sample: bool = True, stopping: bool = False) -> Self:
        """The same for a strategy: with its own rate and decay of alphas, and its share of the course.

        With fewer steps the alphas learn faster, so that they can go as far; with fewer pictures the derived
        network is trained for more epochs, so that it makes as many steps.

        Args:
            fewer: whether its share of epochs counts: not where their number was asked for.
            sample: whether its share of pictures counts.
            stopping: whether it may end early by the eigenvalue of each epoch.
        """
        rate = dict(self.alpha_rates).get(strategy, self.alpha_rate)
        decay = dict(self.alpha_decays).get(strategy, self.alpha_decay)
        own = replace(self, alpha_rate=rate, alpha_rates=(), alpha_decay=decay, alpha_decays=())
        own = replace(own, own=(), **dict(dict(self.own).get(strategy, ())))
        shares = [SHARES[strategy]] if self.even and strategy in SHARES else []
        if strategy in WHOLE:
            shares.append(Share("no operation is left out on the way", samples=self.whole))
        if self.even and stopping:
            shares.append(_STOPPING._replace(epochs=5 / 6) if strategy == "darts" else _STOPPING)
        for share in shares:
            if share.epochs < 1 and fewer:
                own = own._in_epochs(share)
            if share.samples < 1 and sample:
                own = own._of_samples(share)
        return own

    def _in_epochs(self, share: Share) -> Self:
        """With a share of the epochs."""
        few = max(int(share.epochs * self.epochs), 1)
        faster = self.epochs / few
        text = f"{self.text}; {few} epochs instead of {self.epochs}, {_why(share, faster)}"
        return replace(self, epochs=few, alpha_rate=faster * self.alpha_rate, text=text)

    def _of_samples(self, share: Share) -> Self:
        """With a share of the pictures."""
        if self.pictures is None:
            return self
        few = int(share.samples * self.pictures)
        faster = self.pictures / few
        return replace(
            self,
            pictures=few,
            alpha_rate=faster * self.alpha_rate,
            retrain_epochs=round(faster * self.retrain_epochs),
            text=f"{self.text}; {few:,} pictures instead of {self.pictures:,}, {_why(share, faster)}",
        )

    def settings(self, strategy: str) -> dict[str, float]:
        """What this preset sets of a strategy."""
        return dict(dict(self.strategy).get(strategy, ()))


def _why(share: Share, faster: float) -> str:
    """What follows from fewer steps, and why they are fewer."""
    return f"and alphas {faster:.2g} times as fast again, since {share.why}"


_PAPERS: Final = (
    ("snas", (("epochs", 150),)),  # section 3.1
    ("pc_darts", (("batch", 256), ("rate", 0.1), ("rate_min", 0.0), ("alpha_rate", 6e-4))),  # section 4.2
    ("p_darts", (("epochs", 75), ("batch", 96), ("rate_min", 0.0), ("alpha_rate", 6e-4))),  # section 4.2
    (
        "enas",  # of the authors' code for cells, without restarts of the rate
        (
            *(("epochs", 150), ("batch", 160), ("channels", 20)),
            *(("rate", 0.05), ("rate_min", 5e-4), ("decay", 1e-4)),
        ),
    ),
)
"""Where a strategy's paper differs from DARTS', whose settings the others took over."""

PRESETS: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        "tiny": Recipe(
            text="about three minutes on two cores: 2,000 pictures, 12 epochs of few steps, so that alphas "
            "learn 30 times as fast as the papers' (ASAP's 300 times, to be apart before it is cold; a "
            "controller 14 times) and the temperature falls as far as theirs, ASAP's in two fifths of the "
            "epochs",
            even=True,
            whole=0.5,
            channels=4,
            layers=3,
            epochs=12,
            batch=32,
            pictures=2000,
            rate=0.05,
            rate_min=0.005,
            alpha_rate=1e-2,
            alpha_rates=(("asap", 1e-1), ("enas", 5e-3)),
            strategy=(("asap", (("anneal", 0.4), ("extra", 1))),),
            retrain_channels=8,
            retrain_layers=3,
            retrain_epochs=6,
            retrain_batch=32,
            retrain_drop_path=0.0,
            retrain_as_published=False,
        ),
        "small": Recipe(
            text="about an hour on two cores: 6,000 pictures, 20 epochs; alphas learn ten times as fast as "
            "the papers' (ASAP's 100 times, a controller 6 times), the temperature falls as far as theirs, "
            "ASAP's in two fifths of the epochs",
            even=True,
            channels=8,
            layers=5,
            epochs=20,
            batch=32,
            pictures=6000,
            rate=0.05,
            alpha_rate=3e-3,
            alpha_rates=(("asap", 3e-2), ("enas", 2e-3)),
            strategy=(("asap", (("anneal", 0.4), ("extra", 1))),),
            retrain_channels=12,
            retrain_layers=5,
            retrain_epochs=20,
            retrain_batch=64,
            retrain_drop_path=0.05,
            retrain_as_published=False,
        ),
        "paper": Recipe(own=_PAPERS),
    }
)
