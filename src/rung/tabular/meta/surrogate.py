"""What a configuration will cost and how it will rank on a table that has not been seen.

Two ridge regressions, fitted from the memory when first asked (some milliseconds): of the logarithm of the
seconds, and of the rank among the table's configurations. Their inputs are a constant for each learner, the
place of each hyperparameter in its range and its square, and the learner's constant times what the table is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from rung.tabular.meta.features import NAMES, Features
from rung.tabular.meta.memory import Array, Memory
from rung.tabular.meta.similarity import scaled, scaling

RIDGE: Final = 1.0  # penalty of all weights, inputs being of size one
_RANKED_BY: Final = (
    "log_rows",
    "log_columns",
    "log_classes",
    "share_categories",
    "share_missing",
    "mean_information",
    "landmark_linear",
    "tree_over_linear",
    "neighbor_over_tree",
)
_PLACES: Final = tuple(NAMES.index(name) for name in _RANKED_BY)


class Prediction(NamedTuple):
    """For each of some configurations: rank from 0, the best, to 1; and seconds of processor time."""

    rank: Array
    seconds: Array


class Surrogate:
    """Fitted on a memory.

    Args:
        memory: with at least one cell that has a score.
    """

    def __init__(self, memory: Memory) -> None:
        self._scale = scaling(memory.features)
        self._layout = _Layout(memory.configurations)
        inputs = self._layout.inputs(memory.configurations)  # (c, p)
        known = np.isfinite(memory.regret) & np.isfinite(memory.seconds)
        ranks = _ranks(memory.regret)
        tables = scaled(memory.features, self._scale)[:, _PLACES]
        sizes = np.array([_size(*row) for row in memory.sizes])
        which = [(i, j) for i in range(len(known)) for j in np.flatnonzero(known[i])]
        rows = np.array([i for i, _ in which], dtype=np.intp)
        columns = np.array([j for _, j in which], dtype=np.intp)
        self._cost = _ridge(
            self._crossed(inputs[columns], sizes[rows]),
            np.log(np.maximum(memory.seconds[rows, columns], 1e-3)),
        )
        self._rank = _ridge(self._crossed(inputs[columns], tables[rows]), ranks[rows, columns])

    def predict(self, features: Features, configurations: Sequence[Mapping[str, Any]]) -> Prediction:
        """Of these configurations, whether the memory has them or not; learners that it lacks are average."""
        inputs = self._layout.inputs(configurations)
        size = np.tile(_size(features.rows, features.width, features.classes), (len(inputs), 1))
        table = np.tile(scaled(features.vector, self._scale)[list(_PLACES)], (len(inputs), 1))
        rank = self._rank(self._crossed(inputs, table))
        seconds = np.exp(self._cost(self._crossed(inputs, size)))
        return Prediction(np.clip(rank, 0.0, 1.0), seconds)

    def _crossed(self, inputs: Array, table: Array) -> Array:
        """The inputs of configurations, of tables, and each learner times what the table is."""
        own = inputs[:, : self._layout.learners]
        products = (own[:, :, None] * table[:, None, :]).reshape(len(inputs), -1)
        return np.hstack([inputs, table, products])


def predicted_seconds(features: Features, memory: Memory) -> Array:
    """(c,) seconds that each of the memory's configurations will take on this table."""
    return Surrogate(memory).predict(features, memory.configurations).seconds


class _Layout:
    """Where the learners' and their hyperparameters' inputs stand."""

    def __init__(self, configurations: Sequence[Mapping[str, Any]]) -> None:
        names = sorted({config["learner"] for config in configurations})
        self.learners = len(names)
        self._learner = {name: i for i, name in enumerate(names)}
        self._ranges: dict[tuple[str, str], tuple[int, float, float, bool]] = {}
        self._width = len(names)
        for name in names:
            self._add([config for config in configurations if config["learner"] == name])

    def _add(self, own: Sequence[Mapping[str, Any]]) -> None:
        for parameter in sorted({name for config in own for name in config} - {"learner"}):
            values = [config[parameter] for config in own if parameter in config]
            if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in values):
                continue
            low, high = min(values), max(values)
            log = low > 0 and high / low > 10
            if high > low:
                ends = (math.log(low), math.log(high)) if log else (float(low), float(high))
                self._ranges[own[0]["learner"], parameter] = (self._width, *ends, log)
                self._width += 2

    def inputs(self, configurations: Sequence[Mapping[str, Any]]) -> Array:
        """(c, p): learner, then place from -1 to 1 and its square of each number."""
        found = np.zeros((len(configurations), self._width))
        for row, config in zip(found, configurations, strict=True):
            if config["learner"] in self._learner:
                row[self._learner[config["learner"]]] = 1.0
            for (learner, parameter), (start, low, high, log) in self._ranges.items():
                if learner == config["learner"] and parameter in config:
                    value = float(config[parameter])
                    value = math.log(max(value, 1e-300)) if log else value
                    place = float(np.clip(2 * (value - low) / (high - low) - 1, -1.5, 1.5))
                    row[start : start + 2] = place, place**2
        return found


class _ridge:  # noqa: N801  # a function that is fitted
    """Least squares with a penalty on all weights but the constant."""

    def __init__(self, X: Array, y: Array) -> None:
        self._center, self._mean = X.mean(axis=0), float(y.mean())
        Z = X - self._center
        self._weights = np.linalg.solve(Z.T @ Z + RIDGE * np.eye(Z.shape[1]), Z.T @ (y - self._mean))

    def __call__(self, X: Array) -> Array:
        return np.asarray(self._mean + (X - self._center) @ self._weights)


def _size(rows: float, width: float, classes: float) -> Array:
    """Logarithms, of size one or so: of the rows, of the columns of a typical matrix, of the classes."""
    tall, wide = math.log(max(rows, 1) / 2_000), math.log(max(width, 1) / 20)
    many = math.log(max(classes, 2) / 2)
    return np.array([tall, wide, many, tall * abs(tall) / 2])


def _ranks(regret: Array) -> Array:
    """(t, c) places of the regrets of each table, 0 the best and 1 the last; ties share theirs."""
    found = np.full(regret.shape, np.nan)
    for row, own in zip(found, regret, strict=True):
        known = np.flatnonzero(np.isfinite(own))
        if len(known) > 1:
            below = (own[known][None, :] < own[known][:, None]).sum(axis=1)
            tied = (own[known][None, :] == own[known][:, None]).sum(axis=1) - 1
            row[known] = (below + tied / 2) / (len(known) - 1)
        elif len(known):
            row[known] = 0.0
    return found
