"""Greedy ensemble selection with replacement (Caruana et al. 2004), averaged over bootstrap samples.

Each sample is one of the rows; for the log loss it is one of the members, too, which is the paper's bagging.
A single row may decide there, and who happens to be right on it is not in every sample. Where that is clearly
worse out of fold, as one member is far better than all others, samples have all members.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.deadline import Deadline
from rung.tabular.metrics import Metric

ROUNDS = 25
BAGS = 8
_BAG_ROUNDS = 12
_LEAST = 0.02  # a weight below it is dropped
_MOST_ROWS = 5_000  # looked at in each bootstrap sample
_DRAWN = 0.5  # of the members are in a sample for the log loss, and
_LEAST_DRAWN = 5  # at least: fewer might all be bad
_DIGITS = 9  # of a usual loss: where two differ in later ones alone, they are a tie
_CLEARLY = 0.03  # of what equal probabilities lose; within the noise of selecting it is under half of that


def select(
    predictions: NDArray[np.float64],
    y: NDArray[np.float64],
    metric: Metric,
    rounds: int = ROUNDS,
    weight: NDArray[np.float64] | None = None,
) -> NDArray[np.intp]:
    """Add, `rounds` times, the member that makes the mean best, and keep the best prefix.

    Args:
        predictions: (m, n) or (m, n, k).
        y: (n,).
        weight: (n,) of the rows.

    Returns:
        (m,) how often each was taken; a tie goes to one already in, then to the first.
    """
    counts = np.zeros(len(predictions), dtype=np.intp)
    total = np.zeros(predictions.shape[1:])
    taken: list[int] = []
    losses: list[float] = []
    digits = _digits(y, metric, weight)
    for size in range(1, rounds + 1):
        scores = [round(metric.loss(y, (total + p) / size, weight), digits) for p in predictions]
        best = min(range(len(scores)), key=lambda i: (scores[i], counts[i] == 0, i))
        counts[best] += 1
        total += predictions[best]
        taken.append(best)
        losses.append(scores[best])
    keep = int(np.argmin(losses)) + 1
    return np.bincount(taken[:keep], minlength=len(predictions))


def _digits(y: NDArray[np.float64], metric: Metric, weight: NDArray[np.float64] | None) -> int:
    """Decimal places to which losses are compared; of values by what the mean loses, as they have a unit."""
    usual = metric.loss(y, np.full(len(y), y.mean()), weight) if metric.needs == "values" else 1.0
    return _DIGITS - math.ceil(math.log10(usual)) if 0 < usual < math.inf else _DIGITS


def weigh(  # what decides on weights
    predictions: Sequence[NDArray[np.float64]],
    y: NDArray[np.float64],
    metric: Metric,
    seed: int,
    deadline: Deadline,
    weight: NDArray[np.float64] | None = None,
    bags: int = BAGS,
) -> NDArray[np.float64]:
    """Weights of the members, (m,), that sum to 1: the mean over bootstrap samples of what is selected.

    Stops early, with fewer samples, at the deadline; one is always drawn.

    Args:
        bags: samples; twice as many more where members are drawn, too.
    """
    stacked = np.stack(predictions)
    plain = _averaged(stacked, y, metric, seed, deadline, weight, _Bags(bags, len(stacked)))
    drawn = _drawn(metric, len(stacked))
    if drawn == len(stacked):
        return plain
    careful = _averaged(stacked, y, metric, seed, deadline, weight, _Bags(2 * bags, drawn))
    if deadline.passed:  # a few samples of a half may all lack the best
        return plain
    loss, usual = (metric.loss(y, mix(predictions, w), weight) for w in (careful, plain))
    return plain if loss - usual > _CLEARLY * np.log(stacked.shape[-1]) else careful


class _Bags(NamedTuple):
    """So many samples, with so many members each."""

    samples: int
    members: int


def _averaged(  # what decides on weights
    stacked: NDArray[np.float64],
    y: NDArray[np.float64],
    metric: Metric,
    seed: int,
    deadline: Deadline,
    weight: NDArray[np.float64] | None,
    bags: _Bags,
) -> NDArray[np.float64]:
    """The mean over samples of the rows and of the members."""
    rng = np.random.default_rng([seed, 41])
    m, size = len(stacked), min(len(y), _MOST_ROWS)
    weights = np.zeros(m)
    for bag in range(bags.samples):
        if bag and deadline.passed:
            break
        rows = rng.choice(len(y), size)
        some = None if weight is None else weight[rows]
        ones = np.arange(m)
        if bags.members < m:
            ones = np.sort(rng.choice(m, bags.members, replace=False))
        counts = select(stacked[ones][:, rows], y[rows], metric, _BAG_ROUNDS, some)
        weights[ones] += counts / counts.sum()
    weights /= weights.sum()
    weights[weights < min(_LEAST, weights.max())] = 0.0
    return np.asarray(weights / weights.sum())


def _drawn(metric: Metric, members: int) -> int:
    """How many of so many members are in a sample."""
    if metric.name != "log_loss":
        return members
    return min(members, max(_LEAST_DRAWN, round(_DRAWN * members)))


def mix(predictions: Sequence[NDArray[np.float64]], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weighted mean."""
    total = np.zeros_like(predictions[0])
    for weight, prediction in zip(weights, predictions, strict=True):
        if weight:
            total = total + weight * prediction
    return total
