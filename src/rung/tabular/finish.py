"""From a search's trials to a model: select an ensemble, and fit its members a last time.

With cross-validation the fold models themselves are the member, their mean: each row was seen by all but one
of them. Most learners gain by a model of all rows beside them or in their place
(`rung.tabular.members`). With a holdout each member is fitted again on all rows, the heaviest first, as far
as the time allows; the others stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.decide import SINGLE, fit_temperature, tempered
from rung.tabular.encode import Table
from rung.tabular.ensemble import mix, weigh
from rung.tabular.evaluate import Saved, load_pipelines
from rung.tabular.lighten import PREDICT_TIME, Pace, lighten, too_slow
from rung.tabular.members import CONSTANT, STACK, Last, fitted_constant, make_members, with_whole
from rung.tabular.metrics import METRICS, Metric
from rung.tabular.model import Member
from rung.tabular.optimism import optimism
from rung.tabular.pipeline import Pipeline
from rung.tabular.search import Search
from rung.tabular.stacking import BASES, Stack, Stacked, stack

_CANDIDATES = 25
_LOOKED_AT = 2_000  # rows, for a candidate's temperature
_SMALL = 5_000  # validation rows up to which the optimism of the score is looked at
_CHOICES = 3  # as leaving slow ones out may bring others in
_STACKED = {"learner": "stack"}
_Stacks = dict[tuple[int, ...], Stack | None]  # by the trials that they are made of


class Ensemble(NamedTuple):
    """The chosen trials with their weights, and the mixture's predictions for the validation rows.

    Attributes:
        temperatures: by trial, where it is not 1; the mixture is one of predictions after it.
        times: how many cross-validations there were, whose mean a row has of a member that has as many
            models.
    """

    members: list[tuple[float, Saved]]
    valid: NDArray[np.intp]
    prediction: NDArray[np.float64]
    stack: Stack | None = None
    temperatures: Mapping[int, float] = {}
    times: int = 1


def choose(
    dataset: Dataset,
    saved: Sequence[Saved],
    deadline: Deadline,
    *,
    stacked: bool = True,
    stacks: _Stacks | None = None,
) -> Ensemble:
    """Select from the trials at the largest scope that any reached; a constant where there is none.

    Args:
        stacked: whether a linear model on the others may be a member, too.
        stacks: those that were made of these trials before; a new one is added.
    """
    whole = [one for one in saved if one.rows >= len(dataset)]
    pool = whole or list(saved)
    if dataset.split.number == 1:  # all predict the same rows
        pool = list(saved)
    valid = dataset.split.validation(len(dataset) if whole else 0)
    if not pool or not len(valid):
        prior = fitted_constant(dataset).prediction
        return Ensemble([], valid, np.broadcast_to(prior, (len(valid), *prior.shape)).copy())
    best = _candidates(dataset, pool)
    candidates = [*best, _constant(dataset, len(valid))]
    on_others = None
    if whole and stacked:
        stacks, bases = {} if stacks is None else stacks, tuple(one.trial for one in best[:BASES])
        if bases not in stacks:
            stacks[bases] = stack(dataset, best, valid, deadline)
        on_others = stacks[bases]
    if on_others is not None:
        candidates.append(Saved(STACK, on_others.prediction, len(dataset), 0.0, 0.0, cut=False))
    temperatures = _temperatures(dataset, candidates, valid)
    predictions = [tempered(one.prediction, temperatures.get(one.trial, 1.0)) for one in candidates]
    judge, y, weight = _selector(dataset), dataset.y[valid], dataset.weights(valid)
    weights = weigh(predictions, y, judge, dataset.seed, deadline, weight)
    members = sorted(
        ((float(w), one) for w, one in zip(weights, candidates, strict=True) if w > 0),
        key=lambda pair: (-pair[0], pair[1].trial),
    )
    return Ensemble(members, valid, mix(predictions, weights), on_others, temperatures)


def _temperatures(dataset: Dataset, candidates: Sequence[Saved], valid: NDArray[np.intp]) -> dict[int, float]:
    """By trial."""
    judge, y, weight = _selector(dataset), dataset.y[valid], dataset.weights(valid)
    return {
        one.trial: fit_temperature(one.prediction, y, judge, weight, prior=SINGLE, most=_LOOKED_AT)
        for one in candidates
        if dataset.classes and one.trial != CONSTANT
    }


def as_kept(
    search: Search,
    ensemble: Ensemble,
    members: Sequence[Member],
    each: Mapping[int, Sequence[NDArray[np.float64]]],
) -> tuple[Ensemble, list[Member]]:
    """The ensemble and its members with the temperatures and the predictions of what was kept of them.

    Where predicting takes long, fewer models of a member may be left than its prediction is a mean of: they
    are surer than that mean, and worse.

    Args:
        members: as `last_fit` left them.
        each: by trial, the predictions of each cross-validation.
    """
    left: list[tuple[float, Saved]] = []
    for _, one in ensemble.members:
        config = _config(search, one.trial)
        mine = [member for member in members if member.config == config]
        if not mine:
            continue
        predictions = each.get(one.trial, [])[: max(1, sum(len(member.pipelines) for member in mine))]
        prediction = np.mean(predictions, axis=0) if len(predictions) else one.prediction
        left.append((sum(member.weight for member in mine), one._replace(prediction=prediction)))
    temperatures = _temperatures(search.dataset, [one for _, one in left], ensemble.valid)
    sure = [tempered(one.prediction, temperatures.get(one.trial, 1.0)) for _, one in left]
    mixture = mix(sure, np.array([weight for weight, _ in left]))
    times = min(map(len, each.values()), default=1)
    ensemble = ensemble._replace(members=left, prediction=mixture, temperatures=temperatures, times=times)
    by_config = [(_config(search, trial), temperature) for trial, temperature in temperatures.items()]
    return ensemble, [
        replace(member, temperature=next((t for config, t in by_config if config == member.config), 1.0))
        for member in members
    ]


def _config(search: Search, trial: int) -> Mapping[str, object]:
    """What tells a trial's members from those of others."""
    if trial < 0:
        return _STACKED if trial == STACK else {}
    return search.config(trial)


