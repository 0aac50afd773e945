"""How a derived network is trained from scratch: settings, and the rates that follow from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from rung.errors import UserError
from rung.nas.moment import cosine
from rung.nas.recipe import PRESETS, Recipe
from rung.nas.skeleton import StemName


@dataclass(frozen=True)
class Schedule:
    """Settings of a training from scratch; the defaults are the paper's (DARTS, section 3.2 and A.1.2).

    Attributes:
        channels, layers: of the network.
        epochs, batch: of the training.
        rate: learning rate, falling to zero along half a cosine by epochs.
        warm_up: epochs before that, in which the rate rises linearly.
        momentum, decay, clip: of SGD; clip is the largest norm of a gradient, 0 for no limit.
        drop_path: probability with which a path is dropped for a picture; rises linearly, by epochs, from 0.
        auxiliary: weight of the auxiliary head's loss; 0 for no such head. Pictures that are too small or too
            large for that head are trained without it.
        cutout: side of the square that is cut out of training pictures, in pixels; 0 for none.
        jitter: whether colours are moved as DARTS' code does on ImageNet (`IMAGENET_JITTER`); gray pictures
            are left as they are.
        label_smoothing: the share of a label spread evenly over all classes (Szegedy et al. 2016, section 7).
        stem: "cifar" keeps the pictures' size, "imagenet" divides it by eight.
        amp: whether products are computed in bfloat16; measure first, on processors without it it is slower.
    """

    channels: int = 36
    layers: int = 20
    epochs: int = 600
    batch: int = 96
    rate: float = 0.025
    warm_up: int = 0
    momentum: float = 0.9
    decay: float = 3e-4
    clip: float = 5.0
    drop_path: float = 0.2
    auxiliary: float = 0.4
    cutout: int = 16
    jitter: bool = False
    label_smoothing: float = 0.0
    stem: StemName = "cifar"
    amp: bool = False

    def __post_init__(self) -> None:
        self._check_ranges()
        if self.warm_up >= self.epochs:
            raise UserError(
                f"of {self.epochs} epochs at most {self.epochs - 1} can warm up, not {self.warm_up}"
            )
        if self.stem not in ("cifar", "imagenet"):
            raise UserError(f"unknown stem {self.stem!r}: it is cifar or imagenet")

    def _check_ranges(self) -> None:
        for name, least in (("channels", 1), ("layers", 1), ("epochs", 1), ("batch", 2)):
            if getattr(self, name) < least:
                raise UserError(f"{name} must be at least {least}, not {getattr(self, name)}")
        for name in ("warm_up", "momentum", "decay", "clip", "auxiliary", "cutout"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} must be a number of at least 0, not {getattr(self, name)}")
        for name in ("drop_path", "label_smoothing", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        if not 0 < self.rate < math.inf:  # NaN is none of them
            raise UserError(f"the learning rate must be a number above 0, not {self.rate}")

    def rate_of(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        if epoch < self.warm_up:
            return self.rate * (epoch + 1) / (self.warm_up + 1)
        return cosine(self.rate, 0.0, epoch - self.warm_up, self.epochs - self.warm_up)

    def drop_path_of(self, epoch: int) -> float:
        """The probability of dropping a path in an epoch, counted from 0."""
        return self.drop_path * epoch / self.epochs


def schedule_of(recipe: Recipe) -> Schedule:
    """The training that belongs to a search's preset: the paper's, or a short one of a small network.

    The short ones leave out what only pays in long trainings: cutout and the auxiliary head.
    """
    paper = recipe.retrain_as_published
    return Schedule(
        channels=recipe.retrain_channels,
        layers=recipe.retrain_layers,
        epochs=recipe.retrain_epochs,
        batch=recipe.retrain_batch,
        rate=0.025 if paper else recipe.rate,
        drop_path=recipe.retrain_drop_path,
        auxiliary=0.4 if paper else 0.0,
        cutout=16 if paper else 0,
    )


SCHEDULES: Final[Mapping[str, Schedule]] = MappingProxyType(
    {
        "tiny": schedule_of(PRESETS["tiny"]),
        "small": schedule_of(PRESETS["small"]),
        "paper": Schedule(),
        "imagenet": Schedule(
            channels=48,
            layers=14,
            epochs=250,
            batch=128,
            rate=0.1,
            decay=3e-5,
            drop_path=0.0,
            cutout=0,
            jitter=True,
            label_smoothing=0.1,
            stem="imagenet",
        ),
    }
)
