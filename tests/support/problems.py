"""Test functions with known optima, over spaces of several kinds, and a search over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import rung


class Problem(NamedTuple):
    """A space, a function to minimise over it, its least value."""

    space: Any
    function: Callable[[Mapping[str, Any]], float]
    optimum: float


def branin(config: Mapping[str, Any]) -> float:
    x, y = config["x"], config["y"]
    curve = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return curve**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(config: Mapping[str, Any]) -> float:
    x = np.array([config[f"x{i}"] for i in range(6)])
    return -float(np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-(_A * (x - _P) ** 2).sum(axis=1)))


def sphere(config: Mapping[str, Any]) -> float:
    return sum((value - 0.3) ** 2 for value in config.values())


def conditional(config: Mapping[str, Any]) -> float:
    """The better branch has the narrower optimum."""
    shared = (config["shared"] - 0.7) ** 2
    if config["kind"] == "wide":
        return 0.2 + shared + 0.1 * (config["a"] - 0.2) ** 2
    if config["kind"] == "narrow":
        return shared + 4 * (math.log10(config["b"]) + 2) ** 2 / 9 + 0.05 * abs(config["n"] - 4)
    return 1.0 + shared


def counting_ones(config: Mapping[str, Any]) -> float:
    """BOHB, 5.1, without noise: minus the sum of 4 categories and 4 numbers."""
    return -float(sum(config.values()))


BRANIN = Problem({"x": rung.Float(-5, 10), "y": rung.Float(0, 15)}, branin, 0.39788735772973816)
HARTMANN6 = Problem({f"x{i}": rung.Float(0, 1) for i in range(6)}, hartmann6, -3.32236801141551)
CONDITIONAL = Problem(
    {
        "shared": rung.Float(0, 1),
        "kind": rung.Choice(
            {
                "wide": {"a": rung.Float(0, 1)},
                "narrow": {"b": rung.Float(1e-5, 1, log=True), "n": rung.Integer(1, 10)},
                "none": {},
            }
        ),
    },
    conditional,
    0.0,
)
COUNTING_ONES = Problem(
    {f"c{i}": rung.Categorical([0, 1]) for i in range(4)} | {f"x{i}": rung.Float(0, 1) for i in range(4)},
    counting_ones,
    -8.0,
)


def sphere_of(dimensions: int) -> Problem:
    return Problem({f"x{i}": rung.Float(0, 1) for i in range(dimensions)}, sphere, 0.0)


def best_value(problem: Problem, sampler: Any, trials: int, seed: int, scheduler: Any = "plain") -> float:
    """What a sequential search without fidelities finds."""
    result = rung.tune(
        problem.function, problem.space, sampler=sampler, scheduler=scheduler, trials=trials, seed=seed
    )
    return result.best.value