def _selector(dataset: Dataset) -> Metric:
    """What weights are chosen by: the metric, but of labels the probabilities behind them.

    A metric of labels jumps from row to row, so that choosing by it is choosing by chance; which probability
    makes a label is learned afterwards (`rung.tabular.decide`).
    """
    return METRICS["log_loss"] if dataset.judge.needs == "labels" else dataset.judge


def _constant(dataset: Dataset, rows: int) -> Saved:
    """A constant as one more candidate: where nothing can be learned it is the best there is."""
    prior = fitted_constant(dataset).prediction
    return Saved(CONSTANT, np.broadcast_to(prior, (rows, *prior.shape)), len(dataset), 0.0, 0.0, cut=False)


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
    pool, stacked, paces = list(saved), True, dict[tuple[int, ...], Pace]()
    stacks: _Stacks = {}
    for left in range(_CHOICES, 0, -1):
        ensemble = choose(dataset, pool, deadline.share(left), stacked=stacked, stacks=stacks)
        members = [(weight, one.trial) for weight, one in ensemble.members if one.trial != CONSTANT]
        if not members or not len(dataset):
            break
        for _, trial in members:
            asked = _asked(ensemble, trial)
            if asked not in paces:
                paces[asked] = Pace(_first(search, asked), dataset.table)
        timed = [(weight, paces[_asked(ensemble, trial)]) for weight, trial in members]
        slow = {members[i][1] for i in too_slow(timed, limit)}
        rest = [one for one in pool if one.trial not in slow]
        if not slow or not rest:
            break
        pool, stacked = rest, stacked and STACK not in slow
    return ensemble


class _Bases(NamedTuple):
    """What a stack asks for beside the members, which predict for themselves."""

    pipelines: list[Pipeline]

    def predict(self, table: Table) -> None:
        for pipeline in self.pipelines:
            pipeline.predict(table)


