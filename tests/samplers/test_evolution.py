"""Ageing evolution beside the paper's pseudocode; who enters, who dies, who is a parent; against random."""

from __future__ import annotations

import copy
import math
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rung.samplers.base import Request
from rung.samplers.evolution import EvolutionSampler
from rung.samplers.moves import neighbour
from rung.space import to_json
from rung.space.compiled import compile_space
from rung.space.domains import Float, Space
from rung.space.draws import Rng
from rung.trials.events import Goal, JobFinished, JobStarted, Origin, SpaceChanged
from rung.trials.history import Result
from support.problems import CONDITIONAL, COUNTING_ONES, HARTMANN6, best_value

LINE = compile_space({"x": Float(0, 1)})


def searched(record, sampler, space, function, trials, seed=0):
    """Configurations that a sequential search suggests."""
    found = []
    for number in range(trials):
        suggestion = sampler.suggest(space, record.history, Request(1), Rng(seed, number))
        record.trial(suggestion.values, function(suggestion.values), origin=suggestion.origin)
        found.append(suggestion.values)
    return found


def algorithm_1(space, function, cycles, population_size, sample_size, seed):
    """Real et al. 2019, Algorithm 1, line by line; random choices by trial number as the sampler's."""
    population = deque()
    history = []
    while len(population) < population_size:
        model = space.sample(seed, len(history))
        population.append((model, function(model), len(history)))
        history.append(model)
    while len(history) < cycles:
        generator = Rng(seed, len(history)).generator()
        sample = []
        places = generator.integers(len(population), size=sample_size)
        while len(sample) < sample_size:
            candidate = population[places[len(sample)]]
            sample.append(candidate)
        parent = min(sample, key=lambda member: member[1:])  # the older of equal ones
        child = neighbour(space, parent[0], generator)
        population.append((child, function(child), len(history)))
        history.append(child)
        population.popleft()
    return history


@pytest.mark.parametrize(("population", "sample"), [(20, 10), (5, 1), (1, 1), (7, 30)])
def test_it_is_the_papers_algorithm(recorder, population, sample):
    space = compile_space(CONDITIONAL.space)

    def function(values):
        return CONDITIONAL.function(space.to_mapping(values))

    sampler = EvolutionSampler(population, sample)
    found = searched(recorder(sampler, space), sampler, space, function, 150, seed=3)
    assert found == algorithm_1(space, function, 150, population, sample, 3)


def test_the_origin_names_the_parent_and_the_fidelity(recorder):
    sampler = EvolutionSampler(population=2, sample=8)
    record = recorder(sampler, LINE)
    record.trial((0.5,), 1.0, until=3)
    record.trial((0.7,), 0.0, until=1)
    suggestion = sampler.suggest(LINE, record.history, Request(1), Rng(0, 2))
    assert suggestion.origin == Origin("evolution", True, 3, 0)  # the larger fidelity stands first
    assert suggestion.values != (0.5,)


def test_random_until_the_population_is_there_counting_what_is_under_way(recorder):
    sampler = EvolutionSampler(population=3)
    record = recorder(sampler, LINE)
    assert not sampler.suggest(LINE, record.history, Request(1), Rng(0, 0)).origin.model
    record.start((0.1,))
    record.start((0.2,))
    record.trial((0.3,), None)  # fails: it does not count
    record.result(0, 1.0)
    assert not sampler.suggest(LINE, record.history, Request(1), Rng(0, 3)).origin.model
    record.start((0.4,))  # one member, two under way
    assert sampler.suggest(LINE, record.history, Request(1), Rng(0, 4)).origin.model


def members(record):
    return {t: (m.resource, m.value) for t, m in record.history.sampler.members.items()}


def test_age_counts_from_the_first_result_and_failures_do_not_enter(recorder):
    record = recorder(EvolutionSampler(population=2), LINE)
    for _ in range(4):
        record.start((0.5,))
    record.result(2, 9.0)
    record.result(0, 1.0)
    record.result(1, None)
    assert list(members(record)) == [2, 0]
    tell = EvolutionSampler(2).fold
    tell(record.history.sampler, JobStarted(2, 3, attempt=1))
    assert record.history.sampler.waiting == {3}  # a trial that goes on is none that comes
    tell(record.history.sampler, Result(2, 3, 4.0, 0))
    assert members(record) == {2: (3, 4.0), 0: (1, 1.0)}
    assert list(members(record)) == [2, 0]  # a later result makes it no younger
    record.result(3, 2.0)
    assert list(members(record)) == [0, 3]  # the oldest dies
    tell(record.history.sampler, Result(2, 9, 0.0, 0))
    assert list(members(record)) == [0, 3]  # the dead do not return
    tell(record.history.sampler, Result(0, 3, math.inf, 0))
    assert list(members(record)) == [3]


