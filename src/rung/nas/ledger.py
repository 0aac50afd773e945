"""What a search has cost: seconds, passes, pictures, multiply-adds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Ledger:
    """Counters, deterministic but for the seconds.

    A pass is one forward and backward pass over a batch. A step of the weights is one; a step of the alphas
    is one in first order and four in second order with finite differences.

    Attributes:
        seconds: of searching.
        weight_passes, alpha_passes: through the supernet.
        images: samples that went through a training pass, each time counted.
        multiply_adds: of these passes through the operations that they computed, three times a forward pass's
            each (one forward, two backward); of a pass that has no backward part, once.
    """

    seconds: float = 0.0
    weight_passes: int = 0
    alpha_passes: int = 0
    images: int = 0
    multiply_adds: float = 0.0

    @property
    def passes(self) -> int:
        """Of weights and alphas together."""
        return self.weight_passes + self.alpha_passes

    def weights(self, samples: int, macs: float) -> None:
        """Count a step of the weights over so many samples, each of so many multiply-adds forward."""
        self.weight_passes += 1
        self._count(samples, macs)

    def architecture(self, passes: int, samples: int, macs: float) -> None:
        """Count a step of the alphas: so many passes over so many samples in all."""
        self.alpha_passes += passes
        self._count(samples, macs)

    def _count(self, samples: int, macs: float) -> None:
        self.images += samples
        self.multiply_adds += 3.0 * samples * macs

    def to_dict(self) -> dict[str, Any]:
        """For files."""
        return {**asdict(self), "passes": self.passes}

    @staticmethod
    def from_dict(form: dict[str, Any]) -> Ledger:
        """The inverse."""
        return Ledger(**{name: form[name] for name in Ledger.__dataclass_fields__})
