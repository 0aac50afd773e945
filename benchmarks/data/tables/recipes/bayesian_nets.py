"""Bayesian neural nets sampled by stochastic gradient Hamiltonian Monte Carlo: BOHB's experiment (5.3).

Two hidden layers of tanh units and a Gaussian likelihood whose variance is learnt, too. The update is that of
Chen, Fox and Guestrin (2014, equation 15): v <- (1 - a) v - e g + N(0, 2 a e), w <- w + v, with g the
gradient of minus the logarithm of the posterior on a batch, as of all rows; a is the momentum's decay, e the
step length over the number of rows. Four parameters: step length, burn-in as a share of the steps, units,
momentum decay.

A sample is kept every `EVERY` steps. For a budget of b steps, those after the burn-in's share of b predict
together: a mixture of Gaussians, whose mean negative log-likelihood on the validation part is the loss, in
units of the standardised target. So the same chain serves all budgets, and a training goes on.

Chains of one width are run together, stacked along a leading axis: they begin alike and see the same batches
and normal numbers, all drawn from the seed, so that a chain doesn't depend on what it is grouped with.
Configurations that differ in the burn-in alone are one chain, run once; its seconds are its share of the
stack's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.tables.recipes import Axis, Curves, Recipe
from benchmarks.data.tables.recipes._tables import Split, split
from benchmarks.data.tables.recipes._together import trained

if TYPE_CHECKING:
    from torch import Tensor

STEPS: Final = (500, 650, 850, 1150, 1500, 1950, 2550, 3350, 4400, 5800, 7600, 10000)
EVERY: Final = 50  # steps, between samples
BATCH: Final = 20
_PRIOR: Final = 1.0  # precision of the weights' prior
_WORST: Final = 20.0  # a chain whose loss is larger has failed


def train(configs: Sequence[Mapping[str, Any]], seed: int, table: str, sizes: tuple[int, int, int]) -> Curves:
    """All chains of one number of units together."""
    import torch

    torch.set_num_threads(1)
    data = split(table, True, sizes)
    return trained(
        configs,
        ("units",),
        len(STEPS),
        lambda some: _chains(some, int(some[0]["units"]), data, seed),
    )


def _chains(configs: Sequence[Mapping[str, Any]], units: int, data: Split, seed: int) -> Curves:
    import torch

    chains: dict[tuple[float, float], int] = {}
    for config in configs:
        chains.setdefault((config["step_length"], config["momentum_decay"]), len(chains))
    chain_of = [chains[config["step_length"], config["momentum_decay"]] for config in configs]
    burns = [config["burn_in"] for config in configs]
    k, n = len(chains), len(data.train.x)
    generator = torch.Generator().manual_seed(seed)
    weights = _first(k, data.train.x.shape[1], units, generator)
    velocities = [torch.zeros_like(one) for one in weights]
    lengths, decays = torch.tensor(list(chains)).T
    x, y = torch.from_numpy(data.train.x), torch.from_numpy(data.train.y)
    samples: tuple[list[NDArray[np.float64]], ...] = ([], [])
    clock = np.zeros(len(STEPS))
    began = time.perf_counter()
    for step in range(1, STEPS[-1] + 1):
        rows = torch.randint(n, (BATCH,), generator=generator)
        energy = _energy(weights, x[rows], y[rows], n).sum()
        gradients = torch.autograd.grad(energy, weights)
        hamiltonian_step(weights, velocities, gradients, lengths / n, decays, generator)
        if step % EVERY == 0:
            for part, kept in zip((data.valid, data.test), samples, strict=True):
                kept.append(_densities(weights, torch.from_numpy(part.x), torch.from_numpy(part.y)))
        if step in STEPS:
            clock[STEPS.index(step)] = (time.perf_counter() - began) / k
    losses, tests = (_losses(np.stack(kept)[:, chain_of], burns) for kept in samples)
    return Curves(losses, tests, np.tile(np.diff(clock, prepend=0.0), (len(configs), 1)))


def hamiltonian_step(
    weights: Sequence[Tensor],
    velocities: Sequence[Tensor],
    gradients: Sequence[Tensor],
    lengths: Tensor,
    decays: Tensor,
    generator: object,
) -> None:
    """One step of every chain, in place; equation 15 of Chen et al. (2014), without a noise estimate.

    Args:
        lengths, decays: (k,), the others have (k, ...) each.
    """
    import torch

    with torch.no_grad():
        for one, velocity, gradient in zip(weights, velocities, gradients, strict=True):
            shape = (-1, *[1] * (one.ndim - 1))
            length, decay = lengths.view(shape), decays.view(shape)
            noise = torch.randn(one.shape[1:], generator=generator)  # type: ignore[call-overload]
            velocity.mul_(1.0 - decay).sub_(length * gradient).add_(noise * (2.0 * decay * length).sqrt())
            one.add_(velocity)


def _first(k: int, inputs: int, units: int, generator: object) -> list[Tensor]:
    """Weights and biases (k, in, out), (k, 1, out) of three layers, and the logarithm of the noise (k, 1)."""
    import torch

    found = []
    for a, b in ((inputs, units), (units, units), (units, 1)):
        normal = torch.randn((a, b), generator=generator) / math.sqrt(a)  # type: ignore[call-overload]
        found += [normal.expand(k, a, b).clone(), torch.zeros(k, 1, b)]
    return [one.requires_grad_() for one in (*found, torch.full((k, 1), math.log(0.3)))]


def _predict(weights: Sequence[Tensor], x: Tensor) -> Tensor:
    """The means at rows (n, f): (k, n)."""
    import torch

    hidden = x.expand(len(weights[0]), *x.shape)
    for number in (0, 2):
        hidden = torch.tanh(torch.baddbmm(weights[number + 1], hidden, weights[number]))
    return torch.baddbmm(weights[5], hidden, weights[4])[:, :, 0]


def _energy(weights: Sequence[Tensor], x: Tensor, y: Tensor, n: int) -> Tensor:
    """Minus the logarithm of the posterior density on a batch, as of n rows, up to a constant: (k,)."""
    import torch

    noise = weights[6].clamp(-6.0, 3.0)
    residuals = (y - _predict(weights, x)) * torch.exp(-noise)
    likelihood = n * (0.5 * residuals**2 + noise).mean(dim=1)
    prior = sum(0.5 * _PRIOR * (one**2).flatten(1).sum(dim=1) for one in weights)
    return likelihood + prior


def _densities(weights: Sequence[Tensor], x: Tensor, y: Tensor) -> NDArray[np.float64]:
    """The logarithm of the density of each row under each chain's weights of now, (k, n)."""
    import torch

    with torch.no_grad():
        noise = weights[6].clamp(-6.0, 3.0)
        residuals = (y - _predict(weights, x)) * torch.exp(-noise)
        found: NDArray[np.float64] = (
            (-0.5 * residuals**2 - noise - 0.5 * math.log(2 * math.pi)).double().numpy()
        )
        return found


