"""From an ensemble's probabilities to better ones: a temperature, and intercepts of the classes; to labels:
factors of the classes; from values of a quantile to better ones: a shift.

All are learned from predictions out of fold; factors are kept only where they help on rows that did not
teach them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rung.tabular.deadline import Deadline
from rung.tabular.metrics import METRICS, Metric
from rung.tabular.pipeline import constant

LEAST_ROWS = 50  # below which a temperature is noise
WHOLE = 0.3  # prior of the temperature's logarithm for an ensemble, which is nearly calibrated, and
SINGLE = 1.0  # for one model: boosting that stops early is often too unsure, a Bayesian one too sure
INTERCEPT = 0.2  # prior of a class's intercept: a log-odds of so much is likely before rows have said more
LEAST_BEYOND = 10  # rows on the rarer side of a quantile, below which no shift is learned
LEAST_LABELS = 20  # rows of a class, below which its factor is not learned from them
_MOST_TOLD = 500_000  # probabilities that intercepts are fitted to, at most: some of many rows
_LOGARITHMS = (-1.4, 1.4)  # of temperatures, 0.25 to 4
_PROPER = {
    "log_loss": "log_loss",
    "d2_log_loss_score": "log_loss",
    "brier": "brier",
    "d2_brier_score": "brier",
}
"""Metrics that ask how sure a model is, and the one that is best where they are."""
_BY_SHARE = (0.0, 0.5, 1.0)  # powers of the classes' shares by which probabilities are divided
_FACTORS = np.exp(np.linspace(np.log(0.05), np.log(20.0), 61))
_SWEEPS = 2
_ORDERED = ("auc", "auc_ovr", "average_precision")
_HALVES = 4
_NEVER = Deadline()
_MOST_LABELS = 5e7  # rows times factors that are tried in one climb: of many classes some rows are looked at


def tempered(
    probabilities: NDArray[np.float64], temperature: float, intercepts: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """p^(1/T) exp(b), made to sum to 1 (Guo et al. 2017, section 4.2, from probabilities): (n, k).

    Args:
        intercepts: (k,) the b of each class; 0 unless given.
    """
    if temperature == 1.0 and intercepts is None:
        return probabilities
    logs = np.log(np.clip(probabilities, 1e-12, 1.0)) / temperature
    if intercepts is not None:
        logs += intercepts
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def fit_temperature(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    metric: Metric,
    weight: NDArray[np.float64] | None = None,
    *,
    prior: float = WHOLE,
    most: int | None = None,
) -> float:
    """The most likely temperature: what the rows say, and that 1 is likely before they have said anything.

    Only for metrics that ask how sure a model is: one that looks at the order of rows alone does not change.

    Args:
        prior: standard deviation of the temperature's logarithm before the rows are seen.
        most: rows that are looked at, evenly spaced; all unless given.
    """
    if metric.name not in _PROPER or len(y) < LEAST_ROWS:
        return 1.0
    from scipy.optimize import minimize_scalar

    judge = METRICS[_PROPER[metric.name]]
    some = slice(None, None, 1 if most is None else max(1, len(y) // most))
    p, of, w = probabilities[some], y[some], None if weight is None else weight[some]
    rows = len(of) if w is None else float(np.sum(w)) ** 2 / max(float(np.sum(w**2)), 1e-300)
    if not rows:
        return 1.0

    def cost(log: float) -> float:
        return rows * judge.loss(of, tempered(p, float(np.exp(log))), w) + 0.5 * (log / prior) ** 2

    found = minimize_scalar(cost, bounds=_LOGARITHMS, method="bounded", options={"xatol": 0.01})
    return float(np.exp(found.x)) if found.fun < cost(0.0) else 1.0


def fit_intercepts(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    metric: Metric,
    weight: NDArray[np.float64] | None = None,
) -> NDArray[np.float64] | None:
    """The most likely intercepts of the classes, (k,), which bring their mean probabilities to their shares.

    A temperature moves these: what makes a model less sure makes rare classes more probable. Intercepts are
    likely to be near 0 before the rows have said anything. Of many rows some are looked at, evenly spaced.
    None for too few, and for metrics that do not ask how sure a model is.
    """
    if metric.name not in _PROPER or len(y) < LEAST_ROWS:
        return None
    from scipy.optimize import minimize

    some = slice(None, None, max(1, probabilities.size // _MOST_TOLD))
    logs, of = np.log(np.clip(probabilities[some], 1e-12, 1.0)), y[some]
    own = np.ones(len(of)) if weight is None else np.asarray(weight[some], dtype=np.float64)
    if not own.sum():
        return None
    own = own * (own.sum() / (own @ own))  # they sum to as many rows as they are worth
    there = np.bincount(of, own, minlength=logs.shape[1])

    def cost(b: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        moved = logs + b
        most = moved.max(axis=1, keepdims=True)
        odds = np.exp(moved - most)
        total = odds.sum(axis=1)
        told = own @ (np.log(total) + most[:, 0]) - there @ b
        return told + 0.5 * (b @ b) / INTERCEPT**2, (own / total) @ odds - there + b / INTERCEPT**2

    found = minimize(cost, np.zeros(logs.shape[1]), jac=True, method="L-BFGS-B").x
    return np.asarray(found, dtype=np.float64)


def sure_by(metric: Metric, classes: int) -> Metric:
    """What the whole model's temperature is fitted by: the log loss too, where the metric is the same at any.

    So it is for metrics of labels, and for the order of rows by the probability of the second of two classes.
    """
    ordered = classes == 2 and metric.name in _ORDERED
    return METRICS["log_loss"] if ordered or metric.needs == "labels" else metric


def fit_shift(
    residuals: NDArray[np.float64], quantile: float, weight: NDArray[np.float64] | None = None
) -> float:
    """What to add to predictions of a quantile, so that its share of the rows lies below them.

    Of all constants it is the one of the least pinball loss (Koenker and Bassett 1978, section 2). 0 where
    too few rows lie on one side to tell.

    Args:
        residuals: (n,) truths less predictions, of rows that the model had not seen.
    """
    if len(residuals) * min(quantile, 1.0 - quantile) < LEAST_BEYOND:
        return 0.0
    return float(constant(residuals, 0, weight, quantile).prediction)


def fit_factors(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    metric: Metric,
    weight: NDArray[np.float64] | None = None,
    seed: int = 0,
    deadline: Deadline = _NEVER,
) -> NDArray[np.float64] | None:
    """Factors of the classes, (k,), so that the most probable class after them makes the metric best.

    For two classes that is a threshold t: the factor of the second is (1 - t) / t. Classes of few rows get a
    power of their share, as all do to begin with: 1 over it is right for balanced accuracy (Elkan 2001, the
    foundations of cost-sensitive learning, theorem 2). None where that does not help, where there are too few
    rows in all, or where the deadline comes first.
    """
    counts = np.bincount(y, minlength=probabilities.shape[1])
    if metric.needs != "labels" or (counts.min() < LEAST_LABELS and len(y) < LEAST_ROWS):
        return None
    if metric.name == "accuracy" and len(y) < 10_000:
        return None  # the most probable class is right already, but for noise
    learned = np.flatnonzero(counts >= LEAST_LABELS)[1:]
    most = int(_MOST_LABELS / (_SWEEPS * max(1, len(learned)) * len(_FACTORS)))
    if len(y) > most:
        some = np.random.default_rng([seed, 44]).choice(len(y), most, replace=False)
        probabilities, y, weight = probabilities[some], y[some], _of(weight, some)
    begin = np.ones(len(counts))
    if counts.min() < LEAST_LABELS:
        begin = _by_share(probabilities, y, metric, weight)
    probabilities = probabilities * begin
    gains = []
    for one, other in _halves(len(y), seed):
        found = best_factors(probabilities[one], y[one], metric, _of(weight, one), deadline, learned)
        plain = metric.loss(y[other], probabilities[other], _of(weight, other))
        gains.append(plain - metric.loss(y[other], probabilities[other] * found, _of(weight, other)))
    factors = begin
    if np.mean(gains) > 0:
        factors = begin * best_factors(probabilities, y, metric, weight, deadline, learned)
    return None if deadline.passed or (factors == factors[0]).all() else factors


def _by_share(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    metric: Metric,
    weight: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Factors of all classes by their shares, (k,), the power of which is the best of a few on these rows."""
    counts = np.maximum(np.bincount(y, weight, minlength=probabilities.shape[1]), 1e-12)
    counts[np.bincount(y, minlength=len(counts)) == 0] = counts.sum()  # of a class that no row is of
    tried = [(counts / counts.max()) ** -power for power in _BY_SHARE]
    return min(tried, key=lambda factors: metric.loss(y, probabilities * factors, weight))


