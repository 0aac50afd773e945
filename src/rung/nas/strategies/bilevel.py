"""Steps of the alphas in a bilevel search: in first order here; the second order's stand beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch

from rung.nas.moment import Moment
from rung.nas.plain import Mask
from rung.nas.space import Space
from rung.nas.strategies.base import Alphas, Passes, Turn
from rung.nas.supernet import constant_weights, frozen_statistics
from rung.nas.task import Mixed


class Mixes(Protocol):
    """What a step asks of a strategy; see `rung.nas.strategies.base.Strategy`."""

    def mixed(self, space: Space, alphas: Alphas, alive: Mapping[str, Mask], moment: Moment) -> Mixed: ...


def first_order(strategy: Mixes, turn: Turn) -> Passes:
    """The gradient of the validation loss at the present weights (DARTS, section 2.3, xi = 0)."""
    mixed = strategy.mixed(turn.space, turn.alphas, turn.net.alive, turn.moment)
    with frozen_statistics(turn.net), constant_weights(turn.net):
        loss = turn.task.loss(turn.net, mixed, turn.alphas_batch)
    leaves = list(turn.alphas.values())
    leave(leaves, torch.autograd.grad(loss, leaves, allow_unused=True))
    return Passes(1, turn.alphas_batch.size, mixed.active)


def add_term(alphas: Alphas, term: torch.Tensor) -> None:
    """Add the gradient of a further term of the alphas' loss to the gradients that are there."""
    leaves = list(alphas.values())
    gradients = torch.autograd.grad(term, leaves, allow_unused=True)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        if gradient is not None:
            leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient


def leave(leaves: list[torch.Tensor], gradients: tuple[torch.Tensor | None, ...]) -> None:
    """Set the gradients of the alphas; zero where a loss does not depend on them."""
    for leaf, gradient in zip(leaves, gradients, strict=True):
        leaf.grad = torch.zeros_like(leaf) if gradient is None else gradient.detach()
