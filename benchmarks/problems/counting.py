"""Stochastic counting ones of any size (Falkner et al. 2018, 5.1), a noisy mixed problem, a misleading one.

Counting ones d + d: as many categorical as continuous parameters; a continuous one is a coin's probability,
and each evaluation sees the mean of as many draws as its budget, 9 to 729. The least value is -2 d.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np

import rung
from benchmarks.problems import Problem
from benchmarks.problems.synthetic import SYNTHETIC, counting_ones, drawn_ones, mixed

SIZES: Final = (4, 8, 16, 32)  # of each kind
_NOISE: Final = 0.05


def counting(size: int) -> Problem:
    """Of so many categorical and so many continuous parameters."""
    zeros_and_ones = {f"c{i}": rung.Categorical([0, 1]) for i in range(size)}
    coins = {f"x{i}": rung.Float(0.0, 1.0) for i in range(size)}
    return Problem(
        zeros_and_ones | coins,
        drawn_ones,
        -2.0 * size,
        ("draws", 9, 729),
        evaluations=100,
        truth=counting_ones,
    )


def noisy_mixed() -> Problem:
    """Numbers, whole numbers and categories that interact, seen through noise."""

    def value(config: Mapping[str, Any], resource: int, seed: int) -> float:
        return mixed(config) + _NOISE * float(np.random.default_rng(seed).normal())

    return SYNTHETIC["mixed"]._replace(value=value, truth=mixed)


ENTRIES: Final[dict[str, Callable[[], Problem]]] = {
    **{f"counting ones {size}+{size}": partial(counting, size) for size in SIZES},
    "noisy mixed": noisy_mixed,
}
