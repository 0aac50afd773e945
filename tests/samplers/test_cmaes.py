"""CMA-ES as a fold of the log: against the library used directly, and against random search."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from cmaes import CMA
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rung.samplers import cmaes
from rung.samplers.base import Request
from rung.samplers.cmaes import LATEST, CmaesSampler, Member, ranked_values
from rung.samplers.distributions import Mixed, Numbers
from rung.samplers.random import RandomSampler
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Choice, Float, Integer, Normal, Ordinal, Space
from rung.space.draws import Rng
from rung.space.rules import Forbidden, Is
from rung.trials.events import Origin
from rung.trials.history import BEHIND, WORST
from rung.trials.running import Measure
from support.problems import BRANIN, COUNTING_ONES, HARTMANN6, Problem, best_value

REQUEST = Request(1)
CUBE = compile_space({f"x{i}": Float(-1, 1) for i in range(4)})
MIXED = compile_space(
    {
        "x": Float(0, 1),
        "n": Integer(1, 16, log=True),
        "c": Choice({"a": {"y": Float(0, 1)}, "b": {"m": Integer(0, 9)}, "none": {}}),
        "o": Ordinal(["s", "m", "l"]),
    }
)


def loss(values):
    return sum((i + 1.0) * (0.3 - v) ** 2 for i, v in enumerate(values) if isinstance(v, float))


def ask(sampler, space, record):
    """The next suggestion, by the study's seed."""
    return sampler.suggest(space, record.history, REQUEST, Rng(0, len(record.history)))


def run(sampler, space, record, trials, value=loss):
    for _ in range(trials):
        found = ask(sampler, space, record)
        record.trial(found.values, value(found.values), 1, found.origin)
    return record


def library(record):
    return record.history.sampler.now._library


def test_with_one_worker_every_distribution_is_the_librarys(recorder):
    sampler = CmaesSampler()
    record = recorder(sampler, CUBE)
    bounds = np.tile([0.0, 1.0], (4, 1))
    direct = CMA(np.full(4, 0.5), 1 / 6, bounds, seed=0)
    for generation in range(25):
        told = []
        for _ in range(direct.population_size):
            found = ask(sampler, CUBE, record)
            expected = Origin("cmaes", model=generation > 0, fidelity=1 if generation else None)
            assert found.origin == expected
            told.append(((np.array(found.values) + 1) / 2, loss(found.values)))
            record.trial(found.values, loss(found.values), 1, found.origin)
        direct.tell(told)
        found = library(record)
        assert found.generation == direct.generation == generation + 1
        assert found.mean == pytest.approx(direct.mean, rel=1e-7)
        assert found._cma._sigma == pytest.approx(direct._sigma, rel=1e-7)
        np.testing.assert_allclose(found._cma._C, direct._C, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("space", [CUBE, MIXED], ids=["numbers", "mixed"])
def test_replaying_the_log_and_copying_give_the_same_state(recorder, space):
    sampler = CmaesSampler()
    record = run(sampler, space, recorder(sampler, space), 70)
    history = record.history
    again = recorder(sampler, space)
    column = history.results[1]
    for trial, values in enumerate(history.values):
        again.trial(values, column.values[trial], 1, history.origins[trial])
    copied = copy.deepcopy(history)
    number = len(history)
    suggestions = [
        sampler.suggest(space, each, REQUEST, Rng(0, number)) for each in (history, again.history, copied)
    ]
    assert suggestions[0] == suggestions[1] == suggestions[2]
    assert history.sampler.age == again.history.sampler.age > 3


def test_a_suggestion_changes_nothing(recorder):
    sampler = CmaesSampler()
    record = run(sampler, CUBE, recorder(sampler, CUBE), 20)
    first = ask(sampler, CUBE, record)
    for number in range(50):
        sampler.suggest(CUBE, record.history, REQUEST, Rng(7, number))
    assert ask(sampler, CUBE, record) == first


def test_more_workers_than_the_population_draw_more_from_the_same_distribution(recorder):
    sampler = CmaesSampler(population=6)
    record = recorder(sampler, CUBE)
    started = []
    for _ in range(20):
        found = ask(sampler, CUBE, record)
        assert not found.origin.model
        started.append((record.start(found.values, 1, found.origin), found.values))
    assert len({values for _, values in started}) == 20
    for n, (trial, values) in enumerate(started, 1):
        record.result(trial, loss(values))
        assert record.history.sampler.age == n // 6  # late ones count in the generations after


def test_a_very_late_result_is_ignored(recorder):
    sampler = CmaesSampler(population=4)
    record = recorder(sampler, CUBE)
    found = ask(sampler, CUBE, record)
    late = record.start(found.values, 1, found.origin)
    run(sampler, CUBE, record, 4 * (LATEST + 1))
    before = record.history.sampler.age
    assert before == LATEST + 1
    record.result(late, 0.0)
    run(sampler, CUBE, record, 3)
    assert record.history.sampler.age == before
    run(sampler, CUBE, record, 1)
    assert record.history.sampler.age == before + 1


def test_a_generation_is_told_at_the_fidelity_where_it_completes_first(recorder):
    sampler = CmaesSampler(population=4)
    record = recorder(sampler, CUBE)
    for until in (1, 3, 1, 3, 3, 3):
        found = ask(sampler, CUBE, record)
        record.trial(found.values, loss(found.values), until, found.origin)
    assert record.history.sampler.age == 1
    assert ask(sampler, CUBE, record).origin == Origin("cmaes", model=True, fidelity=3)


def test_trials_of_others_teach_nothing(recorder):
    sampler = CmaesSampler()
    record = recorder(sampler, CUBE).random_trials(CUBE, [0.0] * 40)
    assert record.history.sampler.age == 0


def test_failed_results_rank_last_and_a_failed_generation_is_dropped(recorder):
    sampler = CmaesSampler(population=4)
    record = run(sampler, CUBE, recorder(sampler, CUBE), 4, lambda values: None)
    assert record.history.sampler.age == 0
    run(sampler, CUBE, record, 40, lambda values: loss(values) if values[0] < 0.2 else None)
    assert record.history.sampler.age == 10
    assert library(record).mean[0] < 0.65


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.just(WORST), st.floats(-1e305, 1e305), st.sampled_from([BEHIND, 1.5 * BEHIND, 1e200, -1e200])
        ),
        min_size=2,
        max_size=12,
    )
)
def test_values_told_are_finite_and_keep_the_order(values):
    found = ranked_values([Member(None, value, None) for value in values])
    assert np.isfinite(found).all()
    assert math.isfinite(found.max() - found.min())
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            if a < b and not (abs(a) > 1e150 and abs(b) > 1e150 and b < BEHIND):
                assert found[i] < found[j] or (found[i] == found[j] and b < BEHIND)


