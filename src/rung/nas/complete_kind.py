"""The seam between a search over complete networks and what these are trained for: pictures or text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from rung.nas.genotype import Genotype
from rung.nas.task import SHORT, Scores, Short


class Watching(NamedTuple):
    """What is called as a training goes on.

    Attributes:
        seen: after each epoch but the last, with its number from 1 and the scores on held-out data so far,
            None where it was not scored.
        kept: with the same, where there are scores, once a checkpoint of the epoch is written: a stop that
            it raises loses no more than a step.
    """

    seen: Callable[[int, Scores | None], object]
    kept: Callable[[int, Scores], object]


class Networks(Protocol):
    """Data, and the networks that are trained for it from scratch."""

    @property
    def metric(self) -> str:
        """What the log calls that which is made small."""
        ...

    @property
    def recorded(self) -> tuple[str, ...]:
        """The settings of a recipe that make a training what it is."""
        ...

    @property
    def spoken(self) -> str:
        """What the data is, in a few words."""
        ...

    @property
    def device(self) -> torch.device:
        """Where networks are."""
        ...

    @property
    def shape(self) -> list[int]:
        """Of the data, for the study's identity."""
        ...

    @property
    def checksums(self) -> list[int]:
        """Of the data, likewise."""
        ...

    def width(self, recipe: Any) -> str:
        """How wide and deep networks are, in words."""
        ...

    def told(self, scores: Scores) -> dict[str, float]:
        """What the log has of a network's scores: the metric first."""
        ...

    def passes(self, recipe: Any, epochs: int) -> tuple[int, int]:
        """Training passes of so many epochs, and the samples in them (pictures, or words)."""
        ...

    def train(  # one training, all that it depends on
        self, genotype: Genotype, recipe: Any, *, out: Path, resume: bool, watch: Watching
    ) -> tuple[int, Scores]:
        """Train a network on the weights' part of the data, and score it on the architecture's.

        Args:
            out: where files of the training lie; beside it, after each epoch, a checkpoint.
            resume: go on from that checkpoint.

        Returns:
            The epochs that were done, and the scores.

        Raises:
            Diverged: its loss is not finite.
        """
        ...

    def retrain(
        self, genotype: Genotype, recipe: Any, seed: int, short: Short = SHORT
    ) -> tuple[Scores | None, list[str]]:
        """See `rung.nas.task.Task`."""
        ...

    def step_seconds(self, genotype: Genotype, recipe: Any, probes: int) -> float:
        """What a step of `train` takes here, the least of so many after one (or that one)."""
        ...

    def training_seconds(self, genotype: Genotype, recipe: Any) -> float:
        """What `train` takes here, by timing a few steps."""
        ...

    def size(self, genotype: Genotype, recipe: Any) -> tuple[int, int | None]:
        """Parameters and multiply-adds of the network that is trained."""
        ...
