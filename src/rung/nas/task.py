"""The seam between a search and what it is searched for: pictures or text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from torch import Tensor, nn

from rung.nas.genotype import Genotype
from rung.nas.plain import Mask
from rung.nas.space import Space

Mixtures = Mapping[str, Tensor]  # by cell: (E, O)


class Mixed(NamedTuple):
    """How the operations are weighed in a pass.

    Attributes:
        mixtures: by cell, (E, O) weights.
        active: by cell, (E, O) operations to compute; None for all that are alive.
    """

    mixtures: Mixtures
    active: Mapping[str, Mask] | None = None


class Scores(NamedTuple):
    """How good a network is on data that its weights have not seen.

    Attributes:
        loss: mean over samples, in nats.
        accuracy: share of pictures classified rightly; of text, None.
    """

    loss: float
    accuracy: float | None


class Batch(Protocol):
    """Some samples.

    Attributes:
        size: how many samples (pictures, or words).
        pace: what the learning rate of the weights is multiplied with for it (1, but for windows of text).
    """

    @property
    def size(self) -> int: ...

    @property
    def pace(self) -> float: ...


class Net(nn.Module):
    """A supernet, as strategies and the loop see it: called with samples, mixtures and what is active."""

    @property
    def alive(self) -> dict[str, Mask]:
        """By cell, (E, O): the operations that have not been pruned."""
        raise NotImplementedError

    def prune(self, cell: str, edge: int, column: int) -> None:
        """Remove an operation from an edge of every cell of this kind, for good."""
        raise NotImplementedError

    def plain_state(self) -> dict[str, Tensor]:
        """All weights and statistics under the plain form's names."""
        raise NotImplementedError

    def load_plain_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `plain_state` gave, pruned alike."""
        raise NotImplementedError


Told = Callable[[int, int], object]


class Short(NamedTuple):
    """How a preset's short training runs.

    Attributes:
        seconds: that are left, None for as many as it takes.
        out: beside which a checkpoint lies after each epoch, from which an interrupted training goes on;
            nothing is left there in the end.
        told: called after each epoch with how many are done, and of how many.
    """

    seconds: float | None = None
    out: Path | None = None
    told: Told | None = None


SHORT: Final = Short()


def told_of(doing: str, phase: Callable[[str], object]) -> Told:
    """Says of each epoch of a short training in a phase of its own that it is done."""
    return lambda done, epochs: phase(f"{doing}: {done} of {epochs} epochs")


Call = Callable[..., Any]  # a network, or one with other weights put in its place


class Task(Protocol):
    """Data, the loss, and the networks that fit them.

    A loss is asked of a *call*: the network itself, or a function of the same arguments that uses other
    weights (the virtual step of second-order DARTS).
    """

    @property
    def spoken(self) -> str:
        """What the data is, in a few words."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """Of the data, and of what is done to it before a network sees it: plain values by name."""
        ...

    @property
    def steps(self) -> int:
        """Of an epoch."""
        ...

    def supernet(self, space: Space, form: str, seed: int) -> Net:
        """For this data, its weights a function of the seed."""
        ...

    def pairs(self, epoch: int) -> Iterator[tuple[Any, Any]]:
        """Batches of an epoch, a function of (seed, epoch) alone: one for the weights, one for the alphas."""
        ...

    def loss(self, call: Call, mixed: Mixed, batch: Any, *, training: bool = False) -> Tensor:
        """Mean loss of a batch.

        Args:
            training: for the step of the weights: with the regularisation of activations that belongs to it.
        """
        ...

    def evaluate(self, call: Call, mixed: Mixed | None) -> Scores:
        """On the architecture's part of the data, in evaluation mode.

        Args:
            mixed: None for a network that is not a supernet.
        """
        ...

    def retrain(
        self, genotype: Genotype, recipe: Any, seed: int, short: Short = SHORT
    ) -> tuple[Scores | None, list[str]]:
        """Train the derived network from scratch for the preset's short time, and judge it on held-out data.

        Args:
            recipe: of the search; its `retrain_*` settings.

        Returns:
            Its scores, None if not even an epoch fits, and what a reader should know, in sentences.
        """
        ...

    def size(self, genotype: Genotype, recipe: Any) -> tuple[int, int | None]:
        """Parameters and multiply-adds of the network that `retrain` trains."""
        ...

    def macs(self, net: Net, space: Space, form: str = "plain") -> float:
        """Multiply-adds of one sample's forward pass through what is left of a supernet of this form."""
        ...


class Weighted(NamedTuple):
    """A term beside the loss of alphas.

    Attributes:
        cost: by cell, (E, O) of each operation, in units of the whole.
        weight: in nats.
    """

    cost: Mapping[str, Tensor]
    weight: float
