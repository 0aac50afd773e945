"""DARTS (Liu, Simonyan, Yang 2019): a softmax over operations, alternating steps of alphas and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rung.nas.genotype import Genotype
from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Space
from rung.nas.strategies.base import Alphas, Passes, Removal, Turn, derive_best, small_alphas, softmax
from rung.nas.strategies.bilevel import first_order
from rung.nas.strategies.second_order import Hypergradient, second_order
from rung.nas.task import Mixed


@dataclass(frozen=True)
class FirstOrder:
    """First-order DARTS (section 2.3, xi = 0): alphas descend on the validation loss at today's weights."""

    name: str = "darts1"
    form: str = "fused"
    single_level: bool = False

    def begin(self, space: Space, seed: int) -> Alphas:
        """Near zero, 1e-3 times a normal."""
        return small_alphas(space, seed)

    def mixed(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """Equation 2: a softmax over the operations of each edge."""
        return Mixed({cell.name: softmax(alphas[cell.name], alive[cell.name]) for cell in space.cells})

    def settled(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """The same."""
        return self.mixed(space, alphas, alive, moment)

    def step(self, turn: Turn) -> Passes:
        """One pass over the alphas' batch."""
        return first_order(self, turn)

    def removals(
        self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment
    ) -> Sequence[Removal]:
        """None: all operations stay until the derivation."""
        return ()

    def finished(self, space: Space, alive: Mapping[str, Mask], moment: Moment) -> bool:
        """Never before the last epoch."""
        return False

    def temperature(self, moment: Moment) -> float | None:
        """None."""
        return None

    def derive(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> Genotype:
        """The best two edges of each node, by their strongest operation but zero (section 2.4)."""
        weights = self.mixed(space, alphas, alive, Moment(0, 0, 1)).mixtures
        return derive_best(space, weights, alive)


@dataclass(frozen=True)
class SecondOrder(FirstOrder):
    """DARTS (section 2.3, xi the learning rate of the weights): alphas look one step of the weights ahead.

    Attributes:
        hypergradient: "exact" (default), or the paper's "difference". On networks with ReLU and max pooling
            the finite difference's implicit term is mostly noise; see `second_order`.
        clip: largest norm of the virtual step's gradients, 0 for none.
    """

    name: str = "darts"
    hypergradient: Hypergradient = "exact"
    clip: float = 0.0

    def step(self, turn: Turn) -> Passes:
        """Four passes."""
        return second_order(self, turn, self.hypergradient, self.clip)

    def observe(self, turn: Turn) -> Mapping[str, Any]:
        """How the hypergradient was taken."""
        return {"hypergradient": self.hypergradient}

    def overstayed(self, notes: Sequence[Mapping[str, Any]]) -> int | None:
        """Never."""
        return None
