"""TuRBO: its state beside a slow version of the paper's, its candidates, and what it is for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from rung.samplers import turbo
from rung.samplers.base import Request
from rung.samplers.trust_region import Region
from rung.samplers.turbo import Local, State, TurboSampler
from rung.space.compiled import CompiledSpace, compile_space
from rung.space.domains import Categorical, Choice, Float, Integer, Space
from rung.space.draws import Rng
from rung.space.rules import Forbidden, Is
from rung.trials.events import Goal, JobFinished, JobStarted, Origin
from rung.trials.history import Measure, Result
from support.problems import best_value, sphere_of

PLANE = compile_space({"x": Float(0, 1), "y": Float(0, 1)})
MIXED = compile_space(
    Space(
        {
            "x": Float(0, 1),
            "kind": Choice({"a": {"m": Integer(1, 500)}, "b": {}, "c": {}}),
            "flag": Categorical([True, False, None]),
        },
        [],
        [Forbidden(Is("kind", equals="b") & Is("flag", equals=True))],
    )
)


def started(trial: int, fidelity: int | None = None) -> JobStarted:
    origin = Origin("turbo", fidelity is not None, fidelity)
    return JobStarted(trial, fidelity or 1, values=(0.5, 0.5), origin=origin)


class Slow:
    """The authors' loop, for results that come one by one: counters over lists, at one fidelity."""

    def __init__(self, limit: int) -> None:
        self.limit, self.restarts = limit, 0
        self.begin()

    def begin(self) -> None:
        self.length, self.successes, self.failures = 0.8, 0, 0
        self.values: list[float] = []

    def adjust(self, value: float) -> None:
        best = min(self.values, default=math.inf)
        if value < (best - 1e-3 * abs(best) if best < math.inf else math.inf):
            self.successes += 1
            self.failures = 0
        else:
            self.successes = 0
            self.failures += 1
        if self.successes == 3:
            self.length = min(2.0 * self.length, 1.6)
            self.successes = 0
        elif self.failures == self.limit:
            self.length /= 2.0
            self.failures = 0
        self.values.append(value)
        if self.length < 0.5**7:
            self.restarts += 1
            self.begin()


STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6), st.integers(-9, 3).map(float) | st.just(math.inf)),
    max_size=250,
)


@settings(deadline=None, max_examples=150)
@given(STEPS)
def test_the_state_is_the_papers_with_results_in_any_order(steps):
    """A step starts a trial, by the model or not, and gives a result to one that waits."""
    sampler, state, slow = TurboSampler(), State(4, 2), Slow(4)
    waiting: list[tuple[int, int | None]] = []  # trial, and the restarts before it if a model proposed it
    for trial, (model, which, value) in enumerate(steps):
        state = sampler.fold(state, started(trial, 1 if model else None))
        waiting.append((trial, slow.restarts if model else None))
        done, region = waiting.pop(which % len(waiting))
        state = sampler.fold(state, Result(done, 1, value, 0))
        if region is None:
            slow.values.append(value)
        elif region == slow.restarts:
            slow.adjust(value)
        search = state.searches[1]
        assert (search.restarts, search.region.length) == (slow.restarts, slow.length)
        assert (search.region.successes, search.region.failures) == (slow.successes, slow.failures)
        assert search.region.best == min(slow.values, default=math.inf)
        assert len(search.members) == len(slow.values)


def test_each_fidelity_has_its_own_search():
    sampler, state = TurboSampler(), State(4, 2)
    state = sampler.fold(state, started(0, 3))
    state = sampler.fold(state, Result(0, 3, 1.0, 0))
    state = sampler.fold(state, Result(0, 9, 2.0, 0))
    assert state.searches[3].region == Region(successes=1, best=1.0)
    assert state.searches[9].region == Region(best=2.0)  # another fidelity's model proposed it


def test_a_later_job_of_a_trial_does_not_count_as_a_proposal():
    state = TurboSampler().fold(State(4, 2), JobStarted(0, 9))
    assert state.asked == {}


def test_several_objectives_succeed_where_none_dominates():
    search = Local()

    def told(trial: int, vector: tuple[float, ...], violation: float = 0.0) -> int:
        nonlocal search
        value = 1e306 * (2 - 1 / (1 + violation)) if violation else vector[0]
        search = search.take(Result(trial, 1, value, 0, True, Measure(vector, violation)), True, 4)
        return search.region.successes

    assert told(0, (5.0, 5.0), 2.0) == 1
    assert told(1, (5.0, 5.0), 3.0) == 0
    assert told(2, (2.0, 2.0)) == 1
    assert told(3, (1.0, 3.0)) == 2
    assert told(4, (1.0, 3.0)) == 0
    assert told(5, (0.0, 0.0)) == 1
    assert search.front == [(0.0, 0.0)]
    assert told(6, (0.0, 0.0), 1.0) == 0


