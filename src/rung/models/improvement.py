"""How far, on average, a normal variable lies below a bound: as a logarithm, exact however small it is.

Ament et al. (2023, Unexpected Improvements to Expected Improvement for Bayesian Optimization, equation 9).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, ndtr

Floats = NDArray[np.float64]

_LOG_SQRT_2PI: Final = 0.5 * math.log(2.0 * math.pi)
_LOG_SQRT_HALF_PI: Final = 0.5 * math.log(0.5 * math.pi)
_FARTHEST: Final = 1e6  # deviations, beyond which the first term of the tail's series is all that is left


def log_improvement(z: Floats) -> Floats:
    """The logarithm of E[max(z + Z, 0)], Z standard normal, of any shape.

    Where a variable's mean is m and its deviation d, that and the logarithm of d are the logarithm of the
    expected improvement on b, with z = (b - m) / d.
    """
    near = np.maximum(z, -1.0)
    above: Floats = np.log(np.exp(-0.5 * near * near - _LOG_SQRT_2PI) + near * ndtr(near))
    if z.min(initial=0.0) > -1.0:
        return above
    far = np.minimum(np.maximum(z, -_FARTHEST), -1.0)  # `np.clip` takes longer on few numbers
    mills = np.log(erfcx(far * -math.sqrt(0.5)) * -far) + _LOG_SQRT_HALF_PI
    with np.errstate(divide="ignore"):
        tail = np.log(-np.expm1(np.minimum(mills, -1e-14)))
        rest = np.where(z > -_FARTHEST, tail, -2.0 * np.log(np.maximum(-z, 1.0)))
    found: Floats = np.where(z > -1.0, above, -0.5 * z * z - _LOG_SQRT_2PI + rest)
    return found


def slope(z: Floats, logs: Floats) -> Floats:
    """The derivative of `log_improvement`, whose values are `logs`."""
    return np.where(z > -1e4, np.exp(log_ndtr(z) - logs), -z)
