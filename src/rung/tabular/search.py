"""The search for configurations, as a study like any other: defaults first, then the sampler's proposals."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.study.study import Study
from rung.tabular.dataset import Dataset, hold
from rung.tabular.deadline import Deadline
from rung.tabular.evaluate import Evaluation, Saved, least, load_saved
from rung.tabular.learners.table import EVERY, Traits, Wanted, defaults, fitting, search_space
from rung.tabular.metrics import Metric
from rung.tabular.plan import (
    SHORT,
    Default,
    Plan,
    Scheme,
    Size,
    cost_of,
    make_defaults,
    make_plan,
    workers_pay,
)
from rung.tabular.schedule import DefaultsFirst
from rung.tabular.warm_start import LEAST_BUDGET, Earlier, from_memory, from_studies, with_earlier
from rung.trials.events import Limits

if TYPE_CHECKING:
    from rung.executors.setup import Engine
    from rung.storage.base import Storage
    from rung.trials.events import Event

_RARE = 0.1  # of the rows: a class with fewer may want a larger weight
_MANY = 2_000  # rows from which leaving most of a common class out is worth a try
_SKEWED = 1.5  # skewness from which a target's logarithm is worth a try
_FIRST = 0.3  # of the time that the first model may take, and
_SOON = 0.03  # that it should take: until it is there, all other processors wait
PATIENCE = 1.5  # seconds beyond a small budget that a fit of a small table may plan with
_PART = 0.4  # of the time that is left is what one trial may take
_EARLY = 0.15  # of a short budget, whose trials come one after the other, is what its first should take, or
_AT_ONCE = 0.5  # so many seconds
_LATE = 5.0  # seconds for a first model where the budget has passed before a trial could begin
_LEAST = 1.5  # seconds that it is given at least: a busy machine must not leave the user without a model

_CTRL_C = "interrupted"  # why a session ended

Watch = Callable[[Study, Sequence["Event"]], None]


class Opening(NamedTuple):
    """What opens the study: where it is kept, under which name, and what makes it this study.

    Attributes:
        warm_start: whether to begin with what was good on earlier tables.
        counted: whether its trials are counted and its seconds are not: then neither a clock nor this
            storage's other studies have a say.
    """

    storage: Storage
    name: str | None
    task: Mapping[str, Any]
    kind: str
    scheme: Scheme
    wanted: Wanted = EVERY
    warm_start: bool = True
    counted: bool = False


class Search:
    """One study over one dataset.

    Args:
        engine: where trials are evaluated after the first default, if not in processes of this machine.
    """

    def __init__(self, dataset: Dataset, opening: Opening, engine: Engine | None = None) -> None:
        traits = traits_of(dataset)
        scheme, rows = opening.scheme, len(dataset)
        chosen = fitting(opening.kind, dataset.classes, rows, opening.wanted)
        self.dataset, self.opening, self.engine = dataset, opening, engine
        self.chosen, self.traits = chosen, traits
        self.earlier: tuple[str, ...] = ()  # the user's studies that it begins with
        size = self.size = Size(rows, dataset.width, dataset.classes, scheme)
        given = partial(defaults, traits=traits)
        self.defaults = make_defaults(chosen, given, size)
        self.study = Study(
            search_space(chosen, traits),
            metric=dataset.metric,
            mode="max" if dataset.judge.greater_is_better else "min",
            resource=("rows", scheme.smallest, rows),
            sampler="kde",
            scheduler=DefaultsFirst(scheme.rungs),
            seed=dataset.seed,
            storage=opening.storage,
            study=opening.name,
            door="fit",
            task=opening.task,
        )

    def plan(self, budget: float, workers: int, remaining: float | None = None) -> Plan:
        """How this session runs.

        Args:
            remaining: seconds of the budget; all of it unless given.
        """
        if budget < SHORT:
            self.defaults = quick_first(self.defaults, max(_EARLY * budget, _AT_ONCE))
        costs = [default.seconds for default in self.defaults]
        plan = make_plan(costs, len(self.dataset), budget, workers)
        if self.engine is not None:  # the user knows why
            return Plan(plan.trials, max(2, workers), certain=False)
        left = budget if remaining is None else remaining
        return plan if workers_pay(left, plan.workers, _busy()) else replace(plan, workers=1)

    def run(self, plan: Plan, deadline: Deadline, watch: Watch | None) -> bool:
        """Go on until the plan's trials are done or the time is up; what is there already counts.

        Returns whether Ctrl-C ended it.

        Before worker processes are started the first default is evaluated here: then there is a model.
        """
        if not len(self.study.history) and not self.study.history.enqueued:
            cold = plan.certain and not self.opening.counted
            ordered = self.defaults if cold else hopeless_last(self._begin(deadline), deadline)
            if plan.workers > 1:
                ordered = quick_first(ordered, _SOON * deadline.remaining)
            for default in ordered:
                self.study.enqueue(default.config)
        if plan.workers > 1 and not len(self.study.history):
            soon = Deadline.after(max(_FIRST * deadline.remaining, _LEAST))
            if self._session(Plan(1, 1, certain=True), soon, watch) == _CTRL_C:
                return True
        reason = self._session(plan, deadline, watch)
        if not len(self.study.history) and reason != _CTRL_C:  # rather late than never
            reason = self._session(Plan(1, 1, certain=True), Deadline.after(_LATE), watch)
        return reason == _CTRL_C

    def _begin(self, deadline: Deadline) -> list[Default]:
        """What is tried first: the defaults, and what was good on earlier tables."""
        opening = self.opening
        if not opening.warm_start or deadline.remaining < LEAST_BUDGET:
            return self.defaults
        earlier = Earlier([], [])
        if not opening.counted:
            earlier = from_studies(opening.storage, opening.task, self.chosen, self.traits)
        self.earlier = tuple(earlier.studies)
        unhurried = opening.counted
        suggested = from_memory(self.dataset, opening.kind, self.chosen, self.traits, unhurried=unhurried)
        costs = {learner.name: cost_of(learner, self.size) for learner in self.chosen}
        return with_earlier(self.defaults, suggested, earlier.configs, costs)

    def _session(self, plan: Plan, deadline: Deadline, watch: Watch | None) -> str | None:
        """Why no further trial was started."""
        study, folder = self.study, self.study.folder
        spent = study.history.clock.known()
        seconds = None if self.opening.counted else spent + max(0.05, deadline.remaining)
        study.set_limits(Limits(trials=plan.trials, seconds=seconds))
        folder.mkdir(parents=True, exist_ok=True)
        if plan.workers > 1:
            self.dataset.save(folder / "data")
        else:
            hold(folder / "data", self.dataset)
        try:
            margin = min(0.4 + 0.03 * deadline.remaining, 0.3 * deadline.remaining)
            if plan.certain:  # the same on a busy machine: no fit is hurried by a deadline that it will keep
                margin = -PATIENCE
            objective = Evaluation(
                str(folder.absolute()),
                self.dataset.metric,
                deadline.earlier(margin).end,
                deadline.end,
                patient=len(study.history) > 0,
                workers=plan.workers,
                part=1.0 if plan.certain else _PART,
            )
            away = plan.workers > 1
            engine = self.engine or ("local" if away else "inline")
            executor = engine if away else "inline"
            return study.run(objective, workers=plan.workers, executor=executor, watch=watch).reason
        finally:
            hold(folder / "data", None)

    def saved(self) -> list[Saved]:
        """The predictions of all trials that have any, in order of number."""
        found = (load_saved(self.study.folder, number) for number in range(len(self.study.history)))
        return [one for one in found if one is not None and np.isfinite(one.score)]

    def config(self, trial: int) -> dict[str, Any]:
        """A trial's configuration."""
        return dict(self.study.space.to_mapping(self.study.history.values[trial]))

    def seconds(self, config: Mapping[str, Any]) -> float:
        """Predicted, of one evaluation with all rows."""
        return cost_of(next(one for one in self.chosen if one.name == config["learner"]), self.size)[0]

    def metric(self) -> Metric:
        """What trials are judged by."""
        return self.dataset.judge