def _losses(densities: NDArray[np.float64], burns: Sequence[float]) -> NDArray[np.float64]:
    """(chains, budgets) from log-densities (samples, chains, rows); nan where a chain was lost."""
    found = np.full((densities.shape[1], len(STEPS)), np.nan)
    for budget, steps in enumerate(STEPS):
        count = steps // EVERY
        for chain, burn in enumerate(burns):
            kept = densities[min(int(burn * count + 1e-9), count - 1) : count, chain]
            with np.errstate(invalid="ignore"):  # densities of a lost chain are nan
                loss = -float(np.mean(np.logaddexp.reduce(kept, axis=0) - math.log(len(kept))))
            if loss < _WORST:  # nan isn't
                found[chain, budget] = loss
    # A chain that was lost at a budget is lost at those beyond.
    lost = np.logical_or.accumulate(np.isnan(found), axis=1)
    return np.where(lost, np.nan, found)


def _recipe(table: str, sizes: tuple[int, int, int], source: str) -> Recipe:
    axes = {
        "units": Axis((10, 20, 40, 80), "whole"),
        "burn_in": Axis((0.0, 0.2, 0.4, 0.6, 0.8), "linear"),
        "momentum_decay": Axis((0.01, 0.05, 0.2, 0.8), "log"),
        # Seven and last: with ten, the repeats' stride, it has no divisor in common, so that they have all.
        "step_length": Axis((1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 1e-1, 1.0), "log"),
    }
    return Recipe(
        axes,
        "step",
        STEPS,
        partial(train, table=table, sizes=sizes),
        140,  # all chains of one width
        f"Bayesian nets of two hidden layers by SGHMC on {source}: {sizes[0]:,} rows for training, "
        f"{sizes[1]:,} for validation, {sizes[2]:,} for testing; negative log-likelihood",
    )


ENTRIES: Final = {
    "bnn-housing": _recipe("housing", (300, 100, 106), "Boston housing"),
    "bnn-protein": _recipe("protein", (1000, 300, 300), "protein (UCI's CASP)"),
}
