"""The chain beside a textbook's, the rule of Metropolis by counting, late results, fidelities, restarts."""

from __future__ import annotations

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rung.samplers.anneal import _STREAM, WINDOW, AnnealSampler
from rung.samplers.base import Request
from rung.samplers.moves import neighbour
from rung.space.compiled import compile_space
from rung.space.domains import Float
from rung.space.draws import Rng, key
from rung.trials.events import Constraint, JobFinished, JobStarted, Origin
from rung.trials.history import Measure, Result
from support.problems import CONDITIONAL, COUNTING_ONES, HARTMANN6, best_value

LINE = compile_space({"x": Float(0, 1)})


def quartiles(values):
    ordered = sorted(values)
    return ordered[3 * len(ordered) // 4] - ordered[len(ordered) // 4]


def textbook(space, function, trials, seed, sampler):
    """Simulated annealing, one configuration after the other; random choices by trial number."""
    found, losses, visited = [], [], []
    current = best = None
    steps = stuck = heated = 0
    for number in range(trials):
        if number < sampler.initial_trials or current is None:
            candidate = space.sample(seed, number)
        else:
            candidate = neighbour(space, current[0], Rng(seed, number).generator())
        loss = function(candidate)
        found.append(candidate)
        temperature = 0.0
        if number >= sampler.initial_trials and len(losses) >= 4:
            temperature = sampler.heat * sampler.cooling**steps * quartiles(losses[-WINDOW:])
        if current is None or loss <= current[1]:
            current = (candidate, loss)
        elif temperature > 0.0:
            chance = (key(0, _STREAM, number, 1) >> 11) * 2.0**-53
            if chance < math.exp((current[1] - loss) / temperature):
                current = (candidate, loss)
        losses.append(loss)
        visited.append(current)
        if number >= sampler.initial_trials:
            steps += 1
        stuck += 1
        if best is None or loss < best[1]:
            best, stuck = (candidate, loss), 0
        if stuck > sampler.patience:
            heated += 1
            steps = stuck = 0
            current = best if heated % 2 == 1 else None
    return found, visited, heated


def searched(record, sampler, space, function, trials):
    found = []
    for number in range(trials):
        suggestion = sampler.suggest(space, record.history, Request(1), Rng(0, number))
        record.trial(suggestion.values, function(suggestion.values), origin=suggestion.origin)
        found.append(suggestion.values)
    return found


@pytest.mark.parametrize(
    "sampler",
    [
        AnnealSampler(),
        AnnealSampler(heat=0.0),
        AnnealSampler(initial_trials=12, heat=2.0, cooling=0.99, patience=10),
        AnnealSampler(initial_trials=1, heat=1.0, cooling=1.0, patience=3),
    ],
)
def test_one_worker_walks_the_textbooks_chain(recorder, sampler):
    space = compile_space(CONDITIONAL.space)

    def function(values):
        return CONDITIONAL.function(space.to_mapping(values))

    expected, visited, heated = textbook(space, function, 250, 0, sampler)
    record = recorder(sampler, space)
    assert searched(record, sampler, space, function, 250) == expected
    state = record.history.sampler
    assert state.restarts == heated
    if state.current is not None:
        assert record.history.values[state.current] == visited[-1][0]
    if sampler.patience <= 10:
        assert heated >= 2
    if sampler.heat > 1.0:
        assert any(later[1] > earlier[1] for earlier, later in pairwise(visited))  # it does go uphill


def warm(sampler, losses, resource=1, seed=0):
    """A state in which the first of these losses is the current one's, and the least."""
    state = sampler.initial(None) if seed is None else sampler.initial(Seeded(seed))
    for trial, loss in enumerate(losses):
        state = sampler.fold(state, JobStarted(trial, resource, values=(0.5,)))
        state = sampler.fold(state, Result(trial, resource, loss, 0))
    return state


class Seeded:
    """As much of a study's identity as a chain reads."""

    def __init__(self, seed):
        self.seed = seed


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("cooled", [0, 3])
def test_worse_by_d_is_accepted_with_probability_exp_of_minus_d_by_temperature(ratio, cooled):
    sampler = AnnealSampler(initial_trials=5, heat=0.3, cooling=0.8)
    state = warm(sampler, [1.0, 2.0, 3.0, 4.0, 5.0])
    state.cooled = cooled
    temperature = sampler.temperature(state, 1)
    assert temperature == pytest.approx(0.3 * 0.8**cooled * (4.0 - 2.0))
    asked = 4000
    taken = sum(
        sampler.accepts(state, Result(n, 1, 1.0 + ratio * temperature, 0)) for n in range(5, 5 + asked)
    )
    assert stats.binomtest(taken, asked, math.exp(-ratio)).pvalue > 1e-3
    assert all(sampler.accepts(state, Result(n, 1, 1.0, 0)) for n in range(5, 100))  # never worse: always


def test_the_random_number_belongs_to_the_trial(recorder):
    sampler = AnnealSampler(heat=0.3)
    state = warm(sampler, [1.0, 2.0, 3.0, 4.0, 5.0])
    item = Result(77, 1, 1.4, 0)
    assert len({sampler.accepts(copy.deepcopy(state), item) for _ in range(5)}) == 1
    first = [sampler.accepts(state, Result(n, 1, 1.4, 0)) for n in range(60)]
    other = warm(sampler, [1.0, 2.0, 3.0, 4.0, 5.0], seed=1)
    assert [sampler.accepts(other, Result(n, 1, 1.4, 0)) for n in range(60)] != first


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**40])
def test_the_metrics_scale_is_of_no_account(recorder, scale):
    space = compile_space(HARTMANN6.space)
    sampler = AnnealSampler(heat=0.5)

    def function(values):
        return HARTMANN6.function(space.to_mapping(values))

    plain = searched(recorder(sampler, space), sampler, space, function, 120)
    scaled = searched(recorder(sampler, space), sampler, space, lambda v: scale * function(v), 120)
    assert plain == scaled


