"""DARTS (Liu, Simonyan, Yang 2019): a softmax over operations, alternating steps of alphas and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rung.nas.genotype import Genotype
from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Space
from rung.nas.strategies.base import Alphas, Passes, Removal, Turn, derive_best, small_alphas, softmax
from rung.nas.strategies.bilevel import first_order
from rung.nas.task import Mixed


@dataclass(frozen=True)
class FirstOrder:
    """First-order DARTS (section 2.3, xi = 0): alphas descend on the validation loss at the present weights."""

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
