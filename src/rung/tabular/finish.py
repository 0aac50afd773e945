"""From a search's trials to a model: select an ensemble, and fit its members a last time.

With cross-validation the fold models themselves are the member, their mean: each row was seen by all but one
of them, and there is nothing to fit any more. With a holdout each member is fitted again on all rows, the
heaviest first, as far as the time allows; the others stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.ensemble import mix, weigh
from rung.tabular.evaluate import Saved, load_pipelines, quietly
from rung.tabular.learners.base import ASIDE
from rung.tabular.learners.table import learners
from rung.tabular.lighten import PREDICT_TIME, lighten, too_slow
from rung.tabular.metrics import METRICS, Metric
from rung.tabular.model import Member
from rung.tabular.optimism import optimism
from rung.tabular.pipeline import Constant, Order, Pipeline, constant, fit_pipeline
from rung.tabular.search import Search
from rung.tabular.stacking import Stack, Stacked, stack

CONSTANT = -1  # stands for the trial's number of the member that predicts a constant, and
STACK = -2  # of the one that is stacked on others
_CANDIDATES = 25
_SMALL = 5_000  # validation rows up to which the optimism of the score is looked at
_CHOICES = 3  # as leaving slow ones out may bring others in
_GROWTH = 1.3  # all rows against the training part of a holdout, with a margin


class Ensemble(NamedTuple):
    """The chosen trials with their weights, and the mixture's predictions for the validation rows."""

    members: list[tuple[float, Saved]]
    valid: NDArray[np.intp]
    prediction: NDArray[np.float64]
    stack: Stack | None = None


def choose(dataset: Dataset, saved: Sequence[Saved], deadline: Deadline) -> Ensemble:
    """Select from the trials at the largest scope that any reached; a constant where there is none."""
    whole = [one for one in saved if one.rows >= len(dataset)]
    pool = whole or list(saved)
    if dataset.split.number == 1:  # all predict the same rows
        pool = list(saved)
    valid = dataset.split.validation(len(dataset) if whole else 0)
    if not pool or not len(valid):
        prior = _fitted_constant(dataset).prediction
        return Ensemble([], valid, np.broadcast_to(prior, (len(valid), *prior.shape)).copy())
    best = _candidates(dataset, pool)
    candidates = [*best, _constant(dataset, len(valid))]
    stacked = stack(dataset, best, valid) if whole else None
    if stacked is not None:
        candidates.append(Saved(STACK, stacked.prediction, len(dataset), 0.0, 0.0, cut=False))
    predictions = [one.prediction for one in candidates]
    judge = _selector(dataset)
    weights = weigh(predictions, dataset.y[valid], judge, dataset.seed, deadline, dataset.weights(valid))
    members = sorted(
        ((float(w), one) for w, one in zip(weights, candidates, strict=True) if w > 0),
        key=lambda pair: (-pair[0], pair[1].trial),
    )
    return Ensemble(members, valid, mix(predictions, weights), stacked)


def _selector(dataset: Dataset) -> Metric:
    """What weights are chosen by: the metric, but of labels the probabilities behind them.

    A metric of labels jumps from row to row, so that choosing by it is choosing by chance; which probability
    makes a label is learned afterwards (`rung.tabular.decide`).
    """
    return METRICS["log_loss"] if dataset.judge.needs == "labels" else dataset.judge


def _constant(dataset: Dataset, rows: int) -> Saved:
    """A constant as one more candidate: where nothing can be learned it is the best there is."""
    prior = _fitted_constant(dataset).prediction
    return Saved(CONSTANT, np.broadcast_to(prior, (rows, *prior.shape)), len(dataset), 0.0, 0.0, cut=False)


def _fitted_constant(dataset: Dataset) -> Constant:
    y = np.asarray(dataset.y, float)
    return constant(y, dataset.classes, dataset.weight, dataset.quantile)


def _candidates(dataset: Dataset, pool: Sequence[Saved]) -> list[Saved]:
    """The best by validation score."""
    sign = -1.0 if dataset.judge.greater_is_better else 1.0
    return sorted(pool, key=lambda one: (sign * one.score, one.trial))[:_CANDIDATES]


def choose_quick(
    search: Search, saved: Sequence[Saved], deadline: Deadline, predict_time: float | None
) -> Ensemble:
    """`choose`, without what would be left out of the ensemble in the end because it predicts slowly.

    Args:
        predict_time: as in `last_fit`.
    """
    limit, dataset = PREDICT_TIME if predict_time is None else predict_time, search.dataset
    pool = list(saved)
    for _ in range(_CHOICES):
        ensemble = choose(dataset, pool, deadline)
        members = [(weight, one.trial) for weight, one in ensemble.members if one.trial >= 0]
        loaded = [(weight, load_pipelines(search.study.folder, trial)[0][0]) for weight, trial in members]
        slow = {members[i][1] for i in too_slow(loaded, dataset.table, limit)}
        rest = [one for one in pool if one.trial not in slow]
        if not slow or not rest:
            break
        pool = rest
    return ensemble


