"""PC-DARTS (Xu et al. 2020): a quarter of the channels is mixed, and edges have normalised weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Cell, Space
from rung.nas.strategies.base import Alphas, Passes, Turn, small_alphas, softmax
from rung.nas.strategies.bilevel import first_order
from rung.nas.strategies.darts import FirstOrder
from rung.nas.task import Mixed


@dataclass(frozen=True)
class PcDarts(FirstOrder):
    """Partial channel connections and edge normalisation (sections 3.2 and 3.3).

    The supernet has its "partial" form, whose operations are a quarter as wide: its weights fit no derived
    network, so that there is no derived network with copied weights.

    Attributes:
        warmup: share of the epochs in which the weights alone learn (15 of the paper's 50).
    """

    name: str = "pc_darts"
    form: str = "partial"
    warmup: float = 0.3

    def begin(self, space: Space, seed: int) -> Alphas:
        """Alphas, and "NAME/edges": the betas (E,), near zero alike."""
        alphas = small_alphas(space, seed)
        generator = torch.Generator().manual_seed(seed + 1)
        for cell in space.cells:
            noise = torch.randn(len(cell.edges), generator=generator)
            alphas[edges_of(cell)] = (1e-3 * noise).requires_grad_()
        return alphas

    def mixed(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed:
        """Equation 4: each edge's softmax, times the softmax of betas over the inputs of its node."""
        mixtures = {}
        for cell in space.cells:
            weights = softmax(alphas[cell.name], alive[cell.name])
            mixtures[cell.name] = weights * normalised(cell, alphas[edges_of(cell)])[:, None]
        return Mixed(mixtures)

    def step(self, turn: Turn) -> Passes:
        """One pass over the alphas' batch; none while the weights warm up."""
        if turn.moment.epoch < self.warmup * turn.moment.epochs:
            return Passes(0, 0)
        return first_order(self, turn)


def edges_of(cell: Cell) -> str:
    """The name of a cell's betas among the alphas."""
    return f"{cell.name}/edges"


def normalised(cell: Cell, betas: Tensor) -> Tensor:
    """(E,): over the edges that enter a node, a softmax."""
    parts = [torch.softmax(betas[list(cell.entering(target))], 0) for target in cell.targets]
    return torch.cat(parts)  # edges are numbered by target
