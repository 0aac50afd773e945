"""The recorded tables' problems, trained anew at each evaluation: `live NAME` for every recipe.

A configuration need not lie on the table's grid. What was trained is kept as long as the process lives, so
that a job that goes on from a checkpoint finds its curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np

import rung
from benchmarks.data.tables.recipes import Axis, Curves, Recipe, recipe, recipes
from benchmarks.problems import Problem


def domain(axis: Axis) -> Any:
    """The domain of a parameter between the least and the largest value of its axis."""
    low, high = axis.values[0], axis.values[-1]
    if axis.kind == "choice":
        return rung.Categorical(axis.values)
    if axis.kind == "whole":
        return rung.Integer(low, high, log=low > 0)
    return rung.Float(low, high, log=axis.kind == "log")


class Live:
    """Trains a recipe's configurations when they are first asked for."""

    def __init__(self, made: Recipe) -> None:
        self._made = made
        self._curves: dict[tuple[Any, ...], Curves] = {}

    def value(self, config: Mapping[str, Any], resource: int, seed: int) -> float:
        """The validation loss at a resource, `inf` where training failed."""
        loss = float(self._of(config, seed).losses[0, self._step(resource)])
        return loss if math.isfinite(loss) else math.inf

    def truth(self, config: Mapping[str, Any]) -> float:
        """The loss at the largest resource, of seed 0."""
        return self.value(config, self._made.steps[-1], 0)

    def cost(self, config: Mapping[str, Any], start: int, until: int) -> float:
        """The seconds that its training took from one resource to another, of seed 0."""
        seconds = self._of(config, 0).seconds[0]
        steps = [step for step, resource in enumerate(self._made.steps) if start < resource <= until]
        if not self._made.continues:  # a budget's seconds are those of all of its training
            steps = steps[-1:]
        return float(np.nansum(seconds[steps])) + 1e-6

    def _of(self, config: Mapping[str, Any], seed: int) -> Curves:
        key = (*config.values(), seed % len(self._made.seeds))
        if key not in self._curves:
            self._curves[key] = self._made.train([config], key[-1])
        return self._curves[key]

    def _step(self, resource: int) -> int:
        return max(0, int(np.searchsorted(self._made.steps, resource, side="right")) - 1)


def make(name: str) -> Problem:
    """The problem of a recipe; `Unavailable` where its data is missing shows at the first evaluation."""
    made = recipe(name)
    live = Live(made)
    middle = {key: axis.values[len(axis.values) // 2] for key, axis in made.axes.items()}
    live.value(middle, made.steps[0], 0)  # says at once what is missing
    return Problem(
        {key: domain(axis) for key, axis in made.axes.items()},
        live.value,
        0.0,
        (made.resource, made.steps[0], made.steps[-1]),
        10,
        live.truth,
        live.cost,
        made.continues,
    )


ENTRIES: Final[dict[str, Callable[[], Problem]]] = {f"live {name}": partial(make, name) for name in recipes()}
