"""The population against a plain list of all results; parents, objectives; against random search."""

from __future__ import annotations

import copy
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rung.samplers.base import Request
from rung.samplers.genetic import GeneticSampler
from rung.samplers.population import ranked
from rung.samplers.random import RandomSampler
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Float
from rung.space.draws import Rng
from rung.trials.events import Constraint, Goal, JobFinished, JobStarted, Origin
from rung.trials.history import Measure, Result
from support.problems import CONDITIONAL, COUNTING_ONES, HARTMANN6, best_value

LINE = compile_space({"x": Float(0, 1)})
SIX = compile_space({f"x{i}": Float(0, 1) for i in range(6)})
TWO = (Goal("loss"), Goal("other"))


def trials(record):
    return [member.trial for member in record.history.sampler.members]


VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, math.inf])


@settings(deadline=None, max_examples=100)
@given(
    outcomes=st.lists(st.tuples(st.integers(0, 25), VALUES), max_size=120),
    size=st.integers(1, 6),
)
def test_the_population_is_the_best_so_far(outcomes, size):
    """GENITOR: the newcomer takes its place in the order, and the worst leaves."""
    sampler = GeneticSampler(population=size)
    state = sampler.initial(None)
    rung, failed, alive = {}, set(), []
    for trial, value in outcomes:
        if trial in failed:
            continue
        if trial not in rung:
            state = sampler.fold(state, JobStarted(trial, 1, values=(0.5,)))
        rung[trial] = rung.get(trial, 0) + 1
        state = sampler.fold(state, Result(trial, rung[trial], value, 0))
        alive = [other for other in alive if other[2] != trial]
        if value == math.inf:
            failed.add(trial)
        else:
            alive.append((-rung[trial], value, trial))
        alive = sorted(alive)[:size]
        assert [(-m.resource, m.value, m.trial) for m in state.members] == alive
    assert state.waiting == set()


def test_the_best_is_never_lost(recorder):
    sampler = GeneticSampler()
    record = recorder(sampler, SIX)
    best = math.inf
    for number in range(150):
        suggestion = sampler.suggest(SIX, record.history, Request(1), Rng(1, number))
        value = sum((x - 0.3) ** 2 for x in suggestion.values)
        record.trial(suggestion.values, value, origin=suggestion.origin)
        best = min(best, value)
        assert record.history.sampler.members[0].value == best


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_winner_of_a_tournament_follows_its_law(size, recorder):
    """Place i of n wins one of t with chance ((n - i)^t - (n - i - 1)^t) / n^t (Goldberg, Deb 1991)."""
    n, asked = 6, 3000
    sampler = GeneticSampler(population=n, tournament=size, crossover=0.0)
    record = recorder(sampler, LINE).random_trials(LINE, [float(i) for i in range(n)])
    wins = Counter(
        sampler.suggest(LINE, record.history, Request(1), Rng(0, n + k)).origin.parent for k in range(asked)
    )
    expected = [((n - i) ** size - (n - i - 1) ** size) / n**size * asked for i in range(n)]
    observed = [wins[i] for i in range(n)]
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_a_child_is_crossed_and_mutated(recorder):
    space = compile_space({f"c{i}": Categorical(["a", "b", "z"]) for i in range(20)})
    sampler = GeneticSampler(population=2, crossover=1.0)
    record = recorder(sampler, space)
    record.trial(("a",) * 20, 1.0)
    record.trial(("b",) * 20, 2.0)
    mixed = 0
    for number in range(2, 102):
        suggestion = sampler.suggest(space, record.history, Request(1), Rng(0, number))
        counts = Counter(suggestion.values)
        mixed += min(counts["a"], counts["b"]) >= 4
        assert counts["z"] <= 6
        assert suggestion.origin == Origin("genetic", True, 1, suggestion.origin.parent)
    assert 30 <= mixed <= 50  # two of the same parent in 5 of 8 tournaments' pairs; else mixed
    alone = GeneticSampler(population=2, crossover=0.0, mutation=0.0)
    child = alone.suggest(space, record.history, Request(1), Rng(0, 2)).values
    assert max(Counter(child).values()) == 19  # one is changed all the same


def test_random_until_the_population_is_there(recorder):
    sampler = GeneticSampler(population=3)
    record = recorder(sampler, LINE)
    record.start((0.1,))
    record.trial((0.3,), None)
    record.trial((0.2,), 0.0)
    assert not sampler.suggest(LINE, record.history, Request(1), Rng(0, 3)).origin.model
    record.start((0.4,))
    assert sampler.suggest(LINE, record.history, Request(1), Rng(0, 4)).origin.model


