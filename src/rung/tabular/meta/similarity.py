"""Which earlier tables a new one is like: a distance over robustly scaled meta-features.

Nearest tables by meta-features as in Feurer, Springenberg and Hutter (2015), "Initializing Bayesian
hyperparameter optimization via meta-learning", equation 4 (the p-norm), p = 1 by default.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from rung.tabular.meta.features import Features
from rung.tabular.meta.memory import Array, Memory, current

_FARTHEST: Final = 3.0  # deviations: one odd feature must not decide alone


class Neighbor(NamedTuple):
    """An earlier table, and how far it is: the mean of the features' differences, in deviations."""

    name: str
    distance: float


def scaling(features: Array) -> tuple[Array, Array]:
    """Each feature's median and interquartile range, (f,) each; a range of 0 is its deviation, or 1.

    A feature that no table has has centre 0.
    """
    known = np.isfinite(features).any(axis=0)
    filled = np.where(known, features, 0.0)
    low, center, high = np.nanquantile(filled, [0.25, 0.5, 0.75], axis=0)
    spread = high - low
    spread = np.where(spread > 0, spread, np.nanstd(filled, axis=0))
    return center, np.where(spread > 0, spread, 1.0)


def scaled(features: Array, scale: tuple[Array, Array]) -> Array:
    """(..., f) in deviations from the usual, cut at 3; what is not known is taken as usual, 0."""
    deviations = (features - scale[0]) / scale[1]
    return np.clip(np.nan_to_num(deviations, nan=0.0), -_FARTHEST, _FARTHEST)


def distances(features: Features, memory: Memory, norm: int = 1) -> Array:
    """(t,) from a table to each of the memory: (mean |difference|^p)^(1/p) with p = `norm`.

    Raises:
        ValueError: the norm is not 1 or 2.
    """
    if norm not in (1, 2):
        raise ValueError(f"the norm must be 1 or 2, not {norm!r}")
    scale = scaling(memory.features)
    apart = np.abs(scaled(memory.features, scale) - scaled(features.vector, scale))
    return np.asarray((apart**norm).mean(axis=1) ** (1 / norm))


def nearest(features: Features, k: int, memory: Memory | None = None, norm: int = 1) -> list[Neighbor]:
    """The k tables of the memory that are most like this one, the nearest first."""
    known = current() if memory is None else memory
    apart = distances(features, known, norm)
    order = np.argsort(apart, kind="stable")[:k]
    return [Neighbor(known.tables[i], float(apart[i])) for i in order]