def test_a_late_result_is_judged_against_what_is_current_then(recorder):
    sampler = AnnealSampler(initial_trials=1, heat=0.0)
    record = recorder(sampler, LINE)
    record.trial((0.5,), 5.0)
    asked = [sampler.suggest(LINE, record.history, Request(1), Rng(0, 1 + n)) for n in range(3)]
    assert len({suggestion.values for suggestion in asked}) == 3
    assert {suggestion.origin for suggestion in asked} == {Origin("anneal", True, 1, 0)}
    first, second, third = (record.start(s.values, origin=s.origin) for s in asked)
    record.result(third, 2.0)
    assert record.history.sampler.current == third
    record.result(first, 4.0)  # better than where it came from, not than what is current now
    assert record.history.sampler.current == third
    record.result(second, 1.0)
    assert record.history.sampler.current == second


def test_trials_of_others_are_judged_too(recorder):
    sampler = AnnealSampler(initial_trials=1)
    record = recorder(sampler, LINE)
    record.trial((0.5,), 5.0)
    record.trial((0.9,), 1.0, origin=Origin("enqueued"))
    assert record.history.sampler.current == 1


def test_results_are_compared_at_the_same_fidelity():
    sampler = AnnealSampler(initial_trials=1, heat=0.0)
    state = warm(sampler, [5.0])

    def tell(trial, resource, loss):
        sampler.fold(state, Result(trial, resource, loss, 0))
        return state.current

    assert tell(1, 1, 6.0) == 0
    assert tell(1, 3, 9.0) == 1  # got farther than the current one: its scheduler chose it
    assert tell(2, 1, 5.5) == 2  # at fidelity 1 better than trial 1, which had 6.0 there
    assert tell(3, 3, 4.0) == 3
    assert tell(0, 3, 1.0) == 0
    assert tell(4, 9, 7.0) == 4
    assert tell(5, 1, 0.0) == 4  # nothing is known of trial 4 at fidelity 1


def test_a_current_trial_that_fails_later_gives_way_to_the_best():
    sampler = AnnealSampler(initial_trials=1, heat=0.0)
    state = warm(sampler, [5.0, 4.0])
    sampler.fold(state, Result(2, 3, 8.0, 0))
    sampler.fold(state, Result(0, 9, 9.0, 0))
    assert (state.best, state.current) == (0, 0)
    sampler.fold(state, Result(0, 27, math.inf, 0))
    assert (state.best, state.current) == (2, 2)
    for trial in (2, 1):
        sampler.fold(state, Result(trial, 27, math.inf, 0))
    assert (state.best, state.current) == (None, None)
    sampler.fold(state, Result(3, 1, 7.0, 0))
    assert (state.best, state.current) == (3, 3)
    sampler.fold(state, Result(4, 1, math.inf, 0))
    assert (state.best, state.current) == (3, 3)


def test_restarts_in_turn_from_the_best_and_from_a_random_configuration(recorder):
    sampler = AnnealSampler(initial_trials=1, heat=0.0, patience=3)
    record = recorder(sampler, LINE)
    record.trial((0.5,), 1.0)
    late = record.start((0.4,))
    for _ in range(4):
        record.trial((0.6,), 2.0)
    state = record.history.sampler
    assert (state.restarts, state.cooled, state.current) == (1, 0, 0)
    for _ in range(4):
        record.trial((0.6,), 2.0)
    assert (state.restarts, state.current) == (2, None)
    suggestion = sampler.suggest(LINE, record.history, Request(1), Rng(0, 10))
    assert suggestion.origin == Origin("anneal")
    assert suggestion.values == LINE.sample(0, 10)
    fresh = record.start(suggestion.values)
    record.result(late, 1.5)
    assert state.current is None  # a neighbour from before is no beginning
    record.result(fresh, 9.0)
    assert state.current == fresh


