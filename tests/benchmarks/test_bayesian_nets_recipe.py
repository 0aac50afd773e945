"""SGHMC's chains: their stationary distribution, a chain alone, a chain in torch's usual way, lost chains."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from benchmarks.data.tables.recipes._tables import Part, Split
from benchmarks.data.tables.record import configurations
from scipy.linalg import solve_discrete_lyapunov
from scipy.special import logsumexp

torch = pytest.importorskip("torch", reason="needs the gp extra")

from benchmarks.data.tables.recipes import bayesian_nets, recipe  # noqa: E402

CONFIGS = [
    {"units": 6, "step_length": 1e-2, "burn_in": 0.0, "momentum_decay": 0.05},
    {"units": 6, "step_length": 1e-3, "burn_in": 0.4, "momentum_decay": 0.2},
    {"units": 6, "step_length": 3e-2, "burn_in": 0.8, "momentum_decay": 0.8},
]
STEPS = (20, 40, 100)


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Split:
    """A small table; chains of 100 steps, of which every tenth is kept."""
    monkeypatch.setattr(bayesian_nets, "STEPS", STEPS)
    monkeypatch.setattr(bayesian_nets, "EVERY", 10)
    rng = np.random.default_rng(0)

    def part(rows: int) -> Part:
        x = rng.normal(size=(rows, 4)).astype(np.float32)
        y = np.sin(x[:, 0]) + 0.5 * x[:, 1] + 0.1 * rng.normal(size=rows)
        return Part(x, y.astype(np.float32))

    return Split(part(60), part(40), part(30), 0)


def test_chains_sample_a_gaussian_of_any_mean_and_variance() -> None:
    """With short steps the stationary distribution is the one whose energy it is, wherever chains begin."""
    mean, deviation = torch.tensor([[2.0], [-3.0]]), torch.tensor([[0.5], [1.5]])
    generator = torch.Generator().manual_seed(0)
    weights, velocities = [torch.full((2, 4000), 7.0)], [torch.zeros(2, 4000)]
    lengths, decays = torch.tensor([0.001, 0.01]), torch.tensor([0.1, 0.1])
    seen = []
    for step in range(3000):
        gradient = (weights[0] - mean) / deviation**2
        bayesian_nets.hamiltonian_step(weights, velocities, [gradient], lengths, decays, generator)
        if step > 1500 and step % 50 == 0:
            seen.append(weights[0].clone())
    samples = torch.stack(seen)  # (times, 2, 4000)
    np.testing.assert_allclose(samples.mean(dim=(0, 2)), mean[:, 0], atol=0.03)
    np.testing.assert_allclose(samples.std(dim=(0, 2)), deviation[:, 0], rtol=0.03)


@pytest.mark.parametrize(("length", "decay"), [(0.5, 0.3), (1.0, 0.8), (0.2, 0.05)])
def test_long_steps_have_the_variance_that_algebra_gives(length: float, decay: float) -> None:
    """Of energy x^2 / 2 a step is linear in (x, v): its stationary covariance solves Lyapunov's equation."""
    move = np.array([[1 - length, 1 - decay], [-length, 1 - decay]])
    shock = np.full((2, 2), 2 * decay * length)
    expected = solve_discrete_lyapunov(move, shock)
    generator = torch.Generator().manual_seed(1)
    weights, velocities = [torch.zeros(1, 20000)], [torch.zeros(1, 20000)]
    constants = torch.tensor([length]), torch.tensor([decay])
    seen = []
    for step in range(600):
        bayesian_nets.hamiltonian_step(weights, velocities, [weights[0].clone()], *constants, generator)
        if step >= 300 and step % 10 == 0:
            seen.append(torch.stack([weights[0][0], velocities[0][0]]))
    found = np.cov(torch.cat(seen, dim=1).numpy())
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02)


def test_a_chain_does_not_depend_on_its_company(data: Split) -> None:
    configs = [*CONFIGS, CONFIGS[1] | {"burn_in": 0.0}]  # the last shares its chain
    together = bayesian_nets._chains(configs, 6, data, 5)
    for number, config in enumerate(configs):
        alone = bayesian_nets._chains([config], 6, data, 5)
        np.testing.assert_allclose(together.losses[number], alone.losses[0], rtol=1e-3)
        np.testing.assert_allclose(together.tests[number], alone.tests[0], rtol=1e-3)
    assert (together.seconds > 0).all()
    other = bayesian_nets._chains(configs, 6, data, 6)
    assert not np.allclose(together.losses, other.losses, rtol=1e-3)


