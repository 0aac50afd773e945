"""BOHB's reinforcement learning (its section 5.5): PPO that swings up a cart-pole, repeats as the fidelity.

Proximal policy optimisation (Schulman et al. 2017) with the clipped objective, generalised advantages
(Schulman et al. 2016) and an entropy bonus; policy and value function are nets of their own, two layers of
tanh, both trained by Adam. Of each update's data, whole episodes of a few environments, several epochs of
minibatches are taken. Advantages are standardised over the update; the value net predicts returns times
(1 - discount), so that its targets lie within [0, 1] for every discount.

An agent's result is 1 - its mean reward per step over the last quarter of training (exploring and all); at
fidelity k that is the mean over the first k repeats, which differ in weights and in all that is drawn.

Agents of one shape and batch size are trained together, stacked along a leading axis, as are their repeats: a
repeat draws its weights, first states, order and uniform numbers for actions from its own seed, so that an
agent's training does not depend on what it is grouped with.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.tables.recipes import Axis, Curves, Recipe
from benchmarks.data.tables.recipes._together import by_shape
from benchmarks.problems import _cartpole as cartpole

if TYPE_CHECKING:
    import torch

REPEATS: Final = 9
Config = Mapping[str, Any]


class Scale(NamedTuple):
    """How much an agent is trained.

    Attributes:
        updates: of the policy.
        environments: that an agent acts in at once.
        length: of an episode, in decisions; each update's data is one episode of each environment.
        epochs: times that an update's data is gone through.
    """

    updates: int = 80
    environments: int = 4
    length: int = cartpole.EPISODE
    epochs: int = 4


SCALE: Final = Scale()


class Episodes(NamedTuple):
    """An update's data: `seen` (agents, environments, length, columns), all else without the columns."""

    seen: torch.Tensor
    actions: torch.Tensor
    odds: torch.Tensor
    rewards: torch.Tensor
    last: torch.Tensor


class Luck:
    """All that is drawn, of every repeat from its own generator; an agent gets what its repeat draws."""

    def __init__(self, repeats: Sequence[int], seed: int) -> None:
        self._numbers = sorted(set(repeats))
        self._rows = np.searchsorted(self._numbers, repeats)
        self._rngs = [np.random.default_rng([seed, repeat]) for repeat in self._numbers]

    def normal(self, *shape: int) -> NDArray[np.float64]:
        """(agents, *shape)."""
        return np.stack([rng.standard_normal(shape) for rng in self._rngs])[self._rows]

    def uniform(self, *shape: int) -> NDArray[np.float64]:
        """(agents, *shape)."""
        return np.stack([rng.random(shape) for rng in self._rngs])[self._rows]

    def order(self, count: int) -> NDArray[np.int64]:
        """A new order of so many things, (agents, count)."""
        return np.stack([rng.permutation(count) for rng in self._rngs])[self._rows]