def test_failures_are_no_members_and_larger_fidelities_stand_first(recorder):
    record = recorder(GeneticSampler(population=2), LINE)
    record.trial((0.1,), 1.0)
    record.trial((0.2,), 9.0, until=3)
    record.trial((0.3,), None, until=9)
    assert trials(record) == [1, 0]
    record.trial((0.4,), 0.5)
    assert trials(record) == [1, 3]
    record.history.fold(JobStarted(0, 9, attempt=1))
    record.history.fold(JobFinished(0, attempt=1, metrics={"loss": 7.0}))
    assert trials(record) == [0, 1]  # it comes back


def fronts(vectors):
    """The fronts of vectors, by the definition: positions."""
    left, found = list(range(len(vectors))), []
    while left:
        front = [
            i
            for i in left
            if not any(
                vectors[j] != vectors[i] and all(np.array(vectors[j]) <= np.array(vectors[i])) for j in left
            )
        ]
        found.append(front)
        left = [i for i in left if i not in front]
    return found


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from([1, 3])), min_size=1, max_size=25
    )
)
def test_members_with_several_objectives_stand_by_fidelity_then_front(rows):
    results = [
        Result(t, resource, float(a), 0, True, Measure((float(a), float(b)), 0.0))
        for t, (a, b, resource) in enumerate(rows)
    ]
    order = [result.trial for result in ranked(results)]
    assert sorted(order) == list(range(len(rows)))
    for resource in (3, 1):
        level = [t for t, row in enumerate(rows) if row[2] == resource]
        own, order = order[: len(level)], order[len(level) :]
        assert sorted(own) == level
        for front in fronts([rows[t][:2] for t in level]):
            assert {level[i] for i in front} == set(own[: len(front)])
            own = own[len(front) :]


def test_constraints_come_before_objectives(recorder):
    record = recorder(GeneticSampler(population=3), LINE, constraints=(Constraint("size", 10.0),))
    for loss, size in ((5.0, 1.0), (0.0, 40.0), (1.0, 20.0), (6.0, 10.0)):
        record.history.fold(JobFinished(record.start((0.5,)), metrics={"loss": loss, "size": size}))
    assert trials(record) == [0, 3, 2]


def volume(vectors, reference=1.2):
    """The area that points of a plane dominate, up to a reference."""
    area, ceiling = 0.0, reference
    for x, y in sorted(vectors):
        if x < reference and y < ceiling:
            area += (reference - x) * (ceiling - y)
            ceiling = y
    return area


def test_a_front_is_found_better_than_by_random_search(recorder):
    """Wilcoxon's signed ranks over 10 seeds: the area that 150 trials dominate, on two shifted spheres."""

    def objectives(values):
        return tuple(sum((x - c) ** 2 for x in values) / 2 for c in (0.25, 0.75))

    areas = {"genetic": [], "random": []}
    for seed in range(10):
        for name, sampler in (("genetic", GeneticSampler()), ("random", RandomSampler())):
            record, found = recorder(sampler, SIX, goals=TWO), []
            for number in range(150):
                suggestion = sampler.suggest(SIX, record.history, Request(1), Rng(seed, number))
                found.append(objectives(suggestion.values))
                metrics = dict(zip(("loss", "other"), found[-1], strict=True))
                trial = record.start(suggestion.values, origin=suggestion.origin)
                record.history.fold(JobFinished(trial, metrics=metrics))
            areas[name].append(volume(found))
    assert stats.wilcoxon(areas["genetic"], areas["random"], alternative="greater").pvalue < 0.01


@pytest.mark.parametrize(
    ("problem", "trials"),
    [(HARTMANN6, 100), (CONDITIONAL, 200), (COUNTING_ONES, 100)],
    ids=["hartmann6", "conditional", "counting ones"],
)
def test_better_than_random(problem, trials):
    """Mann-Whitney, one-sided, of the best values over 12 seeds."""
    own = [best_value(problem, "genetic", trials, seed) for seed in range(12)]
    random = [best_value(problem, "random", trials, seed) for seed in range(12)]
    assert stats.mannwhitneyu(own, random, alternative="less").pvalue < 0.01


@pytest.mark.parametrize(
    ("name", "value", "range_"),
    [
        ("population", 0, "at least 1"),
        ("tournament", 0, "at least 1"),
        ("crossover", 1.5, "from 0 to 1"),
        ("mutation", -0.1, "from 0 to 1"),
        ("mutation", math.nan, "from 0 to 1"),
    ],
)
def test_settings_outside_their_range_are_refused(name, value, range_):
    with pytest.raises(ValueError, match=f"{name} must be {range_}, not {value}"):
        GeneticSampler(**{name: value})


def test_a_copied_history_suggests_the_same(recorder):
    sampler = GeneticSampler()
    record = recorder(sampler, SIX).random_trials(SIX, np.linspace(1, 0, 30).tolist())
    asked = [
        sampler.suggest(SIX, history, Request(1), Rng(0, 30))
        for history in (record.history, copy.deepcopy(record.history))
    ]
    assert asked[0] == asked[1]
