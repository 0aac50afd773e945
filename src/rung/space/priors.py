"""From uniform numbers to points of [0, 1] that follow a prior: inverse distribution functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Quantile = Callable[[Floats], Floats]


def truncated_normal_quantile(mean: float, deviation: float) -> Quantile:
    """Of the normal distribution cut off at 0 and 1."""
    from scipy.special import ndtr, ndtri  # 0.2 s to import, for the few spaces that have such a prior

    mirrored = mean < 0.5  # in the lower tail distribution functions keep their digits
    centre = 1.0 - mean if mirrored else mean
    low, high = ndtr((0.0 - centre) / deviation), ndtr((1.0 - centre) / deviation)

    def quantile(u: Floats) -> Floats:
        rank = 1.0 - u if mirrored else u
        x = np.clip(centre + deviation * ndtri(low + rank * (high - low)), 0.0, 1.0)
        return 1.0 - x if mirrored else x

    return quantile


def beta_quantile(alpha: float, beta: float) -> Quantile:
    """Of the beta distribution."""
    from scipy.special import betaincinv

    def quantile(u: Floats) -> Floats:
        found: Floats = betaincinv(alpha, beta, u)
        return found

    return quantile


def weights_quantile(weights: tuple[float, ...]) -> Quantile:
    """Of categories with these weights: the middle of each category's part."""
    bounds = np.cumsum(weights) / np.sum(weights)
    last = max(i for i, weight in enumerate(weights) if weight > 0)

    def quantile(u: Floats) -> Floats:
        level = np.minimum(np.searchsorted(bounds, u, side="right"), last)
        return (level + 0.5) / len(weights)

    return quantile
