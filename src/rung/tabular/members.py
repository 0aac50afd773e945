"""Members of the ensemble from their trials: the folds' models, or one that is fitted anew on all rows.

Which of the two is better depends on the learner (`Learner.whole`). Where a fit depends on chance (networks),
the mean of the folds' models is worth more than the rows that each of them lacks. Where it hardly does
(forests, kernels, neighbours, linear models) all rows are worth more, and one model predicts in a fraction of
the time. Boosting lies between: half of the weight goes to a model of all rows, half to the folds'.
After a holdout, where the time is short, a forest gets the trees that there is time for, beside those that it
had, and a network always a second one beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Timer
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rung.tabular import interrupts
from rung.tabular.best_constant import Known, best_constant
from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.evaluate import Saved, load_libraries, load_pipelines, quietly
from rung.tabular.learners.base import ASIDE, Learner
from rung.tabular.learners.table import learners
from rung.tabular.metrics import METRICS, Metric
from rung.tabular.model import Member
from rung.tabular.pipeline import Constant, Fitted, Order, constant, fit_pipeline
from rung.tabular.search import Search

_T = TypeVar("_T")

CONSTANT = -1  # stands for the trial's number of the member that predicts a constant, and
STACK = -2  # of the one that is stacked on others
_GROWTH = 1.3  # all rows against the training part of a holdout, with a margin
_SHORT, _SHORT_NETWORK = 0.25, 0.5  # of the usual time are enough where it stands beside what there is
_LOOKED_AT = 1_000  # held-out rows on which a last fit must not be worse than what it replaces, and
_WORSE = 1.1  # by how much it may be, though it was trained on these rows


class Last(NamedTuple):
    """How the last fits run.

    Attributes:
        deadline: one that would not be done by then is not begun.
        threads: as many at a time.
        refit: all members are to be fitted on all rows.
    """

    deadline: Deadline
    threads: int = 1
    refit: bool = False


def fitted_constant(dataset: Dataset) -> Constant:
    """The best prediction without a look at the row: the classes' shares, or what is best by the metric."""
    y = np.asarray(dataset.y, float)
    if dataset.classes:  # others are mixed with them, whatever the metric
        return constant(y, dataset.classes, dataset.weight)
    return Constant(best_constant(dataset.judge, Known(y, 0, dataset.weight, dataset.quantile)))


def make_members(search: Search, chosen: Sequence[Saved], last: Last) -> list[Member]:
    """A member of weight 1 for each of these trials, fitted on all rows where that is better and there is
    time: the first ones first.
    """
    return _several(lambda one: _made(search, one, last), chosen, last.threads)


def with_whole(search: Search, members: Sequence[tuple[Member, Saved]], last: Last) -> list[Member]:
    """The members, and beside means of folds' models one of all rows, which takes its learner's share of the
    weight: where there is time, the first ones first.
    """

    def one(pair: tuple[Member, Saved]) -> list[Member]:
        member, saved = pair
        share = _whole(search, saved) if len(member.pipelines) > 1 else 0.0
        fresh = _refit(search, saved, _known(search, saved), last.deadline) if 0 < share < 1 else None
        if fresh is None:
            return [member]
        weights = share * member.weight, (1 - share) * member.weight
        whole = replace(member, weight=weights[0], pipelines=[fresh.pipeline])
        return [whole, replace(member, weight=weights[1])]

    return [member for some in _several(one, members, last.threads) for member in some]


def load_beforehand(search: Search, seconds: float) -> Timer:
    """After so many seconds load what last fits of networks need, while workers search and nothing else is
    done here: PyTorch takes more than one, of the few that there are in the end.

    Only after a holdout, as otherwise the folds' networks stay as they are.
    """
    alone = search.dataset.split.number == 1
    timer = Timer(seconds, _load, args=([one for one in search.chosen if alone and _grows(one)],))
    timer.daemon = True
    timer.start()
    return timer


def _load(some: Sequence[Learner]) -> None:
    for one in some:
        with suppress(Exception):  # a last fit that lacks it says so itself
            load_libraries(one)


def seconds_of_refits(search: Search, chosen: Sequence[Saved]) -> float:
    """What fitting these on all rows should take, one after the other, of those that gain by it."""
    return sum(_seconds(search.dataset, one) for one in chosen if _whole(search, one))


