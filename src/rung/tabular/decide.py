"""From an ensemble's probabilities to better ones, and to labels: a temperature, and factors of the classes.

Both are learned from predictions out of fold, and kept only where they help on rows that did not teach them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rung.tabular.metrics import Metric

LEAST_BINARY = 500  # rows below which a temperature is noise; of several classes each row says more
LEAST_CLASSES = 300
LEAST_LABELS = 20  # rows of the rarest class, below which no factor is learned
_TEMPERATURES = np.exp(np.linspace(np.log(0.5), np.log(2.0), 41))
_FACTORS = np.exp(np.linspace(np.log(0.05), np.log(20.0), 61))
_SWEEPS = 2
_HALVES = 4


def tempered(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """p^(1/T), made to sum to 1 (Guo et al. 2017, section 4.2, from probabilities): (n, k)."""
    if temperature == 1.0:
        return probabilities
    logs = np.log(np.clip(probabilities, 1e-12, 1.0)) / temperature
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def fit_temperature(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    metric: Metric,
    weight: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> float:
    """The temperature that makes the metric best; 1 where it does not help on rows that did not choose it.

    Only for metrics that ask how sure a model is: one that looks at the order of rows alone does not change.
    """
    least = LEAST_BINARY if probabilities.shape[1] == 2 else LEAST_CLASSES
    if metric.needs != "probabilities" or metric.name not in ("log_loss", "brier") or len(y) < least:
        return 1.0

    def losses(rows: NDArray[np.intp]) -> NDArray[np.float64]:
        some = None if weight is None else weight[rows]
        found = [metric.loss(y[rows], tempered(probabilities[rows], t), some) for t in _TEMPERATURES]
        return np.asarray(found)

    middle = len(_TEMPERATURES) // 2
    gains = []
    for one, other in _halves(len(y), seed):
        chosen = int(np.argmin(losses(one)))
        held = losses(other)
        gains.append(held[middle] - held[chosen])
    if np.mean(gains) <= 0 or min(gains) < -np.mean(gains):
        return 1.0
    return float(_TEMPERATURES[int(np.argmin(losses(np.arange(len(y)))))])


def fit_factors(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    metric: Metric,
    weight: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> NDArray[np.float64] | None:
    """Factors of the classes, (k,), so that the most probable class after them makes the metric best.

    For two classes that is a threshold t: the factor of the second is (1 - t) / t. None where there are too
    few rows, or where it does not help on the half that did not choose it.
    """
    k = probabilities.shape[1]
    if metric.needs != "labels" or np.bincount(y, minlength=k).min() < LEAST_LABELS:
        return None
    if metric.name == "accuracy" and len(y) < 10_000:
        return None  # the most probable class is right already, but for noise
    gains = []
    for one, other in _halves(len(y), seed):
        found = _climb(probabilities[one], y[one], metric, _of(weight, one))
        plain = metric.loss(y[other], probabilities[other], _of(weight, other))
        gains.append(plain - metric.loss(y[other], probabilities[other] * found, _of(weight, other)))
    if np.mean(gains) <= 0:
        return None
    return _climb(probabilities, y, metric, weight)


def _climb(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    metric: Metric,
    weight: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """One class's factor after the other, the first staying at 1."""
    k = probabilities.shape[1]
    factors = np.ones(k)
    for _ in range(1 if k == 2 else _SWEEPS):
        for j in range(1, k):
            losses = []
            for factor in _FACTORS:
                factors[j] = factor
                losses.append(metric.loss(y, probabilities * factors, weight))
            best = np.flatnonzero(np.asarray(losses) <= min(losses) + 1e-12)
            factors[j] = _FACTORS[best[len(best) // 2]]  # the middle of what is equally good
    return factors


def _halves(n: int, seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    rng = np.random.default_rng([seed, 43])
    found = []
    for _ in range(_HALVES // 2):
        order = rng.permutation(n)
        found += [(order[: n // 2], order[n // 2 :]), (order[n // 2 :], order[: n // 2])]
    return found


def _of(weight: NDArray[np.float64] | None, rows: NDArray[np.intp]) -> NDArray[np.float64] | None:
    return None if weight is None else weight[rows]


def threshold(factors: NDArray[np.float64] | None) -> float | None:
    """The probability of the second of two classes from which it is said; None for more classes."""
    if factors is None or len(factors) != 2:
        return None
    return float(factors[0] / (factors[0] + factors[1]))