def too_good(
    dataset: Dataset, saved: Sequence[Saved], ensemble: Ensemble, deadline: Deadline
) -> float | None:
    """By how much the ensemble's score is expected to be too good; None where it was not looked at.

    Only on small tables: with many rows it is next to nothing.
    """
    if len(ensemble.valid) > _SMALL or dataset.weight is not None:
        return None
    pool = [one for one in saved if len(one.prediction) == len(ensemble.valid)]
    predictions = [one.prediction for one in _candidates(dataset, pool)]
    return optimism(predictions, dataset.y[ensemble.valid], dataset.judge, dataset.seed, deadline)


def last_fit(
    search: Search,
    ensemble: Ensemble,
    deadline: Deadline,
    predict_time: float | None = None,
    *,
    refit: bool = False,
    more: Mapping[int, list[Pipeline]] = {},
) -> list[Member]:
    """The members, fitted on all rows where they were not and the time allows it.

    Args:
        predict_time: seconds for a row, of a thousand at once, that the model may take; `PREDICT_TIME`
            unless given.
        refit: in place of the folds' models.
        more: by trial, models of further folds that join the member's.
    """
    dataset = search.dataset
    if not ensemble.members:
        return [Member(1.0, "constant", [_fitted_constant(dataset)])]
    built: _Built = {}
    members = [
        _stacked(search, weight, ensemble.stack, deadline, built)
        if one.trial == STACK and ensemble.stack is not None
        else _joined(
            _member(search, weight, one, deadline, built, refit=refit), more.get(one.trial, []), refit
        )
        for weight, one in ensemble.members
    ]
    return lighten(members, dataset.table, PREDICT_TIME if predict_time is None else predict_time)


def _joined(member: Member, more: list[Pipeline], refit: bool) -> Member:
    return member if refit else replace(member, pipelines=[*member.pipelines, *more])


# By trial, and whether it was to be fitted anew: so that a stack and the members share pipelines.
_Built = dict[tuple[int, bool], Member]


def _stacked(search: Search, weight: float, chosen: Stack, deadline: Deadline, built: _Built) -> Member:
    """The linear model on its bases, once for each fold: on those of the bases that did not see it."""
    y = np.asarray(search.dataset.y, float)
    bases = [_member(search, 1.0, one, deadline, built) for one in chosen.bases]
    stacks = []
    for fold in range(min(len(base.pipelines) for base in bases)):
        some = [replace(base, pipelines=[base.pipelines[fold]]) for base in bases]
        stacks.append(Stacked(some, chosen.head, search.dataset.classes, float(y.min()), float(y.max())))
    return Member(weight, "stack", stacks, {"learner": "stack"})


def _member(  # each is made once
    search: Search, weight: float, one: Saved, deadline: Deadline, built: _Built, *, refit: bool = False
) -> Member:
    known = built.get((one.trial, refit))
    if known is None:
        known = built[one.trial, refit] = _fresh(search, one, deadline, refit=refit)
    return replace(known, weight=weight)


def _fresh(search: Search, one: Saved, deadline: Deadline, *, refit: bool) -> Member:
    dataset = search.dataset
    if one.trial == CONSTANT:
        return Member(1.0, "constant", [_fitted_constant(dataset)])
    config = search.config(one.trial)
    pipelines, known = load_pipelines(search.study.folder, one.trial)
    split = dataset.split
    partial = refit or split.number == 1 or one.rows < len(dataset) or split.moments is not None
    fits = split.number if one.rows >= len(dataset) else 1
    needed = _GROWTH * one.seconds / fits * len(dataset) / one.rows
    if partial and needed < 0.9 * deadline.remaining:
        pipelines = [_refit(dataset, config, known, deadline)]
    elif split.moments is not None:
        pipelines = pipelines[:1]  # the fold that was trained on the most recent rows
    return Member(1.0, config["learner"], pipelines, config)


def _refit(dataset: Dataset, config: dict[str, Any], known: dict[str, float], deadline: Deadline) -> Pipeline:
    learner = learners()[config["learner"]]
    rows = np.arange(len(dataset))
    order = Order(
        learner,
        config,
        dataset.sizes,
        dataset.seed,
        deadline,
        known,
        weight=dataset.weight,
        aside=dataset.split.aside(rows, ASIDE, dataset.seed),
        quantile=dataset.quantile,
        labels=dataset.judge.needs == "labels",
    )
    with quietly():
        return fit_pipeline(order, dataset.table, np.asarray(dataset.y, float), dataset.classes).pipeline
