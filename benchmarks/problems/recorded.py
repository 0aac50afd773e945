"""The recorded tables as problems: `recorded NAME` and `smooth NAME` for every file that is there.

`recorded NAME` is the grid itself, each parameter one of the values that were trained. What is observed is
the validation loss of a recorded seed, which the evaluation's seed picks where more than one was recorded
(for every tenth configuration; the others always give their first). The truth is the mean over these at the
largest resource.

`smooth NAME` is the same table interpolated, numbers in between allowed, for searches that would exhaust a
grid. What is observed is the interpolated mean, and noise of the standard deviation that repeated seeds
have at that step; a seed's luck is one normal number, so that a training that goes on keeps it. As the
interpolation is multilinear, its least value is the grid's.

A job takes the seconds that the training took when it was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np

import rung
from benchmarks.data.tables import Table, open_table, tables
from benchmarks.problems import Problem
from benchmarks.problems.live import domain

EVALUATIONS: Final = 40


def recorded(name: str) -> Problem:
    """The grid."""
    table = open_table(name)
    space = {
        key: rung.Categorical(axis.values) if axis.kind == "choice" else rung.Ordinal(axis.values)
        for key, axis in table.axes.items()
    }
    return _problem(table, space, table.loss)


def smooth(name: str) -> Problem:
    """The interpolated table, with noise."""
    table = open_table(name)

    def value(config: Mapping[str, Any], resource: int, seed: int) -> float:
        luck = float(np.random.default_rng(seed).normal())
        return table.mean(config, resource) + luck * float(np.interp(resource, table.steps, table.noise))

    return _problem(table, {key: domain(axis) for key, axis in table.axes.items()}, value)


def _problem(
    table: Table, space: Mapping[str, Any], value: Callable[[Mapping[str, Any], int, int], float]
) -> Problem:
    resource = table.resource, table.steps[0], table.steps[-1]
    continues = table.about.get("continues", True)
    return Problem(space, value, table.best, resource, EVALUATIONS, table.mean, table.seconds, continues)


ENTRIES: Final[dict[str, Callable[[], Problem]]] = {
    f"{kind} {name}": partial(make, name)
    for kind, make in (("recorded", recorded), ("smooth", smooth))
    for name in tables()
}