def _asked(ensemble: Ensemble, trial: int) -> tuple[int, ...]:
    """The trials that a member asks for: its own, or those of a stack that are no members themselves."""
    if trial != STACK or ensemble.stack is None:
        return (trial,)
    alone = {one.trial for _, one in ensemble.members}
    return (STACK, *(one.trial for one in ensemble.stack.bases if one.trial not in alone))


def _first(search: Search, asked: tuple[int, ...]) -> Pipeline | _Bases:
    """The first models of what a member asks for, to be timed."""
    bases = [load_pipelines(search.study.folder, trial)[0][0] for trial in asked if trial != STACK]
    return _Bases(bases) if asked[0] == STACK else bases[0]


def too_good(
    dataset: Dataset, saved: Sequence[Saved], ensemble: Ensemble, deadline: Deadline, *, factored: bool
) -> float | None:
    """By how much the ensemble's score is expected to be too good; None where it was not looked at.

    Only on small tables: with many rows it is next to nothing.

    Args:
        factored: whether factors of the classes were chosen for the metric.
    """
    if len(ensemble.valid) > _SMALL or dataset.weight is not None:
        return None
    pool = [one for one in saved if len(one.prediction) == len(ensemble.valid)]
    predictions = [one.prediction for one in _candidates(dataset, pool)]
    y, judge = dataset.y[ensemble.valid], dataset.judge
    chosen_by = _selector(dataset)
    return optimism(predictions, y, judge, dataset.seed, deadline, selector=chosen_by, factored=factored)


def last_fit(
    search: Search,
    ensemble: Ensemble,
    last: Last,
    predict_time: float | None = None,
    more: Mapping[int, list[Pipeline]] = {},
) -> list[Member]:
    """The members, fitted on all rows where that is better and the time allows it.

    Args:
        predict_time: seconds for a row, of a thousand at once, that the model may take; `PREDICT_TIME`
            unless given.
        more: by trial, models of further folds that join the member's.
    """
    dataset = search.dataset
    if not ensemble.members:
        return [Member(1.0, "constant", [fitted_constant(dataset)])]
    parts = parts_of(ensemble)
    made = dict(zip([one.trial for one in parts], make_members(search, parts, last), strict=True))
    members = []
    for weight, one in ensemble.members:
        if one.trial == STACK and ensemble.stack is not None:
            bases = [made[base.trial] for base in ensemble.stack.bases]
            member = Member(weight, "stack", _stacks(dataset, bases, ensemble.stack), _STACKED)
        else:
            member = replace(_joined(made[one.trial], more.get(one.trial, [])), weight=weight)
        members.append(replace(member, temperature=ensemble.temperatures.get(one.trial, 1.0)))
    trials = [one for _, one in ensemble.members]
    members = with_whole(search, list(zip(members, trials, strict=True)), last)
    return lighten(members, dataset.table, PREDICT_TIME if predict_time is None else predict_time)


def parts_of(ensemble: Ensemble) -> list[Saved]:
    """The trials that are members, the heaviest first, and those that a stack is made of; each once."""
    bases = [] if ensemble.stack is None else ensemble.stack.bases
    stacked = any(one.trial == STACK for _, one in ensemble.members)
    found = [one for _, one in ensemble.members if one.trial != STACK] + (bases if stacked else [])
    return list({one.trial: one for one in found}.values())


def _joined(member: Member, more: list[Pipeline]) -> Member:
    """With the models of further folds, unless one of all rows stands for them."""
    return replace(member, pipelines=[*member.pipelines, *more]) if len(member.pipelines) > 1 else member


def _stacks(dataset: Dataset, bases: Sequence[Member], chosen: Stack) -> list[Stacked]:
    """The linear model on its bases, once for each fold: on those of the bases that did not see it."""
    y = np.asarray(dataset.y, float)
    stacks = []
    for fold in range(max(len(base.pipelines) for base in bases)):
        some = [
            replace(base, pipelines=[base.pipelines[min(fold, len(base.pipelines) - 1)]]) for base in bases
        ]
        stacks.append(Stacked(some, chosen.head, dataset.classes, float(y.min()), float(y.max())))
    return stacks