def record_of(recorder: Any, space: CompiledSpace, sampler: TurboSampler, count: int, loss: Any) -> Any:
    record = recorder(sampler, space)
    for number in range(count):
        values = space.sample(0, number)
        record.trial(values, loss(values))
    return record


def bowl(values: Any) -> float:
    return float((values[0] - 0.3) ** 2 + (values[1] - 0.6) ** 2)


def suggest(record: Any, number: int = 100, space: CompiledSpace = PLANE, **more: Any) -> Any:
    return TurboSampler(**more).suggest(space, record.history, Request(1), Rng(0, number))


def test_a_search_begins_with_a_spread_design(recorder):
    record = record_of(recorder, PLANE, TurboSampler(), 3, bowl)
    assert suggest(record).origin == turbo._SPREAD
    record.trial((0.5, 0.5), 0.1)
    assert suggest(record).origin == Origin("turbo", True, 1)
    wide = {f"x{i}": Float(0, 1) for i in range(200)}
    state = record_of(recorder, compile_space(wide), TurboSampler(), 0, bowl).history.sampler
    assert (state.first, state.limit) == (100, 200)


def test_suggestions_stay_in_the_region(recorder):
    record = record_of(recorder, PLANE, TurboSampler(), 30, bowl)
    record.trial((0.5, 0.5), -1.0)
    search = record.history.sampler.searches[1]
    search.region = search.region._replace(length=0.1)
    found = np.array([suggest(record, number).values for number in range(40)])
    widths = np.ptp(found, axis=0)
    assert widths.prod() <= 0.1**2 * 1.001
    assert len({tuple(row) for row in found.tolist()}) == 40


def test_a_restart_forgets_and_begins_with_a_spread_design(recorder):
    sampler = TurboSampler()
    record = record_of(recorder, PLANE, sampler, 6, bowl)
    restarts = 0
    while not restarts:
        suggestion = suggest(record, len(record.history))
        record.trial(suggestion.values, 9.0, origin=suggestion.origin)  # never better
        restarts = record.history.sampler.searches[1].restarts
    assert len(record.history) == 6 + 7 * 4
    assert record.history.sampler.searches[1].members == []
    assert suggest(record).origin == turbo._SPREAD


def test_suggestions_for_a_mixed_space_are_legal(recorder):
    sampler = TurboSampler(start=4)

    def loss(values: Any) -> float | None:
        x, kind, m, flag = values
        return None if flag is None else abs(x - 0.5) + (m / 500 if kind == "a" else 1.0)

    assert MIXED.names == ("x", "kind", "m", "flag")
    record = record_of(recorder, MIXED, sampler, 8, loss)
    for number in range(8, 25):
        suggestion = suggest(record, number, MIXED, start=4)
        assert suggestion.origin.model
        assert MIXED.from_mapping(MIXED.to_mapping(suggestion.values)) == suggestion.values
        record.trial(suggestion.values, loss(suggestion.values), origin=suggestion.origin)
    losses = list(record.history.results[1].values)
    assert min(losses[8:]) < min(losses[:8])


def test_several_objectives(recorder):
    sampler = TurboSampler()
    record = recorder(sampler, PLANE, goals=(Goal("loss"), Goal("other")))
    for number in range(12):
        suggestion = suggest(record, number)
        metrics = {"loss": bowl(suggestion.values), "other": suggestion.values[0]}
        trial = record.start(suggestion.values, origin=suggestion.origin)
        record.history.fold(JobFinished(trial, metrics=metrics))
    assert suggestion.origin.model
    assert record.history.sampler.searches[1].front


def test_two_losses_at_least(recorder):
    record = record_of(recorder, PLANE, TurboSampler(), 8, lambda values: None)
    record.trial((0.5, 0.5), 1.0)
    assert suggest(record).origin == turbo._SPREAD
    record.trial((0.4, 0.5), 2.0)
    assert suggest(record).origin.model


@pytest.mark.parametrize(("name", "value"), [("start", 1), ("candidates", 0), ("most_points", 5)])
def test_settings_are_checked(name, value):
    with pytest.raises(ValueError, match=name):
        TurboSampler(**{name: value})


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_it_finds_more_than_random_among_many_parameters():
    problem = sphere_of(40)
    ours = [best_value(problem, "turbo", 160, seed) for seed in range(5)]
    random = [best_value(problem, "random", 160, seed) for seed in range(5)]
    assert mannwhitneyu(ours, random, alternative="less").pvalue < 0.005
    assert np.median(ours) < np.median(random) / 2
