"""The relaxation gap: between the network that was searched and the one that is kept."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from rung.errors import SpaceError
from rung.nas.genotype import Genotype
from rung.nas.handing import hand_over
from rung.nas.loop import Plan, State
from rung.nas.moment import Moment
from rung.nas.result import Gap
from rung.nas.supernet import frozen_statistics
from rung.nas.task import Mixed, Mixtures, Net, Scores


def measured(plan: Plan, state: State, genotype: Genotype) -> tuple[Scores, Gap]:
    """Scores of the derived network with the supernet's weights, and the gap, on held-out samples.

    The gap is between it and the network of the last step of the weights: the supernet with the mixtures of
    that step. A supernet whose operations are narrower than the derived network's (partial channels) cannot
    hand its weights over: its gap is not measured.
    """
    try:
        derived = hand_over(state.net, genotype)
    except SpaceError:
        return Scores(math.nan, None), Gap()
    both = Both(state.net, derived)
    searched = plan.task.evaluate(both, last_mixed(plan, state))
    own = plan.task.evaluate(Alone(derived), last_mixed(plan, state))  # normalised as the supernet was
    lost = None
    if searched.accuracy is not None and own.accuracy is not None:
        lost = searched.accuracy - own.accuracy
    return own, Gap(both.largest, lost)


def training_gap(plan: Plan, state: State, genotype: Genotype) -> float:
    """Largest difference of a score in training mode, on the first batch of the last epoch.

    Normalisations use the batch, and what is dropped is the same in both; no statistics are touched.

    Raises:
        SpaceError: the supernet cannot hand its weights over.
    """
    both = Both(state.net, hand_over(state.net, genotype))
    training = both.training
    both.train()
    batch, _ = next(iter(plan.task.pairs(max(state.epoch - 1, 0))))
    with torch.no_grad(), frozen_statistics(both):
        plan.task.loss(both, last_mixed(plan, state), batch)
    both.train(training)
    return both.largest


def last_mixed(plan: Plan, state: State) -> Mixed:
    """How the last step of the weights weighed the operations."""
    steps = plan.task.steps
    moment = Moment(plan.seed, max(state.epoch - 1, 0), plan.recipe.epochs, steps - 1, steps)
    with torch.no_grad():
        return plan.strategy.mixed(plan.space, state.alphas, state.net.alive, moment)


class Both(nn.Module):
    """A supernet that is watched: each call goes to a derived network, too, and their difference is noted.

    Attributes:
        largest: difference of a score, over all calls.
    """

    def __init__(self, net: Net, derived: nn.Module) -> None:
        super().__init__()
        self.net, self.derived = net, derived
        self.largest = 0.0
        self._state: Any = None  # of the derived network's memory, where it has one
        self.training = net.training

    def forward(self, x: Tensor, mixtures: Mixtures, active: Any = None, *more: Any) -> Any:
        """The supernet's output.

        Args:
            x: samples.
            mixtures, active: see `rung.nas.task.Mixed`.
            more: of a language model, its state and what is dropped.
        """
        devices = [x.device] if x.is_cuda else []
        with torch.random.fork_rng(devices=devices):  # noise and dropout alike
            y = self.net(x, mixtures, active, *more)
        if more:
            own = self.derived(x, None if more[0] is None else self._state, *more[1:])
        else:
            own = self.derived(x)
        self._state = getattr(own, "state", None)
        difference = (_scores(y) - _scores(own)).detach().abs().max()
        self.largest = max(self.largest, float(difference))
        return y


class Alone(nn.Module):
    """A derived network that is called as a supernet is."""

    def __init__(self, derived: nn.Module) -> None:
        super().__init__()
        self.derived = derived

    def forward(self, x: Tensor, mixtures: Mixtures, active: Any = None, *more: Any) -> Any:
        """The derived network's output; mixtures do not matter to it."""
        return self.derived(x, *more)


def _scores(output: Any) -> Tensor:
    """Of classes, or of words."""
    return output if isinstance(output, Tensor) else output.logits
