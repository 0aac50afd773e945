"""When in a search something happens: schedules and randomness are functions of it."""

from __future__ import annotations

import math
import zlib
from typing import NamedTuple

import torch


class Moment(NamedTuple):
    """A step of an epoch of a search.

    Attributes:
        seed: of the search.
        epoch, epochs: which, from 0, of how many.
        step, steps: which of the epoch, from 0, of how many.
    """

    seed: int
    epoch: int
    epochs: int
    step: int = 0
    steps: int = 1

    @property
    def progress(self) -> float:
        """Of all epochs, the share that is done: 0 to 1, by steps."""
        return (self.epoch + self.step / max(self.steps, 1)) / max(self.epochs, 1)

    def generator(self, purpose: str) -> torch.Generator:
        """Random numbers that are a function of seed, epoch, step and purpose alone."""
        return torch.Generator().manual_seed(self.number(purpose))

    def number(self, purpose: str) -> int:
        """A seed for this moment: 63 bits."""
        text = f"{self.seed}/{self.epoch}/{self.step}/{purpose}".encode()
        return zlib.crc32(text) << 31 | zlib.crc32(text[::-1] + b"!")


def cosine(high: float, low: float, epoch: int, epochs: int) -> float:
    """A learning rate that falls along half a cosine, by whole epochs (Loshchilov and Hutter 2017)."""
    return low + (high - low) * (1.0 + math.cos(math.pi * epoch / max(epochs, 1))) / 2.0
