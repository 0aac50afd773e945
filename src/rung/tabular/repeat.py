"""Cross-validation once more, with other folds, for an ensemble's members: where time is left for it.

On small tables the score of one cross-validation depends on the folds as much as on the configuration.
Further ones average that out of the weights, and their models join the members'.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.evaluate import Outcome, Saved, evaluate, quietly
from rung.tabular.pipeline import Pipeline
from rung.tabular.splits import make_split

MOST_ROWS = 5_000  # with more the folds matter little
MOST = 4  # further cross-validations
_MARGIN = 1.3  # of the time that the first one took


class Repeated(NamedTuple):
    """What further cross-validations gave: `times` of them.

    Attributes:
        saved: the members with the mean of their predictions.
        pipelines: by trial, those of the further folds.
    """

    saved: list[Saved]
    pipelines: dict[int, list[Pipeline]]
    times: int


NOTHING = Repeated([], {}, 0)


def repeat(
    dataset: Dataset,
    members: Sequence[tuple[Saved, dict[str, Any]]],
    threads: int,
    deadline: Deadline,
    most: int = MOST,
) -> Repeated:
    """Evaluate each member, given with its configuration, on further splits as long as the time allows.

    Args:
        most: further splits at most.
    """
    split = dataset.split
    whole = [(one, config) for one, config in members if one.rows >= len(dataset)]
    if split.number < 2 or split.moments is not None or len(dataset) > MOST_ROWS or not whole:
        return NOTHING
    needed = _MARGIN * max(sum(one.seconds for one, _ in whole) / threads, max(o.seconds for o, _ in whole))
    totals: list[NDArray[np.float64]] = [one.prediction.copy() for one, _ in whole]
    pipelines: dict[int, list[Pipeline]] = {one.trial: [] for one, _ in whole}
    times = 0
    while times < min(most, MOST) and needed < deadline.remaining:
        other = _with_other_folds(dataset, times + 1)
        if other is None:
            break
        for i, outcome in enumerate(_evaluated(other, whole, threads, deadline)):
            totals[i] += outcome.prediction
            pipelines[whole[i][0].trial] += outcome.pipelines
        times += 1
    if not times:
        return NOTHING
    return Repeated(_averaged(dataset, whole, totals, times + 1), pipelines, times)


def _with_other_folds(dataset: Dataset, number: int) -> Dataset | None:
    """The dataset with folds drawn anew; None where other rows would be held out."""
    split = dataset.split
    y = np.asarray(dataset.y, dtype=np.float64)
    seed = dataset.seed + 7919 * number
    other = make_split(y, dataset.classes, split.number, 0.2, seed, split.groups)
    same = np.array_equal(other.folds >= 0, split.folds >= 0)
    return replace(dataset, split=replace(split, folds=other.folds)) if same else None


def _evaluated(
    dataset: Dataset,
    members: Sequence[tuple[Saved, dict[str, Any]]],
    threads: int,
    deadline: Deadline,
) -> list[Outcome]:
    def one(member: tuple[Saved, dict[str, Any]]) -> Outcome:
        saved, config = member
        return evaluate(dataset, config, len(dataset), saved.trial + 1, deadline)

    with quietly(), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, members))


def _averaged(
    dataset: Dataset,
    members: Sequence[tuple[Saved, dict[str, Any]]],
    totals: Sequence[NDArray[np.float64]],
    count: int,
) -> list[Saved]:
    valid = dataset.split.validation(len(dataset))
    found = []
    for (one, _), total in zip(members, totals, strict=True):
        prediction = total / count
        score = dataset.judge.score(dataset.y[valid], prediction, dataset.weights(valid))
        found.append(one._replace(prediction=prediction, score=score))
    return found
