"""SNAS (Xie et al. 2019): operations are sampled from a concrete distribution that cools down.

Weights and the distribution learn from the same loss, in the same pass (section 2.2), with one sample of the
noise a step, shared by all cells of a kind. The resource loss of section 2.4 is
`rung.nas.strategies.remedies.Priced`: with a cost that is a sum over operations its expectation is exact.

The authors' code learns from all training pictures and is judged on the test pictures after each epoch. Here
it learns from the weights' half alone, so that the other half, on which every strategy of this loop is
judged, was seen by neither weights nor alphas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from rung.nas.genotype import Genotype
from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Space
from rung.nas.strategies.base import Alphas, Passes, Turn, derive_best, softmax
from rung.nas.strategies.bilevel import leave
from rung.nas.strategies.darts import FirstOrder
from rung.nas.strategies.sampling import concrete
from rung.nas.task import Mixed
from rung.nas.training import weight_step


@dataclass(frozen=True)
class Snas(FirstOrder):
    """Stochastic search with a concrete relaxation.

    Attributes:
        high, low: temperature of the first and of the last epoch; it falls linearly, as in the authors' code
            (the paper has no figures).
    """

    name: str = "snas"
    single_level: bool = True
    high: float = 1.0
    low: float = 0.03

    def mixed(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """A relaxed sample, a function of the moment: the alphas' step and the weights' see the same."""
        generator, heat = moment.generator("concrete"), self.temperature(moment)
        return Mixed(
            {
                cell.name: concrete(alphas[cell.name], alive[cell.name], heat, generator)
                for cell in space.cells
            }
        )

    def settled(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """The probabilities: the mean of the samples as the temperature goes to zero."""
        return Mixed({cell.name: softmax(alphas[cell.name], alive[cell.name]) for cell in space.cells})

    def temperature(self, moment: Moment) -> float:
        """Between `high` and `low`, by epochs."""
        share = min(moment.epoch / max(moment.epochs - 1, 1), 1.0)
        return self.high + (self.low - self.high) * share

    def step(self, turn: Turn) -> Passes:
        """One pass over the weights' batch, for weights and alphas together."""
        mixed = self.mixed(turn.space, turn.alphas, turn.net.alive, turn.moment)
        leaves = list(turn.alphas.values())
        for leaf in leaves:
            leaf.grad = None
        loss = weight_step(turn.task, turn.net, mixed, turn.weights_batch, turn.optimizer, turn.clip)
        leave(leaves, tuple(leaf.grad for leaf in leaves))
        return Passes(0, 0, mixed.active, loss=loss)

    def derive(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> Genotype:
        """By the probabilities, as DARTS."""
        with torch.no_grad():
            weights = self.settled(space, alphas, alive, Moment(0, 0, 1)).mixtures
        return derive_best(space, weights, alive)
