"""Cross-validation once more, with other folds, for an ensemble's members: where time is left for it.

On small tables the score of one cross-validation depends on the folds as much as on the configuration.
Further ones average that out of the weights, and their models join the members'. Weights are chosen among
means of as many predictions each: one of several is better than a single one, whatever the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular import interrupts
from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.evaluate import Outcome, Saved, evaluate, quietly
from rung.tabular.pipeline import Pipeline
from rung.tabular.splits import make_split

MOST_ROWS = 5_000  # with more the folds matter little
MOST = 4  # further cross-validations
_MARGIN = 1.3  # of the time that the first one took


class Repeated(NamedTuple):
    """What further cross-validations gave: at most `times` of them for each member.

    Attributes:
        saved: the members with the mean of their predictions, of as many as each of them has.
        pipelines: by trial, those of the further folds.
        each: by trial, these predictions one by one, the first cross-validation's first.
    """

    saved: list[Saved]
    pipelines: dict[int, list[Pipeline]]
    times: int
    each: Mapping[int, list[NDArray[np.float64]]]


NOTHING = Repeated([], {}, 0, {})


def repeat(
    dataset: Dataset,
    members: Sequence[tuple[Saved, dict[str, Any]]],
    threads: int,
    deadline: Deadline,
    most: int = MOST,
) -> Repeated:
    """Evaluate members, given with their configurations, on further splits as long as the time allows: those
    that take long only where all others leave time for it.

    Args:
        most: further splits at most.
    """
    split = dataset.split
    whole = sorted(((o, c) for o, c in members if o.rows >= len(dataset)), key=lambda pair: pair[0].seconds)
    if split.number < 2 or split.moments is not None or len(dataset) > MOST_ROWS or not whole:
        return NOTHING
    predictions = [[one.prediction] for one, _ in whole]
    pipelines: dict[int, list[Pipeline]] = {one.trial: [] for one, _ in whole}
    times = 0
    while times < min(most, MOST):
        some = whole[: _how_many([one.seconds for one, _ in whole], threads, deadline.remaining)]
        other = _with_other_folds(dataset, times + 1) if some else None
        outcomes = None if other is None else _evaluated(other, some, threads, deadline)
        if outcomes is None:
            break
        for i, outcome in enumerate(outcomes):
            predictions[i].append(outcome.prediction)
            pipelines[whole[i][0].trial] += outcome.pipelines
        times += 1
    if not times:
        return NOTHING
    least = min(len(one) for one in predictions)
    each = {one.trial: of[:least] for (one, _), of in zip(whole, predictions, strict=True)}
    return Repeated(_averaged(dataset, [one for one, _ in whole], each), pipelines, times, each)


def _how_many(seconds: Sequence[float], threads: int, remaining: float) -> int:
    """How many of the members, the shortest first, can be evaluated once more in the time that is left."""
    needed = (_MARGIN * max(sum(seconds[: i + 1]) / threads, one) for i, one in enumerate(seconds))
    return sum(one < remaining for one in needed)


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
) -> list[Outcome] | None:
    """An outcome for each; None if one of them fails on these folds, as a learner may."""

    def one(member: tuple[Saved, dict[str, Any]]) -> Outcome:
        saved, config = member
        return evaluate(dataset, config, len(dataset), saved.trial + 1, deadline)

    with quietly(), interrupts.threads(threads) as pool:
        try:
            return list(pool.map(one, members))
        except Exception:  # noqa: BLE001  # whatever it was, the model of the folds before stays good
            return None


def _averaged(
    dataset: Dataset, members: Sequence[Saved], each: Mapping[int, Sequence[NDArray[np.float64]]]
) -> list[Saved]:
    valid = dataset.split.validation(len(dataset))
    found = []
    for one in members:
        prediction = np.mean(each[one.trial], axis=0)
        score = dataset.judge.score(dataset.y[valid], prediction, dataset.weights(valid))
        found.append(one._replace(prediction=prediction, score=score))
    return found
