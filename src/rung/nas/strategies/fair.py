"""FairDARTS (Chu et al. 2020): sigmoids instead of a softmax, so that operations do not compete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Space
from rung.nas.strategies.base import Alphas, Passes, Turn
from rung.nas.strategies.bilevel import add_term, first_order
from rung.nas.strategies.darts import FirstOrder
from rung.nas.task import Mixed


@dataclass(frozen=True)
class Fair(FirstOrder):
    """Collaborative operations (section 4.1) and the zero-one loss (section 4.2).

    Derived are the two inputs of each node with the largest sigmoids, and the best operation of each, as in
    DARTS. The authors' code then leaves out what is under a threshold of 0.85; here each node has its two.

    Attributes:
        zero_one: weight of the loss that drives each sigmoid to zero or one; the paper's is 10.
    """

    name: str = "fair"
    zero_one: float = 10.0

    def mixed(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """A sigmoid of each alpha; zero where an operation is absent."""
        mixtures = {}
        for cell in space.cells:
            there = torch.from_numpy(alive[cell.name]).to(alphas[cell.name].device)
            mixtures[cell.name] = torch.sigmoid(alphas[cell.name]) * there
        return Mixed(mixtures)

    def step(self, turn: Turn) -> Passes:
        """One pass, with the zero-one loss beside."""
        passes = first_order(self, turn)
        add_term(turn.alphas, self.zero_one * zero_one_loss(turn.alphas, turn.net.alive))
        return passes


def zero_one_loss(alphas: Alphas, alive: Mapping[str, Mask]) -> Tensor:
    """Equation 6: minus the mean of (sigmoid - 1/2)^2 of what is alive; least where each is zero or one."""
    there = {name: torch.from_numpy(mask) for name, mask in alive.items()}
    values = torch.cat([value[there[name].to(value.device)] for name, value in alphas.items()])
    return -((torch.sigmoid(values) - 0.5) ** 2).mean()