class Agents:
    """Policies and value functions of one shape.

    Attributes:
        weights: of the layers, policies' then values' along the leading axis: (2 agents, inputs, outputs),
            after each its bias (2 agents, 1, outputs); the values' last layer uses one output of three.
    """

    def __init__(self, configs: Sequence[Config], luck: Luck) -> None:
        import torch

        self.count = len(configs)
        first = configs[0]
        widths = [cartpole.OBSERVED, first["units_1"], first["units_2"], len(cartpole.FORCES)]
        self.weights: list[torch.Tensor] = []
        for layer, (inputs, outputs) in enumerate(pairwise(widths)):
            scale = (0.01 if layer == 2 else 1.0) / inputs**0.5  # nearly uniform actions to begin with
            drawn = torch.tensor(luck.normal(2, inputs, outputs) * scale, dtype=torch.float32)
            self.weights.append(drawn.transpose(0, 1).reshape(-1, inputs, outputs).requires_grad_())
            self.weights.append(torch.zeros(2 * self.count, 1, outputs, requires_grad=True))
        self._rates = column(configs, "learning_rate")[:, None].repeat(2, 1, 1)
        # Adam's steps for a learning rate of 1, which each agent then takes times its own.
        self._moves = [torch.zeros_like(one) for one in self.weights]
        self._adam = torch.optim.Adam(self._moves, lr=1.0, fused=True)

    def policy(self, x: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the actions, (agents, rows, 3), for what is seen (agents, rows, columns)."""
        return _through([one[: self.count] for one in self.weights], x).log_softmax(dim=2)

    def values(self, x: torch.Tensor) -> torch.Tensor:
        """Scaled values, (agents, rows)."""
        return _through([one[self.count :] for one in self.weights], x)[..., 0]

    def both(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`policy` and `values` in one pass."""
        out = _through(self.weights, x.repeat(2, 1, 1))
        return out[: self.count].log_softmax(dim=2), out[self.count :, :, 0]

    def learn(self, loss: torch.Tensor) -> None:
        """One step down the sum of the agents' losses; each agent's weights see its own loss only."""
        import torch

        for move, slope in zip(self._moves, torch.autograd.grad(loss, self.weights), strict=True):
            move.grad = slope
        self._adam.step()
        with torch.no_grad():
            for weight, move in zip(self.weights, self._moves, strict=True):
                weight.addcmul_(move, self._rates)
                move.zero_()


def _through(weights: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    import torch

    for number in range(0, len(weights), 2):
        x = torch.baddbmm(weights[number + 1], x, weights[number])
        if number + 2 < len(weights):
            x = x.tanh()
    return x


def act(agents: Agents, luck: Luck, scale: Scale) -> Episodes:
    """One episode of every environment of every agent."""
    import torch

    n, k, length = agents.count, scale.environments, scale.length
    seen = torch.empty(n, k, length, cartpole.OBSERVED)
    actions = torch.empty(n, k, length, dtype=torch.int64)
    odds, rewards = torch.empty(n, k, length), torch.empty(n, k, length)
    drawn = torch.tensor(luck.uniform(length, k), dtype=torch.float32)
    state = cartpole.hanging(luck.normal(4, k).transpose(1, 0, 2).reshape(4, -1))
    forces = np.array(cartpole.FORCES) * cartpole.STANDARD.force
    now = _seen(state, n)
    with torch.no_grad():
        for t in range(length):
            chances = agents.policy(now)
            steps = chances.exp().cumsum(dim=2)[..., :-1]
            action = (drawn[:, t, :, None] > steps).sum(dim=2)  # (agents, environments)
            seen[:, :, t], actions[:, :, t] = now, action
            odds[:, :, t] = chances.gather(2, action[..., None])[..., 0]
            state = cartpole.move(state, forces[action.numpy().ravel()], cartpole.STEP)
            rewards[:, :, t] = torch.from_numpy(cartpole.reward(state)).view(n, k)
            now = _seen(state, n)
    return Episodes(seen, actions, odds, rewards, now)


def _seen(state: NDArray[np.float64], agents: int) -> torch.Tensor:
    import torch

    return torch.from_numpy(cartpole.observation(state).astype(np.float32)).view(
        agents, -1, cartpole.OBSERVED
    )


def advantages(
    rewards: torch.Tensor, values: torch.Tensor, discount: torch.Tensor, trace: torch.Tensor
) -> torch.Tensor:
    """Generalised advantages (Schulman et al. 2016, equation 16), (agents, environments, length).

    Args:
        rewards: like the result, scaled as the values are.
        values: one more along the length, of the state after the last step: the end of the time is none of
            the world.
        discount: gamma, (agents, 1).
        trace: lambda, (agents, 1).
    """
    import torch

    surprises = rewards + discount[..., None] * values[..., 1:] - values[..., :-1]
    found = torch.empty_like(rewards)
    ahead = torch.zeros_like(rewards[..., 0])
    for t in reversed(range(rewards.shape[2])):
        ahead = surprises[..., t] + discount * trace * ahead
        found[..., t] = ahead
    return found


def objective(
    agents: Agents, batch: Sequence[torch.Tensor], clip: torch.Tensor, entropy: torch.Tensor
) -> torch.Tensor:
    """Each agent's loss on its minibatch (seen, actions, odds, advantages, returns), (agents,).

    The negative of the clipped objective (Schulman et al. 2017, equation 9), the value function's squared
    error in place of its c1.
    """
    import torch

    seen, actions, odds, better, returns = batch
    chances, values = agents.both(seen)
    ratio = (chances.gather(2, actions[..., None])[..., 0] - odds).exp()
    clipped = torch.minimum(torch.maximum(ratio, 1 - clip), 1 + clip)
    gain = torch.minimum(ratio * better, clipped * better).mean(dim=1)
    spread = -(chances.exp() * chances).sum(dim=2).mean(dim=1)
    return (values - returns).square().mean(dim=1) - gain - entropy[:, 0] * spread


def update(agents: Agents, data: Episodes, configs: Sequence[Config], luck: Luck, scale: Scale) -> None:
    """Learn from one update's data."""
    import torch

    n, rows = agents.count, scale.environments * scale.length
    discount, trace = column(configs, "discount"), column(configs, "gae_lambda")
    clip, entropy = column(configs, "clip"), column(configs, "entropy")
    with torch.no_grad():
        values = agents.values(data.seen.reshape(n, rows, -1)).view(n, scale.environments, scale.length)
        values = torch.cat([values, agents.values(data.last)[..., None]], dim=2)
        better = advantages(data.rewards * (1 - discount[..., None]), values, discount, trace)
        returns = (better + values[..., :-1]).view(n, rows)
        better = better.view(n, rows)
        better = (better - better.mean(dim=1, keepdim=True)) / (better.std(dim=1, keepdim=True) + 1e-6)
    flat = [data.actions.view(n, rows), data.odds.view(n, rows), better, returns]
    seen = data.seen.reshape(n, rows, -1)
    for _ in range(scale.epochs):
        order = torch.from_numpy(luck.order(rows))
        for some in order.split(configs[0]["batch_size"], dim=1):
            batch = [torch.take_along_dim(seen, some[..., None], 1), *(one.gather(1, some) for one in flat)]
            agents.learn(objective(agents, batch, clip, entropy).sum())


def column(configs: Sequence[Config], name: str) -> torch.Tensor:
    """A parameter of each agent, (agents, 1)."""
    import torch

    return torch.tensor([float(config[name]) for config in configs])[:, None]


def fit(
    configs: Sequence[Config], repeats: Sequence[int], seed: int, scale: Scale
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Train agents of one shape and batch size, each with its repeat's luck.

    Returns:
        The mean reward per step of each update's episodes, (agents, updates); and of one more, in which the
        agents act as before, (agents,). nan from where an agent's weights are no longer finite.
    """
    luck = Luck(repeats, seed)
    agents = Agents(configs, luck)
    means = np.empty((len(configs), scale.updates + 1))
    for number in range(scale.updates + 1):
        data = act(agents, luck, scale)
        means[:, number] = data.rewards.mean(dim=(1, 2)).numpy()
        sound = data.odds.isfinite().all(dim=2).all(dim=1).numpy()
        means[~sound, number] = np.nan
        if number < scale.updates:
            update(agents, data, configs, luck, scale)
    return means[:, :-1], means[:, -1]


SHAPE: Final = ("units_1", "units_2", "batch_size")  # of agents that can be stacked


def train(configs: Sequence[Config], seed: int, scale: Scale = SCALE, repeats: int = REPEATS) -> Curves:
    """Train each configuration `repeats` times; its curve are the means over the first 1, 2, ... of them."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    last = max(1, scale.updates // 4)
    found = np.empty((3, len(configs), repeats))
    for members in by_shape(configs, SHAPE):
        began = time.perf_counter()
        agents = [configs[number] for number in members for _ in range(repeats)]
        rewards, after = fit(agents, list(range(repeats)) * len(members), seed, scale)
        found[0, members] = 1 - rewards[:, -last:].mean(axis=1).reshape(len(members), repeats)
        found[1, members] = 1 - after.reshape(len(members), repeats)
        found[2, members] = (time.perf_counter() - began) / len(agents)
    torch.set_num_threads(threads)
    counts = np.arange(1, repeats + 1)
    return Curves(found[0].cumsum(axis=1) / counts, found[1].cumsum(axis=1) / counts, found[2])


ENTRIES: Final = {
    "ppo-cartpole": Recipe(
        axes={
            "units_1": Axis((8, 24), "whole"),
            "units_2": Axis((8, 24), "whole"),
            "batch_size": Axis((50, 200), "whole"),
            "learning_rate": Axis((0.001, 0.005, 0.025), "log"),
            "discount": Axis((0.9, 0.98), "linear"),
            "clip": Axis((0.1, 0.3), "linear"),
            "entropy": Axis((0.001, 0.03), "log"),
            "gae_lambda": Axis((0.8, 0.95), "linear"),
        },
        resource="repeats",
        steps=tuple(range(1, REPEATS + 1)),
        train=train,
        group=48,  # all agents of one shape and batch size
        what="PPO agents of 32,000 decisions each, that swing up the cart-pole of benchmarks.problems; "
        "1 - the mean reward per step over the last quarter of training (tests: of episodes after it)",
    )
}
