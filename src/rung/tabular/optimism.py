"""How much too good a selected ensemble's score is: selected on one half of the rows, scored on the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.tabular.deadline import Deadline
from rung.tabular.decide import LEAST_LABELS, best_factors
from rung.tabular.ensemble import mix, weigh
from rung.tabular.metrics import Metric

REPEATS = 6
_KEPT = 15  # of the best on a half are candidates, so that their choice is part of what is measured


def optimism(
    predictions: Sequence[NDArray[np.float64]],
    y: NDArray[Any],
    metric: Metric,
    seed: int,
    deadline: Deadline,
    *,
    selector: Metric | None = None,
    factored: bool = False,
) -> float | None:
    """How much worse, in terms of the metric's loss, an ensemble is on rows that did not choose it.

    A half has a half of the rows, and so about twice the optimism of the whole (it falls as 1/n): what is
    returned is halved. None where there is no time, or too few rows.

    Args:
        selector: what weights are chosen by, the metric unless given.
        factored: whether the classes have factors, which are chosen on the same rows, too.

    Source: Cawley and Talbot 2010, on over-fitting in model selection.
    """
    if len(y) < 40 or len(predictions) < 2:
        return None
    learned = np.flatnonzero(np.bincount(y) >= LEAST_LABELS)[1:] if factored else None
    rng = np.random.default_rng([seed, 44])
    gaps: list[float] = []
    for _ in range(REPEATS):
        if gaps and deadline.passed:
            break
        order = rng.permutation(len(y))
        halves = (order[: len(y) // 2], order[len(y) // 2 :])
        for one, other in (halves, halves[::-1]):
            losses = [metric.loss(y[one], p[one]) for p in predictions]
            kept = np.argsort(losses, kind="stable")[:_KEPT]
            some = [predictions[i][one] for i in kept]
            weights = weigh(some, y[one], selector or metric, seed, deadline, bags=2)
            inside, outside = mix(some, weights), mix([predictions[i][other] for i in kept], weights)
            factors = best_factors(inside, y[one], metric, None, deadline, learned) if factored else 1.0
            gaps.append(metric.loss(y[other], outside * factors) - metric.loss(y[one], inside * factors))
    finite = [gap for gap in gaps if np.isfinite(gap)]  # a metric may be undefined of a half
    return max(0.0, float(np.mean(finite)) / 2) if finite else None
