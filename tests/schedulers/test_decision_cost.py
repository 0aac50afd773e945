"""What a decision costs does not grow with the study: lines of Python run, not seconds."""

from __future__ import annotations

import sys

import pytest

from rung.schedulers import make_scheduler
from rung.trials.events import Limits
from support.driver import Driver, identity

NAMES = [
    "plain",
    "sha",
    "hyperband",
    "asha",
    "asha-stopping",
    "async-hyperband",
    "pasha",
    "median",
    "percentile",
    "hyper-tune",
    "race",
    "mo-asha",
]


def lines(name: str, trials: int, last: int = 150) -> float:
    """Lines of the scheduler's code run for each of the last configurations, all their jobs included."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if event == "call" and "rung/schedulers" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    goals = 2 if name == "mo-asha" else 1
    scheduler = make_scheduler(name)
    driver = Driver(scheduler, identity(1, 9, 3, goals=goals), Limits(trials=trials), workers=4, values=10**6)
    driver.ask = lambda: scheduler.next(driver.history)  # one look for each decision
    before = sys.gettrace()
    while len(driver.history) < trials - last:
        assert not driver.decide()
        driver.outcome()
    sys.settrace(trace)
    try:
        driver.run()
    finally:
        sys.settrace(before)
    return count / last


@pytest.mark.parametrize("name", NAMES)
def test_a_decision_after_many_results_costs_what_it_costs_after_few(name):
    assert lines(name, 2400) < 1.6 * lines(name, 600)
