"""L-BFGS within bounds, SciPy's, as models are fitted by it and acquisitions climbed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import fmin_l_bfgs_b

Floats = NDArray[np.float64]
Slope = Callable[[Floats], tuple[Floats, Floats]]  # of rows (b, k): values (b,) and their gradient (b, k)


def descend(
    function: Callable[[Floats], tuple[float, Floats]], begin: Floats, bounds: Floats, iterations: int
) -> Floats:
    """Where L-BFGS gets from `begin` (v,), between `bounds` (v, 2); `begin` where it finds no finite numbers.

    Args:
        function: value and gradient (v,).
    """
    most = iterations + iterations // 2
    found, _, _ = fmin_l_bfgs_b(function, begin, bounds=bounds.tolist(), maxiter=iterations, maxfun=most)
    return np.asarray(found, dtype=np.float64) if np.isfinite(found).all() else begin


def uphill(
    slope: Slope,
    x: Floats,
    free: NDArray[np.bool_],
    bounds: tuple[Floats, Floats],
    iterations: int,
    extra: Slope | None = None,
) -> Floats:
    """Rows of `x` (b, k) moved up `slope`, each along its `free` (b, k) numbers, all in one search.

    Args:
        bounds: (k,) the least and the largest.
        extra: to be added to `slope`.
    """
    moved = x.copy()
    if not free.any():
        return moved
    low, high = (np.broadcast_to(bound, x.shape)[free] for bound in bounds)

    def falls(flat: Floats) -> tuple[float, Floats]:
        moved[free] = flat
        value, steep = slope(moved)
        if extra is not None:
            more, steeper = extra(moved)
            value, steep = value + more, steep + steeper
        return -float(value.sum()), -np.nan_to_num(steep[free])

    moved[free] = descend(falls, np.clip(x[free], low, high), np.stack([low, high], axis=1), iterations)
    return moved
