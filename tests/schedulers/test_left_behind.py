"""Who goes on once a space is used up: promotions, and with a budget left the others, best first."""

from __future__ import annotations

from typing import Any

import pytest

import rung
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