def best_factors(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    metric: Metric,
    weight: NDArray[np.float64] | None = None,
    deadline: Deadline = _NEVER,
    learned: NDArray[np.intp] | None = None,
) -> NDArray[np.float64]:
    """Those that are best on these rows, (k,): one class's after the other, the others staying at 1.

    The last ones stay at 1, too, after the deadline.

    Args:
        learned: whose factors are looked for: of all classes but the first unless given.
    """
    factors = np.ones(probabilities.shape[1])
    classes = np.arange(1, len(factors)) if learned is None else learned
    for _ in range(1 if len(classes) == 1 else _SWEEPS):
        for j in classes:
            if deadline.passed:
                return factors
            losses = [
                metric.loss(y, said, weight)
                for said in _labels(probabilities[:, j], probabilities * factors, j)
            ]
            best = np.flatnonzero(np.asarray(losses) <= min(losses) + 1e-12)
            factors[j] = _FACTORS[best[len(best) // 2]]  # the middle of what is equally good
    return factors


def _labels(own: NDArray[np.float64], weighed: NDArray[np.float64], j: int) -> Iterator[NDArray[np.intp]]:
    """What is said, (n,), with each of the factors of class `j`; the best of the others is found but once.

    Args:
        own: (n,) probabilities of the class; `weighed` are those of all, (n, k), after their factors.
    """
    weighed[:, j] = -1.0
    other = weighed.argmax(axis=1)
    most = weighed[np.arange(len(other)), other]
    for factor in _FACTORS:
        mine = own * factor
        yield np.where((mine > most) | ((mine == most) & (j < other)), j, other)  # a tie is the first's


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