def test_several_objectives_are_ranked_by_fronts():
    vectors = [(3.0, 3.0), (1.0, 2.0), (2.0, 1.0), (4.0, 4.0)]
    members = [Member(None, vector[0], Measure(vector, 0.0)) for vector in vectors]
    members.append(Member(None, WORST, Measure((WORST, WORST), WORST)))
    order = np.argsort(ranked_values(members)).tolist()
    assert set(order[:2]) == {1, 2}
    assert order[2:] == [0, 3, 4]


def test_a_flat_function_restarts_elsewhere_with_twice_the_population(recorder):
    sampler = CmaesSampler(population=4)
    space = compile_space({"x": Float(0, 1), "y": Float(0, 1)})
    record = run(sampler, space, recorder(sampler, space), 4 * 40, lambda values: 1.0)
    state = record.history.sampler
    assert state.restarts >= 1
    assert state.now.population == 4 * 2**state.restarts
    assert state.drawn.keys() <= set(range(160))
    same = CmaesSampler(population=4, growth=1)
    record = run(same, space, recorder(same, space), 4 * 40, lambda values: 1.0)
    assert record.history.sampler.now.population == 4


def test_generations_whose_quartiles_are_equal_teach_nothing_until_one_has_a_range(recorder):
    space = compile_space(Space({"a": Float(0, 1), "b": Categorical(["x", "y", "z"])}))
    sampler, loss = CmaesSampler(), iter([0.0] + [1.0] * 60 + list(range(60)))
    record = recorder(sampler, space)
    for number in range(121):
        suggestion = sampler.suggest(space, record.history, Request(1), Rng(0, number))
        record.trial(suggestion.values, float(next(loss)), 1, suggestion.origin)
    assert record.history.sampler.age > 0


