"""The trust region of TuRBO-1 (Eriksson et al. 2019, Scalable Global Optimization via Local Bayesian Opt.).

Section 3.1 and the authors' constants: a box around the best point, of side `length` times the model's
lengthscales over their geometric mean; twice as wide after 3 successes in a row, half as wide after as many
failures as there are parameters (4 at least), and begun anew below 2**-7. A success improves on the best by
more than a thousandth of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

Floats = NDArray[np.float64]

FIRST: Final = 0.8
LEAST: Final = 0.5**7
MOST: Final = 1.6
SUCCESSES: Final = 3
_BETTER: Final = 1e-3  # of the best: what an improvement must exceed
_MOVED: Final = 20  # parameters that a candidate differs from the centre in, about


class Region(NamedTuple):
    """How wide the region is, and what has happened at this width."""

    length: float = FIRST
    successes: int = 0
    failures: int = 0
    best: float = math.inf

    @property
    def over(self) -> bool:
        """Whether it is so narrow that a new one must begin."""
        return self.length < LEAST

    def told(self, value: float, tolerance: int) -> Region:
        """After a result of a configuration from inside; `inf` for a failed one.

        Args:
            tolerance: failures in a row after which it is halved, see `tolerance`.
        """
        return self.counted(improves(value, self.best), min(value, self.best), tolerance)

    def counted(self, success: bool, best: float, tolerance: int) -> Region:
        """After a result that is a success or not."""
        length = self.length
        successes, failures = (self.successes + 1, 0) if success else (0, self.failures + 1)
        if successes == SUCCESSES:
            length, successes = min(2.0 * length, MOST), 0
        elif failures == tolerance:
            length, failures = length / 2.0, 0
        return Region(length, successes, failures, best)


def improves(value: float, best: float) -> bool:
    """Whether `value` is a success beside the best so far."""
    return value < best if math.isinf(best) else value < best - _BETTER * abs(best)


def tolerance(dimensions: int) -> int:
    """Failures in a row after which a region is halved, results being counted one by one."""
    return max(4, dimensions)


def replayed(values: Iterable[float], first: int, dimensions: int) -> Region:
    """The region after `values` in the order they came, of which the `first` only set the best.

    One that is over begins anew at its first width, and keeps the best.
    """
    region, limit = Region(), tolerance(dimensions)
    for number, value in enumerate(values):
        if number < first:
            region = region._replace(best=min(value, region.best))
        else:
            region = region.told(value, limit)
            if region.over:
                region = Region(best=region.best)
    return region


def box(centre: Floats, length: float, scales: Floats) -> tuple[Floats, Floats]:
    """The least and the largest corner, within the unit cube, of the region around `centre` (v,).

    Args:
        scales: (v,) the model's lengthscales.
    """
    logs = np.log(scales)
    half = 0.5 * length * np.exp(logs - logs.mean())
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def perturbed(
    centre: Floats, low: Floats, high: Floats, count: int, generator: np.random.Generator
) -> Floats:
    """Scrambled Sobol points between `low` and `high` (d,), taken over by `centre` in most dimensions.

    Each dimension is a Sobol point's with probability min(1, 20 / d), in one at least (section 3.1, and the
    authors' supplement D).

    Returns:
        (count, d) array.
    """
    d = len(centre)
    sobol = qmc.Sobol(d, scramble=True, seed=int(generator.integers(2**31)))
    drawn = low + (high - low) * sobol.random(1 << (count - 1).bit_length())[:count]
    mask = generator.random((count, d)) <= min(1.0, _MOVED / d)
    none = np.flatnonzero(~mask.any(axis=1))
    mask[none, generator.integers(d, size=len(none))] = True
    return np.where(mask, drawn, centre)