def _several(make: Callable[[Any], _T], what: Sequence[Any], threads: int) -> list[_T]:
    with quietly(), interrupts.threads(threads) as pool:
        return list(pool.map(make, what))


def _made(search: Search, one: Saved, last: Last) -> Member:
    dataset = search.dataset
    if one.trial == CONSTANT:
        return Member(1.0, "constant", [fitted_constant(dataset)])
    config = search.config(one.trial)
    pipelines, known = load_pipelines(search.study.folder, one.trial)
    split = dataset.split
    partial = split.number == 1 or one.rows < len(dataset) or split.moments is not None
    fresh = None
    if last.refit or partial or _whole(search, one) == 1:
        fresh = _refit(search, one, known, last.deadline)
    if fresh is not None:
        beside = not last.refit and _beside(search, one, fresh)
        pipelines = [*pipelines, fresh.pipeline] if beside else [fresh.pipeline]
    elif split.moments is not None:
        pipelines = pipelines[:1]  # the fold that was trained on the most recent rows
    return Member(1.0, config["learner"], pipelines, config)


def _whole(search: Search, one: Saved) -> float:
    """The share of a trial's weight that a model of all rows takes."""
    return learners()[search.config(one.trial)["learner"]].whole if one.trial >= 0 else 0.0


def _seconds(dataset: Dataset, one: Saved) -> float:
    """Expected, of a fit on all rows."""
    fits = dataset.split.number if one.rows >= len(dataset) else 1
    return _GROWTH * one.seconds / fits * len(dataset) / one.rows


def _growing(search: Search, one: Saved) -> bool:
    """Whether even a hurried last fit is worth having: a few trees more, or one more network."""
    return search.dataset.split.number == 1 and _grows(learners()[search.config(one.trial)["learner"]])


def _grows(learner: Learner) -> bool:
    return learner.anytime and learner.whole in (0, 1)


def _beside(search: Search, one: Saved, fresh: Fitted) -> bool:
    """Whether it is worth more together with the holdout's model than in its place."""
    of_all = one.rows >= len(search.dataset)  # but for what was held out
    return of_all and _growing(search, one) and (fresh.cut or not _whole(search, one))


def _known(search: Search, one: Saved) -> Mapping[str, float]:
    """What a trial's first fold taught the others."""
    return load_pipelines(search.study.folder, one.trial)[1]


def _refit(search: Search, one: Saved, known: Mapping[str, float], deadline: Deadline) -> Fitted | None:
    """A fit on all rows; None where there is no time for it, or nothing good came of it."""
    dataset, growing = search.dataset, _growing(search, one)
    least = (_SHORT if _whole(search, one) else _SHORT_NETWORK) if growing else 1.0
    if least * _seconds(dataset, one) >= 0.9 * deadline.remaining:
        return None
    config, rows = search.config(one.trial), np.arange(len(dataset))
    order = Order(
        learners()[config["learner"]],
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
    try:
        fitted = fit_pipeline(order, dataset.table, np.asarray(dataset.y, float), dataset.classes)
    except Exception:  # noqa: BLE001  # whatever a learner raises on rows that the folds did without
        return None
    if fitted.cut and not (one.cut or growing):
        return None
    return fitted if _sound(dataset, one, fitted) else None


def _sound(dataset: Dataset, one: Saved, fitted: Fitted) -> bool:
    """Whether a last fit went well: nothing else looks at it before the user does.

    It has seen the rows that were held out, so that it must not be worse on them than what had not.
    """
    valid = dataset.split.validation(one.rows)
    some = np.arange(0, len(valid), max(1, len(valid) // _LOOKED_AT))
    rows, judge = valid[some], _soundness(dataset)
    weight = dataset.weights(rows)
    if weight is not None and not weight.sum():
        return True
    after = judge.loss(dataset.y[rows], fitted.pipeline.predict(dataset.table.take(rows)), weight)
    return bool(after <= _WORSE * judge.loss(dataset.y[rows], one.prediction[some], weight) + 1e-9)


def _soundness(dataset: Dataset) -> Metric:
    """A loss that is never negative, and defined for any few rows."""
    if dataset.quantile is not None:
        return dataset.judge
    return METRICS["log_loss" if dataset.classes else "rmse"]
