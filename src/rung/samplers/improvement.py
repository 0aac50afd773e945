"""Expected improvement, and losses made fit for a model of it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri

from rung.models import improvement

Floats = NDArray[np.float64]

FLOOR: Final = 1e-4  # the part of their range below which differences of losses lose weight
_WIDE: Final = 100.0  # of the losses that stay, in distances of the 75 % quantile from the best
_TINY: Final = 1e-12  # the least variance
_LEAST: Final = -36.0  # of a logarithm of one minus a number that rounding brings to 1


def log_improvement(best: float, mean: Floats, variance: Floats) -> Floats:
    """The logarithm of E[max(0, best - Y)] for a normal Y, exact far into the tails.

    Args:
        mean, variance: (n,); a variance of 0 counts as a tiny one.
    """
    deviation = np.sqrt(np.maximum(variance, _TINY))
    logs: Floats = improvement.log_improvement((best - mean) / deviation) + np.log(deviation)
    return logs


def log_improvement_of_exp(best: float, mean: Floats, variance: Floats) -> Floats:
    """The logarithm of E[max(0, exp(best) - exp(Y))] for a normal Y, where losses' logarithms are modelled.

    Hutter et al. 2009, "An experimental investigation of model-based parameter optimisation", section 5.2;
    where that is too small for a float, it falls on with z, the distance in standard deviations.

    Args:
        mean, variance: (n,); a variance of 0 counts as a tiny one.
    """
    deviation = np.sqrt(np.maximum(variance, _TINY))
    z = (best - mean) / deviation
    terms = log_ndtr(np.stack([z, z - deviation]))
    rest = mean + 0.5 * variance - best + terms[1] - terms[0]  # log of the second term over the first
    with np.errstate(divide="ignore"):
        share = np.log(-np.expm1(np.minimum(rest, 0.0)))
    total: Floats = best + terms[0] + np.maximum(share, _LEAST)
    return total


def normal_scores(losses: Floats) -> Floats:
    """Losses (n,) as quantiles of a normal, by rank; equal ones get the mean of theirs; all finite."""
    _, inverse, counts = np.unique(losses, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    rank = (last - 0.5 * (counts + 1))[inverse]  # from 0, the mean of equal ones
    return np.asarray(ndtri((rank + 0.5) / len(losses)), dtype=np.float64)


def log_scaled(losses: Floats, floor: float = FLOOR) -> Floats:
    """Losses (n,) on a logarithmic scale that begins below the best, as in SMAC 3: finite.

    It begins as far below the best as the 5 % quantile is above it, but at least `floor` of the losses'
    range: else, as a search closes in on one value, differences in its last digits would outweigh all others.
    """
    x = _cut(losses)
    low, high = float(x.min()), float(x.max())
    if high == low:
        return np.zeros(len(x))
    below = low - max(float(np.quantile(x, 0.05)) - low, floor * (high - low))
    scaled: Floats = np.log((x - below) / (high - below))
    return scaled


def standardised(losses: Floats) -> Floats:
    """Losses (n,) of mean 0 and standard deviation 1; zeros if all are equal."""
    x = _cut(losses)
    x -= x.mean()
    scaled: Floats = x / (float(x.std()) or 1.0)
    return scaled


def _cut(losses: Floats) -> Floats:
    """Losses (n,) with those very far above most others cut off, in a unit in which they are at most 1.

    One huge loss would make all others equal. What is less far stays: how bad the worse regions are, and how
    sure that is, tells a search that has closed in on a value where else to look.
    """
    x = losses / (float(np.abs(losses).max()) or 1.0)
    low, most = float(x.min()), float(np.quantile(x, 0.75))
    if most > low:
        x = np.minimum(x, low + _WIDE * (most - low))
    return x / (float(np.abs(x).max()) or 1.0)
