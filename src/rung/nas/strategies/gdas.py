"""GDAS (Dong and Yang 2019): one operation an edge is sampled and computed, gradients go straight through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rung.nas.genotype import Genotype
from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Space
from rung.nas.strategies.base import Alphas, derive_best, softmax
from rung.nas.strategies.darts import FirstOrder
from rung.nas.strategies.sampling import hard
from rung.nas.task import Mixed


@dataclass(frozen=True)
class Gdas(FirstOrder):
    """Differentiable sampling (section 3.2): a step computes one operation of each edge.

    Attributes:
        high, low: temperature of the first and of the last epoch; it falls linearly.
    """

    name: str = "gdas"
    form: str = "plain"
    high: float = 10.0
    low: float = 0.1

    def mixed(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """Equations 3 to 5: one-hot samples, with the gradient of the relaxed ones."""
        generator, heat = moment.generator("gumbel"), self.temperature(moment)
        mixtures, active = {}, {}
        for cell in space.cells:
            mixtures[cell.name], active[cell.name] = hard(
                alphas[cell.name], alive[cell.name], heat, generator
            )
        return Mixed(mixtures, active)

    def settled(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """The most probable operation of each edge, as the samples are: one of them, whole."""
        mixtures, active = {}, {}
        for cell in space.cells:
            mask, probable = alive[cell.name], softmax(alphas[cell.name].detach(), alive[cell.name])
            best = torch.zeros_like(probable).scatter_(1, probable.argmax(1, keepdim=True), 1.0)
            active[cell.name] = (best > 0).cpu().numpy() & mask
            mixtures[cell.name] = torch.from_numpy(active[cell.name]).to(probable)
        return Mixed(mixtures, active)

    def temperature(self, moment: Moment) -> float:
        """Between `high` and `low`, by epochs."""
        share = min(moment.epoch / max(moment.epochs - 1, 1), 1.0)
        return self.high + (self.low - self.high) * share

    def derive(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask]) -> Genotype:
        """By the probabilities, as DARTS."""
        return derive_best(space, self.probabilities(space, alphas, alive, Moment(0, 0, 1)), alive)

    def probabilities(
        self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment
    ) -> Mapping[str, Tensor]:
        """A softmax on each edge."""
        return {c.name: softmax(alphas[c.name], alive[c.name]) for c in space.cells}
