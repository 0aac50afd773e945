"""Complete networks for pictures: trained on the weights' half of them, scored on the alphas' half."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from rung.nas.complete_kind import Watching
from rung.nas.data.keys import seed_of
from rung.nas.genotype import Genotype
from rung.nas.images import ImageTask
from rung.nas.recipe import Recipe
from rung.nas.retraining_epochs import Tick
from rung.nas.search_study import METRIC
from rung.nas.task import SHORT, Scores, Short

SETTINGS: Final = (
    *("pictures", "rate"),
    *("retrain_channels", "retrain_layers", "retrain_epochs", "retrain_batch", "retrain_drop_path"),
)
"""Of a recipe, those that a network trained from scratch knows."""


@dataclass(frozen=True, eq=False)
class PictureNetworks:
    """See `rung.nas.complete_kind.Networks`.

    Attributes:
        task: the pictures, and their halves.
    """

    task: ImageTask

    metric = METRIC
    recorded = tuple(name for name in SETTINGS if name != "pictures")

    @property
    def spoken(self) -> str:
        """What the data is, in a few words."""
        return self.task.spoken

    @property
    def device(self) -> torch.device:
        """Where networks are."""
        return self.task.device

    @property
    def shape(self) -> list[int]:
        """Height, width and channels of a picture, and how many are in each half."""
        return [*self.task.pictures.shape, len(self.task.y), len(self.task.y_alphas)]

    @property
    def checksums(self) -> list[int]:
        """Of the pictures and of their classes."""
        return self.task.pictures.checksums

    def width(self, recipe: Recipe) -> str:
        """How wide and deep networks are, in words."""
        return f"{recipe.retrain_channels} channels and {recipe.retrain_layers} layers"

    def told(self, scores: Scores) -> dict[str, float]:
        """The error, accuracy and loss."""
        assert scores.accuracy is not None  # pictures have classes
        return {METRIC: 1.0 - scores.accuracy, "accuracy": scores.accuracy, "loss": scores.loss}

    def passes(self, recipe: Recipe, epochs: int) -> tuple[int, int]:
        """Whole batches, and the pictures in them."""
        batch = min(recipe.retrain_batch, len(self.task.y))
        steps = epochs * (len(self.task.y) // batch)
        return steps, steps * batch

    def train(
        self, genotype: Genotype, recipe: Recipe, *, out: Path, resume: bool, watch: Watching
    ) -> tuple[int, Scores]:
        """The training's seed is another than that of the last training: so are weights and order."""
        waiting: list[tuple[int, Scores]] = []

        def ticked(tick: Tick) -> None:
            while waiting:  # its epoch is saved by now
                watch.kept(*waiting.pop())
            row = tick.row
            if row is None or row.epoch == tick.epochs:
                return
            scored = row.accuracy is not None and row.loss is not None
            scores = Scores(row.loss or 0.0, row.accuracy) if scored else None
            watch.seen(row.epoch, scores)
            if scores is not None:
                waiting.append((row.epoch, scores))

        seed = seed_of(self.task.seed, "search") % 2**31
        found = self.task.train(genotype, recipe, seed=seed, out=out, resume=resume, watch=ticked)
        return found.epochs, Scores(found.loss, found.accuracy)

    def retrain(
        self, genotype: Genotype, recipe: Recipe, seed: int, short: Short = SHORT
    ) -> tuple[Scores | None, list[str]]:
        """See `rung.nas.task.Task`."""
        return self.task.retrain(genotype, recipe, seed, short)

    def step_seconds(self, genotype: Genotype, recipe: Recipe, probes: int) -> float:
        """Of a step of `train`."""
        return self.task.step_seconds(genotype, recipe, probes)

    def training_seconds(self, genotype: Genotype, recipe: Recipe) -> float:
        """Of `train`."""
        return self.task.training_seconds(genotype, recipe)

    def size(self, genotype: Genotype, recipe: Recipe) -> tuple[int, int | None]:
        """See `rung.nas.task.Task`."""
        return self.task.size(genotype, recipe)