def test_constraints_come_first(recorder):
    sampler = AnnealSampler(initial_trials=1, heat=10.0)
    record = recorder(sampler, LINE, constraints=(Constraint("size", 10.0),))

    def tell(loss, size):
        record.history.fold(JobFinished(record.start((0.5,)), metrics={"loss": loss, "size": size}))
        return record.history.sampler.current

    assert tell(0.0, 30.0) == 0
    assert tell(0.0, 40.0) == 0
    assert tell(9.0, 20.0) == 2
    assert tell(50.0, 10.0) == 3
    assert tell(0.0, 10.1) == 3
    assert tell(1.0, 5.0) == 5


def test_several_objectives_by_how_many_dominate():
    sampler = AnnealSampler(initial_trials=1, heat=0.0)
    state = sampler.initial(Seeded(0))

    def tell(trial, *vector):
        sampler.fold(state, JobStarted(trial, 1, values=(0.5,)))
        sampler.fold(state, Result(trial, 1, vector[0], 0, True, Measure(vector, 0.0)))
        return state.current

    assert tell(0, 2.0, 2.0) == 0
    assert tell(1, 1.0, 3.0) == 1  # neither dominates
    assert tell(2, 1.5, 3.5) == 1  # dominated by one of the front
    assert state.fronts[1] == [(2.0, 2.0), (1.0, 3.0)]
    assert tell(3, 1.0, 1.0) == 3
    assert state.fronts[1] == [(1.0, 1.0)]
    sampler.fold(state, Result(90, 1, 2e306, 0, True, Measure((0.0, 0.0), 1.0)))
    assert (state.current, state.fronts[1]) == (3, [(1.0, 1.0)])  # it breaks a constraint
    hot = AnnealSampler(initial_trials=1, heat=0.5, cooling=1.0)
    worse = [hot.accepts(state, Result(n, 1, 3.0, 0, True, Measure((3.0, 3.0), 0.0))) for n in range(4, 2004)]
    assert stats.binomtest(sum(worse), 2000, math.exp(-(1 / 2) / 0.5)).pvalue > 1e-3  # d: 1 of {it, (1, 1)}


LOSSES = st.sampled_from([0.0, 1.0, 2.0, 5.0, 1e300, -1e300, math.inf])


@settings(deadline=None, max_examples=100)
@given(
    outcomes=st.lists(st.tuples(st.integers(0, 25), LOSSES), max_size=120),
    patience=st.integers(1, 8),
)
def test_the_current_trial_is_a_sound_one_whatever_comes(outcomes, patience):
    sampler = AnnealSampler(initial_trials=2, heat=1.0, patience=patience)
    state = sampler.initial(Seeded(3))
    rung, values, failed = {}, {}, set()
    for trial, value in outcomes:
        if trial in failed:
            continue
        if trial not in rung:
            state = sampler.fold(state, JobStarted(trial, 1, values=(0.5,)))
        rung[trial] = rung.get(trial, 0) + 1
        state = sampler.fold(state, Result(trial, rung[trial], value, 0))
        values[trial] = value
        if value == math.inf:
            failed.add(trial)
        assert state.current not in failed
        assert state.best not in failed
        assert state.begun == state.judged == len(rung)
        assert state.best is None or state.idle <= patience
        assert all(len(losses) <= WINDOW for losses in state.losses.values())
        sound = [(-rung[t], values[t]) for t in rung if t not in failed]
        best = None if state.best is None else (-rung[state.best], values[state.best])
        assert best == min(sound, default=None)


def test_equal_losses_wander(recorder):
    sampler = AnnealSampler()
    record = recorder(sampler, LINE)
    searched(record, sampler, LINE, lambda values: 1.0, 40)
    assert record.history.sampler.current == 39


@pytest.mark.parametrize(
    ("problem", "trials"),
    [(HARTMANN6, 100), (CONDITIONAL, 200), (COUNTING_ONES, 100)],
    ids=["hartmann6", "conditional", "counting ones"],
)
def test_better_than_random(problem, trials):
    """Mann-Whitney, one-sided, of the best values over 12 seeds."""
    own = [best_value(problem, "anneal", trials, seed) for seed in range(12)]
    random = [best_value(problem, "random", trials, seed) for seed in range(12)]
    assert stats.mannwhitneyu(own, random, alternative="less").pvalue < 0.01


@pytest.mark.parametrize(
    ("name", "value", "range_"),
    [
        ("initial_trials", 0, "at least 1"),
        ("patience", 0, "at least 1"),
        ("heat", -1.0, "a number from 0"),
        ("heat", math.inf, "a number from 0"),
        ("cooling", 0.0, "above 0 and at most 1"),
        ("cooling", 1.1, "above 0 and at most 1"),
    ],
)
def test_settings_outside_their_range_are_refused(name, value, range_):
    with pytest.raises(ValueError, match=f"{name} must be {range_}, not {value}"):
        AnnealSampler(**{name: value})


def test_a_copied_history_suggests_the_same(recorder):
    sampler = AnnealSampler()
    record = recorder(sampler, LINE).random_trials(LINE, np.linspace(1, 0, 30).tolist())
    asked = [
        sampler.suggest(LINE, history, Request(1), Rng(0, 30))
        for history in (record.history, copy.deepcopy(record.history))
    ]
    assert asked[0] == asked[1]
