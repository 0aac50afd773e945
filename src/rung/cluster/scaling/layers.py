"""What a network computes and moves in one training step, as numbers: no framework in here."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec


class Kind(StrEnum):
    """What bounds an operator: by these its achieved part of the peak is told."""

    CONVOLUTION = "convolution"
    PRODUCT = "product"  # of matrices: linear layers, attention
    MEMORY = "memory"  # everything else: it moves numbers more than it computes


class Work(NamedTuple):
    """Floating point operations, a multiplication and an addition being two, and bytes read and written."""

    flops: float
    read: float
    written: float

    @property
    def moved(self) -> float:
        """Bytes read and written."""
        return self.read + self.written


class Operator(msgspec.Struct, frozen=True):
    """One call of an operator: its work at batch size b is `fixed` + b times `each`.

    Attributes:
        layer: the module that called it, by its name in the network; "" for the network itself.
        name: the operator's own, such as "mm".
        backward: it belongs to the pass that computes gradients.
    """

    layer: str
    name: str
    kind: Kind
    backward: bool
    fixed: Work
    each: Work

    def at(self, batch: float) -> Work:
        """Its work on so many samples."""
        pairs = zip(self.fixed, self.each, strict=True)
        return Work(*(max(0.0, fixed + batch * each) for fixed, each in pairs))


class Gradient(NamedTuple):
    """The gradient of one parameter: the layer that has it, and its size."""

    layer: str
    elements: int
    bytes: int


class Network(msgspec.Struct, frozen=True):
    """A training step: operators in the order in which they run, and the gradients that it makes."""

    operators: tuple[Operator, ...]
    gradients: tuple[Gradient, ...]

    def flops(self, batch: int, *, backward: bool | None = None) -> int:
        """Floating point operations of matrix products and convolutions on so many samples.

        `backward`: of that pass only, or (False) of the other only; None: of both.
        """
        wanted = [one for one in self.operators if backward is None or one.backward is backward]
        return round(sum(one.at(batch).flops for one in wanted))

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        return sum(gradient.elements for gradient in self.gradients)

    @property
    def gradient_bytes(self) -> int:
        """What all devices must agree on in each step."""
        return sum(gradient.bytes for gradient in self.gradients)

    def by_layer(self, batch: int) -> dict[str, Work]:
        """The work of each layer, both passes together, in the order in which they first run."""
        found: dict[str, Work] = {}
        for one in self.operators:
            before = found.get(one.layer, Work(0.0, 0.0, 0.0))
            found[one.layer] = Work(*(a + b for a, b in zip(before, one.at(batch), strict=True)))
        return found
