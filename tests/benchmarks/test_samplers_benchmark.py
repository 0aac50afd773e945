"""The benchmark of suggestions measures every sampler and scheduler, the fold's cost included."""

from __future__ import annotations

import time

import pytest
from benchmarks.samplers import decisions, entries, subject
from benchmarks.samplers.subject import Study, Timed, measured

from rung.samplers import SAMPLERS
from rung.samplers.random import RandomSampler
from rung.schedulers import SCHEDULERS
from rung.trials.events import Spec


def test_every_sampler_and_scheduler_is_measured():
    assert {entry.name for entry in entries.ENTRIES} == set(SAMPLERS)
    assert set(decisions.NAMES) == set(SCHEDULERS)


def test_a_sampler_without_state_has_no_fold_to_be_told():
    assert not hasattr(Timed(RandomSampler()), "fold")


class Slow:
    """A sampler whose suggestion and fold take a known time on a clock of the test's."""

    def __init__(self, clock):
        self.clock = clock

    def initial(self, identity):
        return []

    def fold(self, state, item):
        self.clock[0] += 10.0
        return state

    def suggest(self, space, history, request, rng):
        self.clock[0] += 1.0
        return RandomSampler().suggest(space, history, request, rng)


def test_the_cost_of_a_step_is_the_suggestions_and_the_folds(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(subject, "make_sampler", lambda spec: Slow(clock))
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    study = Study(Spec("slow"), own=True, ladder=False, believed=False)
    assert study.step() == 21.0  # a suggestion, a job that starts, a result


def test_medians_and_means_are_in_milliseconds(monkeypatch):
    costs = iter([9.0, 9.0, 0.001, 0.001, 0.004, 0.001, 0.003])
    cost = measured(lambda: next(costs), seconds=0.0, least=5)
    assert cost == pytest.approx((1.0, 2.0, 5))


@pytest.mark.parametrize("name", sorted(set(SCHEDULERS) - set(decisions.MODELS)))
def test_the_driver_keeps_workers_busy(name):
    driver = decisions.Driver(name)
    driver.grow(300)
    assert driver.results == 300
    assert sum(len(column) for column in driver.history.results.values()) == 300
    assert driver.step() > 0.0


def test_a_peers_figure_stands_in_the_row_and_the_ratio_below(monkeypatch):
    monkeypatch.setattr(entries, "call", lambda *_, **__: {"median": 1000.0, "mean": 1000.0})
    monkeypatch.setattr(entries, "measured", lambda *_: subject.Cost(2.0, 3.0, 7))
    beside = entries.Beside("Peer", "optuna", {})
    entry = entries.Entry("random", targets={20: 5.0}, beside=(beside, beside), times=15.0, sizes=(10, 20))
    rows = list(entries.rows_of(entry))
    assert [(row.what, row.figure) for row in rows] == [
        ("random, 10 observations", 2.0),
        ("  Peer", 1000.0),
        ("random, 20 observations", 2.0),
        ("  Peer", 1000.0),
        ("  Peer against random", 500.0),
    ]
    assert rows[2].target == 5.0
    assert rows[2].met
    assert rows[4].met
