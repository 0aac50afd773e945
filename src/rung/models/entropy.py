"""Expected improvement, and what an observation would tell about where the minimum is (entropy search).

Hennig & Schuler 2012: p_min is the probability of each of some representer points to be the lowest; the
gain of an observation is by how much the entropy of p_min falls, on average over what may be observed.
p_min is estimated by joint samples of the function there. A sample is conditioned on an observation by
Matheron's rule: it moves along the posterior covariance, by how far the observation is from the sample's own
value. The same samples serve for all observations that are compared, so that their differences have little
noise.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from rung.models import improvement
from rung.models.gaussian import cholesky

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

SAMPLES: Final = 192
OUTCOMES: Final = 5  # of an observation: nodes of Gauss-Hermite quadrature
_BLOCK: Final = 2_000_000  # numbers worked on at once


def log_improvement(means: Floats, variances: Floats, best: float) -> Floats:
    """(n,) its logarithm; finite, and in the right order, also where the improvement is below 1e-300."""
    deviations = np.sqrt(variances)
    logs: Floats = improvement.log_improvement((best - means) / deviations) + np.log(deviations)
    return logs


def probability_below(means: Floats, variances: Floats, bound: float) -> Floats:
    """(n,) probabilities to be below `bound`."""
    logs: Floats = log_ndtr((bound - means) / np.sqrt(variances))
    return np.exp(logs)


def entropy(counts: Floats) -> Floats:
    """(...,) entropies in nats of the distributions in proportion to `counts` (..., z)."""
    shares = counts / counts.sum(axis=-1, keepdims=True)
    logs = np.log(np.where(shares > 0.0, shares, 1.0))
    found: Floats = -(shares * logs).sum(axis=-1)
    return found


def information_gain(
    means: Floats,
    covariance: Floats,
    cross: Floats,
    variances: Floats,
    generator: np.random.Generator,
    samples: int = SAMPLES,
) -> Floats:
    """(c,) expected fall of the entropy of p_min by each of c observations.

    Args:
        means, covariance: (z,) and (z, z), of the function at the representer points.
        cross: (c, z) covariance of each observation with the function there.
        variances: (c,) of each observation, its noise included.
    """
    root = cholesky(covariance)
    white = generator.standard_normal((samples, len(means)))
    alone = generator.standard_normal((samples, 1))
    functions = means + white @ root.T  # (s, z)
    loads = np.linalg.solve(root, cross.T)  # (z, c)
    rest = np.sqrt(np.maximum(variances - (loads * loads).sum(axis=0), 0.0))
    own = white @ loads + rest * alone  # (s, c) each observation in each sample, less its mean
    slopes = (cross / variances[:, None]).astype(np.float32)
    deviations = np.sqrt(variances).astype(np.float32)
    paths, moves = functions.astype(np.float32), own.astype(np.float32)  # from here on only compared
    gains = np.empty(len(cross))
    now = entropy(np.bincount(functions.argmin(axis=1), minlength=len(means)).astype(float))
    size = max(1, _BLOCK // (samples * len(means)))
    for first in range(0, len(cross), size):
        block = slice(first, first + size)
        gains[block] = now - _expected_entropy(paths, moves[:, block], slopes[block], deviations[block])
    return gains


def _expected_entropy(functions: Singles, own: Singles, slopes: Singles, deviations: Singles) -> Floats:
    """(c,) entropies after each observation, on average over its outcomes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(OUTCOMES)
    weights = weights / weights.sum()
    count, points = slopes.shape
    offsets = np.arange(count) * points
    total = np.zeros(count)
    for node, weight in zip(nodes, weights, strict=True):
        moved = (
            functions[:, None, :] + (np.float32(node) * deviations - own)[:, :, None] * slopes
        )  # (s, c, z)
        lowest = moved.argmin(axis=2) + offsets
        counts = np.bincount(lowest.ravel(), minlength=count * points).reshape(count, points)
        total += weight * entropy(counts.astype(float))
    return total