def _busy() -> float:
    """Programs of the last minute that wanted each core of this machine; 0 where the system does not say."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0


def traits_of(dataset: Dataset) -> Traits:
    """What of a dataset decides on its preprocessing."""
    y = np.asarray(dataset.y, dtype=np.float64)
    there = y if dataset.weight is None else y[dataset.weight > 0]
    shares = np.bincount(dataset.y, minlength=dataset.classes) / len(y) if dataset.classes else np.ones(1)
    return Traits(
        levels=max(dataset.sizes, default=0),
        numbers=int(dataset.table.numbers.shape[1]),
        missing=bool(np.isnan(dataset.table.numbers).any()),
        rare=bool(shares.min() < _RARE),
        many=len(y) >= _MANY,
        skewed=not dataset.classes and _skewness(there) > _SKEWED,
    )


def _skewness(y: NDArray[np.float64]) -> float:
    """The third standardised moment, with values scaled so that none overflows."""
    centered = y - np.median(y)
    centered = centered / max(float(np.abs(centered).max()), 1e-300)
    deviation = float(centered.std())
    return abs(float(np.mean((centered - centered.mean()) ** 3))) / deviation**3 if deviation > 0 else 0.0


def quick_first(defaults: Sequence[Default], seconds: float) -> list[Default]:
    """The defaults in their order, but that one before all others which is to be done alone: the first that
    should take at most so many seconds, else the shortest.
    """
    quick = next((one for one in defaults if one.first <= seconds), None)
    alone = quick or min(defaults, key=lambda one: one.first, default=None)
    return [one for one in [alone] if one is not None] + [one for one in defaults if one is not alone]


def hopeless_last(defaults: Sequence[Default], deadline: Deadline) -> list[Default]:
    """The defaults in their order, but those that the time left may be too short for at the end.

    A trial that does not fit waits for the next session, and the others would wait behind it.
    """
    left = deadline.remaining

    def late(one: Default) -> tuple[bool, float]:
        hopeless = least(one.config["learner"], one.first) > left
        return hopeless, one.first if hopeless else 0.0  # if it must be one of these, the shortest

    return sorted(defaults, key=late)