VALUES = st.sampled_from([0.0, 1.0, 2.0, math.inf])


@settings(deadline=None, max_examples=100)
@given(
    outcomes=st.lists(st.tuples(st.integers(0, 30), VALUES), max_size=120),
    size=st.integers(1, 6),
)
def test_the_population_is_the_youngest_that_live(outcomes, size):
    """Against a list of all that entered, in order, cut at its end."""
    sampler = EvolutionSampler(population=size)
    state = sampler.initial(None)
    begun, rung, failed = set(), {}, set()
    alive = []
    for trial, value in outcomes:
        if trial not in begun:
            begun.add(trial)
            state = sampler.fold(state, JobStarted(trial, 1, values=(0.5,)))
            continue
        if trial in failed:
            continue
        first = trial not in rung
        rung[trial] = rung.get(trial, 0) + 1
        state = sampler.fold(state, Result(trial, rung[trial], value, 0))
        if value == math.inf:
            failed.add(trial)
            alive = [other for other in alive if other != trial]
        elif first:
            alive = [*alive, trial][-size:]
        assert list(state.members) == alive
        assert all(state.members[other].resource == rung[other] for other in alive)
    assert state.waiting == begun - set(rung)


def test_several_objectives_are_compared_by_fronts(recorder):
    sampler = EvolutionSampler(population=3, sample=60)
    record = recorder(sampler, LINE, goals=(Goal("loss"), Goal("other")))
    for x, vector in ((0.1, (0.0, 9.0)), (0.5, (5.0, 5.0)), (0.9, (6.0, 6.0))):
        number = record.start((x,))
        metrics = dict(zip(("loss", "other"), vector, strict=True))
        record.history.fold(JobFinished(number, metrics=metrics))
    parents = {
        sampler.suggest(LINE, record.history, Request(1), Rng(0, n)).origin.parent for n in range(3, 40)
    }
    assert parents <= {0, 1}  # the third is dominated; the first two are the front


def test_a_changed_space_keeps_the_population(recorder):
    sampler = EvolutionSampler(population=4)
    record = recorder(sampler, LINE).random_trials(LINE, [1.0, 2.0, None, 3.0, 0.5])
    before = members(record)
    record.history.fold(SpaceChanged(to_json(Space({"x": Float(0, 1), "y": Float(0, 1)}))))
    assert members(record) == before
    suggestion = sampler.suggest(record.history.space, record.history, Request(1), Rng(0, 5))
    assert suggestion.origin.model
    assert len(suggestion.values) == 2


@pytest.mark.parametrize(
    ("problem", "trials"),
    [(HARTMANN6, 100), (CONDITIONAL, 200), (COUNTING_ONES, 100)],
    ids=["hartmann6", "conditional", "counting ones"],
)
def test_better_than_random(problem, trials):
    """Mann-Whitney, one-sided, of the best values over 12 seeds."""
    own = [best_value(problem, "evolution", trials, seed) for seed in range(12)]
    random = [best_value(problem, "random", trials, seed) for seed in range(12)]
    assert stats.mannwhitneyu(own, random, alternative="less").pvalue < 0.01


@pytest.mark.parametrize(("name", "value"), [("population", 0), ("sample", 0), ("sample", -3)])
def test_settings_outside_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not {value}"):
        EvolutionSampler(**{name: value})


def test_a_replayed_history_suggests_the_same(recorder):
    sampler = EvolutionSampler(population=5)
    record = recorder(sampler, LINE).random_trials(LINE, np.linspace(1, 0, 30).tolist())
    twin = copy.deepcopy(record.history)
    asked = [sampler.suggest(LINE, h, Request(1), Rng(0, 30)) for h in (record.history, twin)]
    assert asked[0] == asked[1]
