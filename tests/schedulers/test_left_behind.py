"""Who goes on once a space is used up: promotions, and with a budget left the others, best first."""

from __future__ import annotations

from typing import Any

import pytest

import rung
from rung.schedulers.plan import plan
from rung.space.domains import Ordinal

SPACE = {"x": Ordinal(list(range(9)))}
LADDER = ("epoch", 1, 9)


def train(config: dict[str, Any]) -> None:
    for epoch in range(1, 10):
        rung.report(epoch, loss=float(config["x"]) + 1.0 / epoch)


def ends(scheduler: str, **limits: Any) -> tuple[list[int], str | None]:
    """How far each configuration came, by its value; and why the study ended."""
    result = rung.tune(
        train, SPACE, resource=LADDER, sampler="random", scheduler=scheduler, executor="inline", **limits
    )
    far = {trial.config["x"]: trial.resource for trial in result.trials}
    return [far[x] for x in range(9)], result.reason


@pytest.mark.parametrize("scheduler", ["asha", "async-hyperband", "hyper-tune"])
def test_a_budget_is_spent_when_the_space_is_used_up(scheduler):
    far, reason = ends(scheduler, total_resource=1000)
    assert far == [9] * 9
    assert reason == "exhausted"


def test_the_best_go_first():
    far, reason = ends("asha", total_resource=50)
    assert reason == "total_resource"
    assert far == sorted(far, reverse=True)
    assert sum(each == 9 for each in far) > 1  # one by the rule


def test_a_number_of_trials_is_no_budget():
    far, reason = ends("asha", trials=100)
    assert reason == "exhausted"
    assert far.count(1) >= 3


@pytest.mark.parametrize("scheduler", ["asha", "async-hyperband", "hyper-tune", "mo-asha"])
def test_a_number_of_trials_is_an_end_also_beside_a_budget(scheduler):
    """So that no order of results, and no space, makes the study cost more than its plan says."""
    for size, trials in [(3, 4), (9, 12), (30, 33)]:
        study = rung.Study(
            {"x": Ordinal(list(range(size)))},
            sampler="random",
            scheduler=scheduler,
            resource=("epoch", 1, 27),
            trials=trials,
            total_resource=10_000,
            seed=0,
        )
        planned = plan(study.identity, study.history.limits)
        assert planned.most.afresh < 10_000
        while (job := study.ask()) is not None:
            study.tell(job, float(job.config["x"]))
        assert study.history.exhausted
        assert study.history.spent <= planned.most.afresh


def test_what_was_told_before_uses_a_space_up_as_well():
    study = rung.Study(
        SPACE, sampler="random", scheduler="asha", resource=LADDER, trials=9, total_resource=1000, seed=0
    )
    for x in range(5):
        study.tell({"x": x}, 1.0)
    planned = plan(study.identity, study.history.limits)
    while (job := study.ask()) is not None:
        study.tell(job, 1.0)
    assert study.history.exhausted
    assert study.history.spent <= planned.most.afresh
