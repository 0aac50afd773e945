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
_ROOT_HALF: Final = math.sqrt(0.5)
_ROOT_HALF_PI: Final = math.sqrt(0.5 * math.pi)
_LEAST: Final = 1e-300
_FARTHEST: Final = 1e6  # deviations, beyond which the first term of the tail's series is all that is left


def log_improvement(z: Floats) -> Floats:
    """The logarithm of E[max(z + Z, 0)], Z standard normal, of any shape.

    Where a variable's mean is m and its deviation d, that and the logarithm of d are the logarithm of the
    expected improvement on b, with z = (b - m) / d.
    """
    lowest = z.min(initial=0.0)
    if lowest > -1.0:
        return _near(z)
    below = np.minimum(z, -1.0)
    # the density less the tail's probability times the distance, over the density: 1 / z**2 far out
    far = below if lowest >= -_FARTHEST else np.maximum(below, -_FARTHEST)
    rest = 1.0 + erfcx(far * -_ROOT_HALF) * far * _ROOT_HALF_PI
    if lowest < -_FARTHEST:
        rest = np.where(below > -_FARTHEST, rest, (1.0 / below) ** 2)
    tail: Floats = np.log(np.maximum(rest, _LEAST)) - 0.5 * below * below - _LOG_SQRT_2PI
    if z.max(initial=-np.inf) <= -1.0:
        return tail
    return np.where(z > -1.0, _near(np.maximum(z, -1.0)), tail)


def _near(z: Floats) -> Floats:
    """The same where no element is below -1."""
    found: Floats = np.log(np.exp(-0.5 * z * z - _LOG_SQRT_2PI) + z * ndtr(z))
    return found


def slope(z: Floats, logs: Floats) -> Floats:
    """The derivative of `log_improvement`, whose values are `logs`."""
    return np.where(z > -1e4, np.exp(log_ndtr(z) - logs), -z)
