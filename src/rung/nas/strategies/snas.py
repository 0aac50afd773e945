"""SNAS (Xie et al. 2019): operations are sampled from a concrete distribution that cools down.

Weights and the distribution learn from the same samples (section 2.2), with one sample of the noise a step,
shared by all cells of a kind. Here they learn in turn, as in all strategies of this loop: first the alphas,
then the weights, on the same batch and the same noise. The resource loss of section 2.4 is
`rung.nas.strategies.remedies.Priced`: with a cost that is a sum over operations its expectation is exact.
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
from rung.nas.strategies.bilevel import first_order
from rung.nas.strategies.darts import FirstOrder
from rung.nas.strategies.sampling import concrete
from rung.nas.task import Mixed


@dataclass(frozen=True)
class Snas(FirstOrder):
    """Stochastic search with a concrete relaxation.

    Attributes:
        high, low: temperature of the first and of the last epoch; it falls geometrically.
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
        return float(self.high * (self.low / self.high) ** share)

    def step(self, turn: Turn) -> Passes:
        """One pass over the weights' batch (single-level)."""
        return first_order(self, turn._replace(alphas_batch=turn.weights_batch))

    def derive(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> Genotype:
        """By the probabilities, as DARTS."""
        with torch.no_grad():
            weights = self.settled(space, alphas, alive, Moment(0, 0, 1)).mixtures
        return derive_best(space, weights, alive)
