"""The search for configurations, as a study like any other: defaults first, then the sampler's proposals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rung.study.study import Study
from rung.tabular.dataset import Dataset, hold
from rung.tabular.deadline import Deadline
from rung.tabular.evaluate import Evaluation, Saved, least, load_saved
from rung.tabular.learners.table import EVERY, Wanted, defaults, fitting, search_space
from rung.tabular.metrics import Metric
from rung.tabular.plan import Default, Plan, Scheme, Size, make_defaults, make_plan
from rung.tabular.schedule import DefaultsFirst
from rung.trials.events import Limits

if TYPE_CHECKING:
    from rung.storage.base import Storage
    from rung.trials.events import Event

Watch = Callable[[Study, Sequence["Event"]], None]


class Opening(NamedTuple):
    """What opens the study: where it is kept, under which name, and what makes it this study."""

    storage: Storage
    name: str | None
    task: Mapping[str, Any]
    kind: str
    scheme: Scheme
    wanted: Wanted = EVERY
    warm_start: bool = True


class Search:
    """One study over one dataset."""

    def __init__(self, dataset: Dataset, opening: Opening) -> None:
        categories = bool(dataset.sizes)
        missing = bool(np.isnan(dataset.table.numbers).any())
        scheme, rows = opening.scheme, len(dataset)
        chosen = fitting(opening.kind, dataset.classes, rows, opening.wanted)
        self.dataset = dataset
        size = Size(rows, dataset.width, dataset.classes, scheme)
        given = partial(defaults, categories=categories, missing=missing)
        self.defaults = make_defaults(chosen, given, size)
        self.study = Study(
            search_space(chosen, categories=categories, missing=missing),
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

    def plan(self, budget: float, workers: int) -> Plan:
        """How this session runs."""
        costs = [default.seconds for default in self.defaults]
        return make_plan(costs, len(self.dataset), budget, workers)

    def run(self, plan: Plan, deadline: Deadline, watch: Watch | None) -> None:
        """Go on until the plan's trials are done or the time is up; what is there already counts."""
        study, folder = self.study, self.study.folder
        if not len(study.history) and not study.history.enqueued:
            for default in self.defaults if plan.certain else hopeless_last(self.defaults, deadline):
                study.enqueue(default.config)
        spent = study.history.clock.seconds
        study.set_limits(Limits(trials=plan.trials, seconds=spent + max(0.05, deadline.remaining)))
        folder.mkdir(parents=True, exist_ok=True)
        if plan.workers > 1:
            self.dataset.save(folder / "data")
        else:
            hold(folder / "data", self.dataset)
        try:
            margin = 0.0 if plan.certain else min(0.4 + 0.03 * deadline.remaining, 0.3 * deadline.remaining)
            objective = Evaluation(
                str(folder), self.dataset.metric, deadline.earlier(margin).end, deadline.end
            )
            study.run(
                objective,
                workers=plan.workers,
                executor="local" if plan.workers > 1 else "inline",
                watch=watch,
            )
        finally:
            hold(folder / "data", None)

    def saved(self) -> list[Saved]:
        """The predictions of all trials that have any, in order of number."""
        found = (load_saved(self.study.folder, number) for number in range(len(self.study.history)))
        return [one for one in found if one is not None and np.isfinite(one.score)]

    def config(self, trial: int) -> dict[str, Any]:
        """A trial's configuration."""
        return dict(self.study.space.to_mapping(self.study.history.values[trial]))

    def metric(self) -> Metric:
        """What trials are judged by."""
        return self.dataset.judge


def hopeless_last(defaults: Sequence[Default], deadline: Deadline) -> list[Default]:
    """The defaults in their order, but those that the time left may be too short for at the end.

    A trial that does not fit waits for the next session, and the others would wait behind it.
    """
    left = deadline.remaining
    return sorted(defaults, key=lambda one: least(one.config["learner"], one.first) > left)
