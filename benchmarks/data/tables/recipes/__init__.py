"""Recipes of the recorded tables: what was trained, on what, with which settings.

Each module has `ENTRIES`, from a table's name to its `Recipe`. torch, LightGBM and scikit-learn are
imported in functions only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.entries import collect, pick


class Axis(NamedTuple):
    """One parameter of a table: the values that were trained.

    Attributes:
        values: in order.
        kind: "log" or "linear" for numbers between which the table may be interpolated (in that scale),
            "whole" for whole numbers (interpolated in logarithm), "choice" for categories.
    """

    values: tuple[Any, ...]
    kind: str


class Curves(NamedTuple):
    """What training gave, (configurations, epochs) each; a training that failed has `nan` from there on.

    Attributes:
        losses: on the validation part, least is best; what a tuner sees.
        tests: the same on the test part.
        seconds: that each epoch took.
    """

    losses: NDArray[np.float64]
    tests: NDArray[np.float64]
    seconds: NDArray[np.float64]


class Recipe(NamedTuple):
    """How a table is made.

    Attributes:
        axes: by parameter; the table holds their full grid.
        resource: the name of its fidelity, such as "epoch".
        steps: the resources at which values were recorded, ascending whole numbers.
        train: `train(configs, seed)`, the curves of some configurations, trained for real. Groups come
            sorted by the grid's order, `group` at once.
        group: configurations trained together.
        what: one sentence: model, data (source and licence), split, loss.
        seeds: of all configurations the first; of every tenth all of them, so that the noise is known.
        continues: whether a training goes on from a smaller resource; if not, a step's seconds are those of
            the whole training to it, and a job from a to b takes those of b.
    """

    axes: Mapping[str, Axis]
    resource: str
    steps: tuple[int, ...]
    train: Callable[[Sequence[Mapping[str, Any]], int], Curves]
    group: int
    what: str
    seeds: tuple[int, ...] = (0, 1, 2)
    continues: bool = True


@cache
def recipes() -> Mapping[str, Recipe]:
    """All recipes, by name."""
    return collect(sys.modules[__name__])


def recipe(name: str) -> Recipe:
    """The recipe of this name; ValueError if there is none."""
    found: Recipe = pick(recipes(), name, "table")
    return found
