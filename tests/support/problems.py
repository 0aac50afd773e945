"""Test functions with known optima, over spaces of several kinds, and a search over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks.problems.synthetic import branin, conditional, counting_ones, hartmann6

import rung


class Problem(NamedTuple):
    """A space, a function to minimise over it, its least value."""

    space: Any
    function: Callable[[Mapping[str, Any]], float]
    optimum: float


def sphere(config: Mapping[str, Any]) -> float:
    return sum((value - 0.3) ** 2 for value in config.values())


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
