"""PPO's training: against its definitions, against ordinary PPO in torch, and against learning nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.data.tables.recipes import recipes
from benchmarks.data.tables.recipes import reinforcement as ppo
from benchmarks.data.tables.recipes._together import by_shape
from benchmarks.data.tables.record import configurations
from benchmarks.problems import _cartpole as cartpole

torch = pytest.importorskip("torch", reason="needs the gp extra")

SHAPE = {"units_1": 6, "units_2": 5, "batch_size": 8}
CONFIGS = [
    SHAPE | {"learning_rate": 0.01, "discount": 0.9, "clip": 0.1, "entropy": 0.01, "gae_lambda": 0.8},
    SHAPE | {"learning_rate": 0.03, "discount": 0.98, "clip": 0.3, "entropy": 0.1, "gae_lambda": 0.95},
]
TINY = ppo.Scale(updates=3, environments=2, length=9, epochs=2)


def nets(agents: ppo.Agents, row: int) -> Any:
    """One net of a stack in torch's usual way."""
    layers: list[Any] = []
    for weight, bias in zip(agents.weights[::2], agents.weights[1::2], strict=True):
        linear = torch.nn.Linear(*weight.shape[1:])
        linear.weight.data = weight[row].detach().T.clone()
        linear.bias.data = bias[row, 0].detach().clone()
        layers += [linear, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


def episodes(policy: Any, luck: ppo.Luck, scale: ppo.Scale) -> tuple[Any, ...]:
    """Of one agent, environment by environment: (environments, length, ...)."""
    drawn, noise = luck.uniform(scale.length, scale.environments)[0], luck.normal(4, scale.environments)[0]
    found: list[list[Any]] = []
    for place in range(scale.environments):
        state = cartpole.hanging(noise[:, place : place + 1].copy())
        rows = []
        for t in range(scale.length):
            seen = torch.tensor(cartpole.observation(state)[0], dtype=torch.float32)
            chances = torch.distributions.Categorical(logits=policy(seen), validate_args=False)
            action = int((np.float32(drawn[t, place]) > chances.probs.cumsum(0)[:-1].detach().numpy()).sum())
            odds = chances.log_prob(torch.tensor(action)).detach()
            force = np.array([cartpole.FORCES[action] * cartpole.STANDARD.force])
            state = cartpole.move(state, force, cartpole.STEP)
            rows.append((seen, torch.tensor(action), odds, torch.tensor(cartpole.reward(state)[0]).float()))
        last = torch.tensor(cartpole.observation(state)[0], dtype=torch.float32)
        found.append([*(torch.stack(part) for part in zip(*rows, strict=True)), last])
    return tuple(torch.stack(part) for part in zip(*found, strict=True))


def alone(config: dict[str, Any], repeat: int, seed: int, scale: ppo.Scale) -> list[float]:
    """Ordinary PPO of one agent: the mean reward of each update's episodes."""
    luck = ppo.Luck([repeat], seed)
    agents = ppo.Agents([config], luck)
    policy, critic = nets(agents, 0), nets(agents, 1)
    adam = torch.optim.Adam([*policy.parameters(), *critic.parameters()], lr=config["learning_rate"])
    means, discount = [], config["discount"]
    for _ in range(scale.updates):
        seen, actions, odds, rewards, last = episodes(policy, luck, scale)
        means.append(float(rewards.mean()))
        with torch.no_grad():
            values = torch.cat([critic(seen)[..., 0], critic(last)[:, :1]], dim=1)
        better = torch.zeros_like(rewards)
        for t in range(scale.length):  # the definition: discounted surprises from there on
            for later in range(t, scale.length):
                surprise = (1 - discount) * rewards[:, later] + discount * values[:, later + 1]
                weight = (discount * config["gae_lambda"]) ** (later - t)
                better[:, t] += weight * (surprise - values[:, later])
        returns = (better + values[:, :-1]).flatten()
        better = ((better - better.mean()) / (better.std() + 1e-6)).flatten()
        seen, actions, odds = seen.flatten(0, 1), actions.flatten(), odds.flatten()
        for _ in range(scale.epochs):
            order = torch.from_numpy(luck.order(len(odds))[0])
            for some in order.split(config["batch_size"]):
                chances = torch.distributions.Categorical(logits=policy(seen[some]), validate_args=False)
                ratio = (chances.log_prob(actions[some]) - odds[some]).exp()
                clipped = ratio.clamp(1 - config["clip"], 1 + config["clip"])
                gain = torch.min(ratio * better[some], clipped * better[some]).mean()
                wrong = torch.nn.functional.mse_loss(critic(seen[some])[:, 0], returns[some])
                adam.zero_grad()
                (wrong - gain - config["entropy"] * chances.entropy().mean()).backward()
                adam.step()
    return means


def test_stacked_agents_train_as_each_alone() -> None:
    rewards, _ = ppo.fit(CONFIGS * 2, [0, 0, 1, 1], 5, TINY)
    np.testing.assert_allclose(rewards[0], alone(CONFIGS[0], 0, 5, TINY), atol=1e-5)
    np.testing.assert_allclose(rewards[3], alone(CONFIGS[1], 1, 5, TINY), atol=1e-5)
    assert not np.allclose(rewards[0], rewards[2])
    assert not np.allclose(rewards[0, 1:], rewards[1, 1:])


def test_the_last_value_counts_as_time_is_no_end_of_the_world() -> None:
    rewards, values = torch.zeros(1, 1, 1), torch.tensor([[[0.25, 1.0]]])
    found = ppo.advantages(rewards, values, torch.tensor([[0.5]]), torch.tensor([[0.9]]))
    assert float(found) == pytest.approx(0.5 * 1.0 - 0.25)


def test_at_lambda_1_advantages_are_returns_less_values() -> None:
    rng = np.random.default_rng(0)
    rewards = torch.tensor(rng.random((1, 1, 9)))
    values = torch.tensor(rng.random((1, 1, 10)))
    one = torch.ones(1, 1, dtype=torch.float64)
    found = ppo.advantages(rewards, values, one, one)
    expected = rewards.flip(2).cumsum(2).flip(2) + values[..., -1:] - values[..., :-1]
    np.testing.assert_allclose(found, expected)


def test_the_curve_is_the_mean_over_the_first_repeats() -> None:
    curves = ppo.train(CONFIGS, 0, TINY, 3)
    assert curves.losses.shape == (2, 3)
    rewards, _ = ppo.fit([CONFIGS[1]] * 3, [0, 1, 2], 0, TINY)
    last = 1 - rewards[:, -1]
    np.testing.assert_allclose(curves.losses[1], [last[0], last[:2].mean(), last.mean()], atol=1e-5)
    np.testing.assert_array_equal(curves.losses, ppo.train(CONFIGS, 0, TINY, 3).losses)
    assert not np.array_equal(curves.losses, ppo.train(CONFIGS, 1, TINY, 3).losses)
    assert (curves.seconds > 0).all()


def test_different_shapes_come_back_in_their_places() -> None:
    other = CONFIGS[0] | {"units_1": 3}
    mixed = ppo.train([CONFIGS[0], other, CONFIGS[1]], 0, TINY, 2)
    np.testing.assert_allclose(mixed.losses[[0, 2]], ppo.train(CONFIGS, 0, TINY, 2).losses, atol=1e-5)
    np.testing.assert_allclose(mixed.losses[[1]], ppo.train([other], 0, TINY, 2).losses, atol=1e-5)


def test_agents_learn_to_lift_the_rod() -> None:
    config = {"units_1": 16, "units_2": 16, "batch_size": 50, "learning_rate": 0.01, "discount": 0.95}
    config |= {"clip": 0.2, "entropy": 0.003, "gae_lambda": 0.9}
    rewards, _ = ppo.fit([config] * 2, [0, 1], 0, ppo.Scale(updates=10))
    assert (rewards[:, -3:].mean(axis=1) > rewards[:, 0] + 0.1).all()


def test_an_agent_that_diverges_is_nan_and_alone() -> None:
    wild = CONFIGS[0] | {"learning_rate": 1e38}
    curves = ppo.train([wild, CONFIGS[1]], 0, TINY, 2)
    assert np.isnan(curves.losses[0]).all()
    assert np.isfinite(curves.losses[1]).all()


def test_the_table_is_a_full_grid_of_eight_parameters() -> None:
    made = recipes()["ppo-cartpole"]
    grid = configurations(made)
    assert len(made.axes) == 8
    assert len(grid) >= 256
    assert made.steps == tuple(range(1, 10))
    groups = [grid[start : start + made.group] for start in range(0, len(grid), made.group)]
    assert all(len(by_shape(group, ppo.SHAPE)) == 1 for group in groups)
