"""A metric over two parameters: values at scattered points, smoothed onto a grid."""

from __future__ import annotations

from typing import Final

import numpy as np

from rung.analysis.data.values import Floats

SIDE: Final = 40  # cells
FAR: Final = 0.12  # of the unit square: beyond it from every trial nothing is known


def smoothed(x: Floats, y: Floats, values: Floats, width: float | None = None) -> Floats:
    """(SIDE, SIDE) the mean around each cell's centre, weighted by a Gaussian; NaN far from all points.

    Args:
        x, y: (n,) in [0, 1]; the result's rows go up along y.
        values: (n,).
        width: the Gaussian's; narrower where there are more points, if it is not given.
    """
    if width is None:
        width = float(np.clip(0.35 * len(x) ** (-1 / 3), 0.03, 0.12))
    centres = (np.arange(SIDE) + 0.5) / SIDE
    across = np.exp(-0.5 * ((centres[:, None] - x) / width) ** 2)  # (SIDE, n)
    up = np.exp(-0.5 * ((centres[:, None] - y) / width) ** 2)
    weight = up @ across.T
    mean: Floats = (up * values) @ across.T / np.maximum(weight, 1e-12)
    mean[weight < np.exp(-0.5 * (max(FAR, 2 * width) / width) ** 2)] = np.nan
    return mean