def ordinary(data: Split, config: dict[str, Any], seed: int) -> tuple[list[float], list[float]]:
    """One chain of torch's modules and distributions: its losses on the validation and the test part."""
    generator = torch.Generator().manual_seed(seed)
    linears = []
    for inputs, outputs in pairwise((4, 6, 6, 1)):
        linear = torch.nn.Linear(inputs, outputs)
        linear.weight.data = (torch.randn(inputs, outputs, generator=generator) / inputs**0.5).T.contiguous()
        linear.bias.data.zero_()
        linears.append(linear)
    net = torch.nn.Sequential(linears[0], torch.nn.Tanh(), linears[1], torch.nn.Tanh(), linears[2])
    noise = torch.tensor(math.log(0.3), requires_grad=True)
    parameters = [*net.parameters(), noise]
    velocities = [torch.zeros_like(one) for one in parameters]
    (x, y), *others = ([torch.from_numpy(one) for one in part] for part in data[:3])
    length, decay = config["step_length"] / len(x), config["momentum_decay"]
    kept: list[list[Any]] = [[], []]
    for step in range(1, STEPS[-1] + 1):
        rows = torch.randint(len(x), (bayesian_nets.BATCH,), generator=generator)
        likelihood = torch.distributions.Normal(net(x[rows])[:, 0], noise.exp()).log_prob(y[rows])
        prior = sum(torch.distributions.Normal(0.0, 1.0).log_prob(one).sum() for one in parameters)
        slopes = torch.autograd.grad(-len(x) * likelihood.mean() - prior, parameters)
        for one, velocity, slope in zip(parameters, velocities, slopes, strict=True):
            shape = one.shape[::-1] if one.ndim == 2 else (1, *one.shape) if one.ndim else (1,)
            shock = torch.randn(shape, generator=generator).T if one.ndim == 2 else torch.randn(
                shape, generator=generator
            ).reshape(one.shape)  # fmt: skip
            velocity.copy_((1 - decay) * velocity - length * slope + (2 * decay * length) ** 0.5 * shock)
            one.data.add_(velocity)
        if step % 10 == 0:
            with torch.no_grad():
                for found, (xs, ys) in zip(kept, others, strict=True):
                    normal = torch.distributions.Normal(net(xs)[:, 0], noise.exp())
                    found.append(normal.log_prob(ys).numpy())
    return tuple(_mixtures(np.array(found, float), config["burn_in"]) for found in kept)


def _mixtures(densities: Any, burn_in: float) -> list[float]:
    losses = []
    for steps in STEPS:
        after = densities[round(burn_in * steps / 10 - 0.499) : steps // 10]  # rounded down
        losses.append(-float(np.mean(logsumexp(after, axis=0) - np.log(len(after)))))
    return losses


@pytest.mark.parametrize("config", CONFIGS)
def test_a_chain_is_what_the_paper_s_update_gives(data: Split, config: dict[str, Any]) -> None:
    curves = bayesian_nets._chains([config], 6, data, 3)
    losses, tests = ordinary(data, config, 3)
    np.testing.assert_allclose(curves.losses[0], losses, rtol=2e-3)
    np.testing.assert_allclose(curves.tests[0], tests, rtol=2e-3)


def test_a_chain_that_diverges_is_nan_from_there_on_and_alone(data: Split) -> None:
    wild = CONFIGS[0] | {"step_length": 1e4}
    curves = bayesian_nets._chains([wild, CONFIGS[1]], 6, data, 0)
    assert np.isnan(curves.losses[0]).all()
    assert np.isfinite(curves.losses[1]).all()


def test_widths_that_are_trained_apart_come_back_in_order(
    data: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bayesian_nets, "split", lambda name, regression, sizes: data)
    configs = [CONFIGS[0], CONFIGS[1] | {"units": 3}, CONFIGS[2]]
    curves = bayesian_nets.train(configs, 2, "none", (60, 40, 30))
    for number, config in enumerate(configs):
        alone = bayesian_nets._chains([config], config["units"], data, 2)
        np.testing.assert_allclose(curves.losses[number], alone.losses[0], rtol=1e-3)


@pytest.mark.parametrize("name", ["bnn-housing", "bnn-protein"])
def test_the_spaces_are_the_paper_s(name: str) -> None:
    made = recipe(name)
    assert set(made.axes) == {"units", "step_length", "burn_in", "momentum_decay"}
    assert (made.resource, made.steps[0], made.steps[-1]) == ("step", 500, 10000)
    assert all(steps % bayesian_nets.EVERY == 0 for steps in made.steps)
    assert made.continues
    assert len(configurations(made)) == 560
    repeated = configurations(made)[::10]
    for key, axis in made.axes.items():
        assert {config[key] for config in repeated} == set(axis.values)