def test_which_distribution_a_space_has(recorder):
    kinds = {
        Numbers: [{"x": Float(0, 1)}, {"n": Integer(1, 9)}, {"x": Float(0, 1), "o": Ordinal([1, 2, 3])}],
        Mixed: [{"c": Categorical([1, 2])}, {"n": Integer(1, 9, log=True)}],
    }
    for kind, spaces in kinds.items():
        for space in map(compile_space, spaces):
            sampler = CmaesSampler()
            record = run(
                sampler, space, recorder(sampler, space), 30, lambda values: float(hash(values) % 97)
            )
            assert type(record.history.sampler.now) is kind
            assert record.history.sampler.age > 2


def test_no_whole_number_and_no_category_becomes_impossible(recorder):
    space = compile_space({"x": Float(0, 1), "n": Integer(0, 5), "c": Categorical(["u", "v"])})
    sampler = CmaesSampler()
    value = lambda v: (v[0] - 0.2) ** 2 + 0.1 * v[1] + 0.1 * (v[2] == "v")  # noqa: E731
    record = run(sampler, space, recorder(sampler, space), 300, value)
    found = [sampler.suggest(space, record.history, REQUEST, Rng(5, n)).values for n in range(300)]
    assert np.mean([values[1] == 0 for values in found]) > 0.5
    assert np.mean([values[2] == "u" for values in found]) > 0.5
    assert any(values[1] > 0 for values in found)
    assert any(values[2] == "v" for values in found)


def test_it_begins_at_the_priors_modes(recorder):
    space = compile_space(
        {"x": Float(0, 1, prior=Normal(0.8, 0.1)), "c": Categorical(["u", "v"], prior=[9, 1])}
    )
    sampler = CmaesSampler()
    history = recorder(sampler, space).history
    found = [sampler.suggest(space, history, REQUEST, Rng(5, n)).values for n in range(400)]
    assert np.mean([values[0] for values in found]) == pytest.approx(0.8, abs=0.05)
    assert np.mean([values[1] == "u" for values in found]) == pytest.approx(0.9, abs=0.06)


@pytest.mark.parametrize("space", [CUBE, MIXED], ids=["numbers", "mixed"])
def test_what_was_changed_after_the_draw_is_told_as_it_ran(recorder, space):
    sampler = CmaesSampler(population=8)
    record = recorder(sampler, space)
    fixed = (0.9, *space.sample(0, 0)[1:])
    for n in range(8):
        found = ask(sampler, space, record)
        record.trial((fixed[0], *found.values[1:]), float(n), 1, found.origin)
    assert record.history.sampler.age == 1
    mean = library(record)._cma._mean if space is CUBE else library(record)._mean
    assert mean[0] == pytest.approx(0.95 if space is CUBE else 0.9)


def test_forbidden_draws_are_passed_over(recorder):
    space = compile_space(
        Space({"x": Float(0, 1), "y": Float(0, 1)}, forbidden=[Forbidden(Is("x", less=0.55))])
    )
    sampler = CmaesSampler()
    record = run(sampler, space, recorder(sampler, space), 60, lambda values: values[0])
    assert min(values[0] for values in record.history.values) >= 0.55
    assert record.history.sampler.age > 5


@pytest.mark.parametrize(
    "settings", [{"sigma": 0.0}, {"sigma": 11.0}, {"population": 3}, {"growth": 0}, {"growth": 11}]
)
def test_settings_outside_their_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        CmaesSampler(**settings)


def slope(config):
    """Three numbers and three whole numbers."""
    wholes = sum((config[f"n{i}"] - 7) ** 2 for i in range(3)) / 50
    return wholes + sum((config[f"x{i}"] - 0.3) ** 2 for i in range(3))


WHOLE = Problem(
    {f"{k}{i}": d for k, d in (("x", Float(0, 1)), ("n", Integer(0, 10))) for i in range(3)}, slope, 0
)


@pytest.mark.long
@pytest.mark.parametrize(
    ("problem", "trials"),
    [(HARTMANN6, 150), (BRANIN, 80), (WHOLE, 100), (COUNTING_ONES, 120)],
    ids=["hartmann6", "branin", "whole numbers", "counting ones"],
)
def test_it_is_better_than_random_by_mann_whitney(problem, trials):
    own = [best_value(problem, CmaesSampler(), trials, seed) for seed in range(12)]
    random = [best_value(problem, RandomSampler(), trials, seed) for seed in range(12)]
    assert stats.mannwhitneyu(own, random, alternative="less").pvalue < 0.01


def test_the_largest_population_bounds_the_update():
    assert cmaes.LARGEST // 200**2 > 100
