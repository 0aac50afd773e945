"""Median and percentile stopping: against the papers' rule, written slowly."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rung
from rung.errors import StudyError
from rung.schedulers import make_scheduler
from rung.schedulers.base import Start, Stop
from rung.schedulers.median import Median
from rung.schedulers.percentile import Percentile
from rung.trials import events as ev
from rung.trials.events import JobStarted, Limits, TrialStopped
from rung.trials.history import Result
from support.beside import Beside, idle
from support.driver import Driver, identity

choices = st.lists(st.integers(0, 10**6), max_size=80)


class PaperStanding:
    """The rule as it is written, from all that happened so far, at every decision."""

    def __init__(self, rule: Median | Percentile, gates: list[int], largest: int) -> None:
        self.rule, self.gates, self.largest = rule, gates, largest

    def initial(self, identity):
        return []

    def fold(self, items, item):
        return [*items, item]

    def next(self, history):
        doomed = self.doomed(history.scheduler)
        if doomed:
            return Stop(doomed[0])
        return Start(self.largest, gates=tuple(self.gates)) if history.may_start else idle(history)

    def doomed(self, items) -> list[int]:
        curves: dict[int, dict[int, float]] = {}
        finished: list[dict[int, float]] = []
        doomed: list[int] = []
        for item in items:
            if isinstance(item, JobStarted):
                curves[item.trial] = {}
            elif isinstance(item, TrialStopped):
                doomed.remove(item.trial)
                finished.append(curves.pop(item.trial, {}))
            else:
                self.told(item, curves, finished, doomed)
        return doomed

    def told(self, item: Result, curves, finished, doomed) -> None:
        curve = curves.get(item.trial)
        if curve is not None and item.value == np.inf:
            del curves[item.trial]
            doomed.append(item.trial)
        elif curve is not None and item.resource == self.largest:
            finished.append(curves.pop(item.trial))
        elif curve is not None:
            curve[item.resource] = item.value
            running = [other for trial, other in curves.items() if trial != item.trial]
            if self.worse(curve, item.resource, finished, running) and item.trial not in doomed:
                doomed.append(item.trial)
        if item.ended and item.trial in doomed:
            doomed.remove(item.trial)

    def worse(self, curve, gate, finished, running) -> bool:
        others = finished + (running if self.rule.running else [])
        marks = [self.mark(other, gate) for other in others if gate in other]
        if len(marks) < self.rule.min_trials or gate < self.rule.min_resource:
            return False
        median = isinstance(self.rule, Median)
        mark = statistics.median(marks) if median else np.percentile(marks, self.rule.percentile)
        return min(curve.values()) > mark and not np.isclose(min(curve.values()), mark, rtol=1e-9, atol=0)

    def mark(self, curve, gate) -> float:
        if isinstance(self.rule, Percentile) and not self.rule.averages:
            return curve[gate]
        upto = [value for resource, value in curve.items() if resource <= gate]
        return sum(upto) / len(upto)


RULES = [
    Median(),
    Median(min_trials=1),
    Median(interval=4, min_trials=2, min_resource=8),
    Percentile(min_trials=2),
    Percentile(percentile=60.0, averages=True, min_trials=2),
    Median(min_trials=1, running=True),
    Percentile(percentile=60.0, min_trials=2, running=True),
]


@pytest.mark.parametrize("rule", RULES)
@given(n=st.integers(1, 24), slots=st.integers(1, 6), numbers=choices, values=st.sampled_from([2, 6, 30]))
@settings(max_examples=25, deadline=None)
def test_it_stops_whom_the_paper_stops(rule, n, slots, numbers, values):
    gates = [4, 8, 12, 16, 20, 24] if rule.interval else [1, 3, 9]
    both = Beside(rule, PaperStanding(rule, gates, 27))
    Driver(both, identity(1, 27, 3), Limits(trials=n), workers=slots, choices=numbers, values=values).run()


def test_running_trials_count_if_asked_for():
    """Three run, the third is worse than both; nobody has ended."""
    for running, stops in ((False, False), (True, True)):
        scheduler = Median(min_trials=2, running=running)
        driver = Driver(scheduler, identity(1, 9, 3), Limits(trials=3), workers=3)
        assert not driver.decide()
        for trial, value in enumerate([1.0, 2.0, 3.0]):
            driver.reports(driver.history.running[trial].job, 1, "value", value)
        assert isinstance(driver.ask(), Stop) == stops


@pytest.mark.parametrize("running", [False, True])
def test_marks_of_a_trial_that_fails_count_no_more(running):
    driver = Driver(Median(min_trials=1, running=running), identity(1, 9, 3), Limits(trials=2), workers=2)
    driver.decide()
    good, other = (run.job for run in driver.history.running.values())
    driver.reports(good, 1, "value", 0.0)
    driver.fails(good, ev.Failure.ERROR, 3, stopping=False)
    driver.reports(other, 1, "value", 5.0)
    assert not isinstance(driver.ask(), Stop)


def test_a_plateau_stops_nobody_though_means_of_equal_values_are_a_little_less():
    assert (0.7 + 0.7 + 0.7) / 3 < 0.7
    driver = Driver(Median(min_trials=1), identity(1, 27, 3), Limits(trials=2), workers=1)
    for trial in range(2):
        assert not driver.decide()
        job = driver.history.running[trial].job
        for gate in (1, 3, 9):
            driver.reports(job, gate, "value", 0.7)
            assert not isinstance(driver.ask(), Stop)
        driver.reports(job, 27, "value", 0.7)


def test_the_best_value_so_far_is_compared_with_the_median_of_running_averages():
    """0.3, then 9 at the next rung: as its best is 0.3 it goes on; with averages of 1 and 5 others stop."""
    driver = Driver(Median(min_trials=2), identity(1, 9, 3), Limits(trials=4), workers=1)
    for first, second in ((1.0, 9.0), (1.0, 1.0), (0.3, 9.0)):
        assert not driver.decide()
        (job,) = [running.job for running in driver.history.running.values()]
        driver.reports(job, 1, "value", first)
        assert not driver.decide()
        driver.reports(job, 3, "value", second)
        assert not driver.decide()
        driver.reports(job, 9, "value", second)
    assert not driver.decide()
    driver.reports(driver.history.running[3].job, 1, "value", 1.0)  # equal to the median
    assert not isinstance(driver.ask(), Stop)
    driver.reports(driver.history.running[3].job, 3, "value", 1.0)  # averages 5, 1 and 4.65
    assert not isinstance(driver.ask(), Stop)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Median(interval=0), "interval of at least 1"),
        (lambda: Median(min_trials=0), "at least 1 trial"),
        (lambda: Median(min_resource=-1), "min_resource"),
        (lambda: Percentile(percentile=0.0), "above 0 and below 100"),
        (lambda: Percentile(percentile=100.0), "above 0 and below 100"),
        (lambda: make_scheduler(ev.Spec("percentile", {"min_trials": 0})), "at least 1 trial"),
    ],
)
def test_nonsense_is_refused(wrong, message):
    with pytest.raises(StudyError, match=message):
        wrong()


@pytest.mark.parametrize("scheduler", ["median", "percentile"])
def test_the_best_is_found_with_less_than_all_of_the_resource(scheduler):
    def curve(trial):
        for epoch in range(1, 28):
            trial.report(epoch, loss=trial.config["x"] + 1.0 / epoch)

    spent = []
    for chosen in ("plain", scheduler):
        result = rung.tune(
            curve,
            {"x": rung.Float(0, 1)},
            resource=("epoch", 1, 27),
            sampler="random",
            scheduler=chosen,
            trials=60,
            seed=3,
        )
        spent.append(sum(trial.resource for trial in result.trials))
        best = min(result.trials, key=lambda trial: trial.config["x"])
        assert result.best.number == best.number
    assert spent[1] < 0.7 * spent[0]
