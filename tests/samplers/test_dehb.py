"""Differential evolution over fidelities: against a slow version of the paper's rules, and random search."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rung.samplers.base import Request
from rung.samplers.dehb import DehbSampler, cross, hyperband_sizes, inside, pick
from rung.samplers.random import RandomSampler
from rung.schedulers.hyperband import table
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Space
from rung.space.draws import Rng
from rung.space.rules import Forbidden, Is
from rung.trials.events import Identity, JobStarted, Origin, Resource, Spec
from rung.trials.history import WORST
from rung.trials.ladder import ladder
from rung.trials.running import Measure, Result
from support.problems import COUNTING_ONES, HARTMANN6, best_value, sphere_of

SAMPLER = DehbSampler()
CUBE = compile_space({f"x{i}": Float(0, 1) for i in range(3)})
RUNGS = (1, 3, 9, 27, 81)


# -- the paper's rules, slowly ------------------------------------------------------------------------------


class Paper:
    """One list of places a fidelity, each [trial, loss] or None; targets are taken in turn."""

    def __init__(self):
        self.places = {r: [None] * n for r, n in zip(RUNGS, (81, 34, 15, 8, 5), strict=True)}
        self.promoted = dict(zip(RUNGS, (0, 27, 11, 5, 2), strict=True))
        self.turn = dict.fromkeys(RUNGS, 0)
        self.target = {}

    def next_place(self, rung):
        place = self.turn[rung] % len(self.places[rung])
        self.turn[rung] += 1
        return place

    def started(self, trial, rung):
        self.target[trial, rung] = self.next_place(rung)

    def told(self, trial, rung, loss):
        place = self.target.pop((trial, rung), None)
        if place is None:
            place = self.next_place(rung)
        own = self.places[rung][place]
        if loss < math.inf and (own is None or loss <= own[1]):
            self.places[rung][place] = [trial, loss]

    def ranked(self, rung):
        filled = [entry for entry in self.places[rung] if entry is not None]
        return [trial for trial, _ in sorted(filled, key=lambda entry: entry[1])]

    def pool(self, rung):
        at = RUNGS.index(rung)
        if at and self.ranked(RUNGS[at - 1]):
            return self.ranked(RUNGS[at - 1])[: self.promoted[rung]], RUNGS[at - 1]
        return self.ranked(rung), rung

    def everyone(self):
        return [entry[0] for rung in RUNGS for entry in self.places[rung] if entry is not None]


def paper_trial(points, target, pool, everyone, generator):
    """rand/1/bin, coordinate by coordinate, with the sampler's own random numbers."""
    pool = list(pool)
    if len(pool) < 3:
        if len(everyone) < 3:
            return None
        pool += [everyone[i] for i in generator.choice(len(everyone), 3 - len(pool), replace=False)]
    r1, r2, r3 = (points[pool[i]] for i in generator.choice(len(pool), 3, replace=False))
    uniforms = generator.random(3)
    forced = -1 if (uniforms < 0.5).any() else int(generator.integers(3))
    trial = []
    for j in range(3):
        taken = uniforms[j] < 0.5 or j == forced
        trial.append(r1[j] + 0.5 * (r2[j] - r3[j]) if taken else points[target][j])
    redrawn = generator.random(3)
    return tuple(x if 0 <= x <= 1 else r for x, r in zip(trial, redrawn, strict=True))


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_it_suggests_what_the_papers_rules_give(recorder, data):
    """Results in any order, late ones, failed ones, promoted trials; several running at once."""
    record, paper = recorder(SAMPLER, CUBE), Paper()
    points, running = [], []
    seed = data.draw(st.integers(0, 2**32))
    choices = np.random.default_rng(seed)
    for _ in range(data.draw(st.integers(20, 250))):
        rung = int(choices.choice(RUNGS[:4], p=(0.4, 0.3, 0.2, 0.1)))
        number = len(points)
        found = SAMPLER.suggest(CUBE, record.history, Request(rung), Rng(3, number))
        own = paper.places[rung][paper.turn[rung] % len(paper.places[rung])]
        expected, origin = CUBE.sample(3, number), Origin("dehb")
        if own is not None:
            pool, source = paper.pool(rung)
            made = paper_trial(points, own[0], pool, paper.everyone(), Rng(3, number).generator())
            if made is not None:
                expected, origin = made, Origin("dehb", model=True, fidelity=source)
        assert found.values == pytest.approx(expected, abs=1e-12)
        assert found.origin == origin
        foreign = choices.random() < 0.1
        record.start(found.values, rung, Origin("random") if foreign else found.origin)
        if not foreign:
            paper.started(number, rung)
        points.append(found.values)
        running.append((number, rung))
        while running and (len(running) > 4 or choices.random() < 0.3):
            trial, at = running.pop(int(choices.integers(len(running))))
            value = math.inf if choices.random() < 0.1 else round(float(choices.random()), 1)
            record.result(trial, value)
            paper.told(trial, at, value)
    state = record.history.sampler
    for k, rung in enumerate(RUNGS):
        if k in state.by_rung:
            expected = [-1 if entry is None else entry[0] for entry in paper.places[rung]]
            assert state.by_rung[k].trials == expected


@pytest.mark.parametrize(("r", "top", "eta"), [(1, 81, 3), (1, 243, 3), (1, 16, 4), (2, 64, 2), (1, 9, 3)])
def test_sizes_are_the_most_that_hyperbands_brackets_run(r, top, eta):
    rungs = ladder(r, top, eta)
    most = dict.fromkeys(rungs, 0)
    for bracket in table(rungs, eta):
        for rung, count in zip(bracket.rungs, bracket.trials, strict=True):
            most[rung] = max(most[rung], count)
    sizes, promoted = hyperband_sizes(len(rungs), eta)
    assert sizes == tuple(max(3, most[rung]) for rung in rungs)
    below = {bracket.rungs[0]: bracket.trials for bracket in table(rungs, eta)}
    assert promoted[1:] == tuple(below[rung][1] for rung in rungs[:-1])


# -- the operators ------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 8), st.floats(0, 1), st.integers(0, 2**32))
def test_crossover_takes_one_coordinate_at_least(size, rate, seed):
    target, mutant = np.zeros(size), np.ones(size)
    found = cross(target, mutant, rate, np.random.default_rng(seed))
    assert set(found) <= {0.0, 1.0}
    assert found.sum() >= 1


def test_crossover_takes_its_rate_of_the_mutant():
    generator = np.random.default_rng(0)
    taken = sum(cross(np.zeros(40), np.ones(40), 0.3, generator).sum() for _ in range(250))
    assert stats.binomtest(int(taken), 10_000, 0.3).pvalue > 0.001


def test_what_is_outside_is_drawn_anew_uniformly():
    generator = np.random.default_rng(0)
    found = np.array([inside(np.array([-0.2, 0.4, 1.7]), generator) for _ in range(2000)])
    assert (found[:, 1] == 0.4).all()
    assert stats.kstest(found[:, [0, 2]].ravel(), "uniform").pvalue > 0.001


def test_few_parents_are_joined_by_others():
    generator = np.random.default_rng(0)
    parents, everyone = np.zeros((1, 2)), np.arange(1.0, 11.0).reshape(5, 2)
    for _ in range(20):
        found = pick(parents, everyone, generator)
        assert found.shape == (3, 2)
        assert sum((row == 0).all() for row in found) == 1
        assert len({tuple(row) for row in found}) == 3
    assert pick(parents, everyone[:2], generator) is None


# -- the state ----------------------------------------------------------------------------------------------


def test_a_late_result_competes_with_what_holds_the_place_by_then(recorder):
    sampler = DehbSampler(population=3)
    state = sampler.initial(identity_without_resource())
    for trial in range(3):
        state = told(sampler, state, trial, 0.5)
    state = started(sampler, state, 3)
    state = started(sampler, state, 4)
    state = started(sampler, state, 5)
    state = started(sampler, state, 6)  # the first place again, as trial 3
    state = sampler.fold(state, Result(6, 1, 0.2, 0))
    state = sampler.fold(state, Result(3, 1, 0.3, 0))
    assert state.by_rung[0].trials == [6, 1, 2]
    state = sampler.fold(state, Result(4, 1, 0.5, 0))
    assert state.by_rung[0].trials == [6, 4, 2]  # of equal ones the newer
    state = sampler.fold(state, Result(5, 1, WORST, 0))
    assert state.by_rung[0].trials == [6, 4, 2]


def identity_without_resource():
    return Identity({}, "loss", "min", None, 3, Spec("dehb"), Spec("plain"), 0)


def started(sampler, state, trial):
    return sampler.fold(state, JobStarted(trial, 1, values=(0.5,), origin=Origin("dehb")))


def told(sampler, state, trial, value):
    return sampler.fold(started(sampler, state, trial), Result(trial, 1, value, 0))


def test_with_several_objectives_a_dominated_result_does_not_enter():
    sampler = DehbSampler(population=3)
    state = sampler.initial(identity_without_resource())
    for trial, vector in enumerate([(1.0, 1.0), (2.0, 2.0), (3.0, 0.5)]):
        state = started(sampler, state, trial)
        state = sampler.fold(state, Result(trial, 1, vector[0], 0, True, Measure(vector, 0.0)))
    for trial, vector in enumerate([(1.5, 1.5), (2.5, 1.9), (2.0, 0.5)], 3):
        state = started(sampler, state, trial)
        state = sampler.fold(state, Result(trial, 1, vector[0], 0, True, Measure(vector, 0.0)))
    population = state.by_rung[0]
    assert population.trials == [0, 4, 5]
    assert set(population.best(2).tolist()) == {0, 5}


def test_copies_and_replays_suggest_the_same(recorder):
    record = recorder(SAMPLER, CUBE)
    for number in range(200):
        found = SAMPLER.suggest(CUBE, record.history, Request(1), Rng(0, number))
        record.trial(found.values, sum(found.values), 1, found.origin)
    again = recorder(SAMPLER, CUBE)
    for values, origin in zip(record.history.values, record.history.origins, strict=True):
        again.trial(values, sum(values), 1, origin)
    found = [
        SAMPLER.suggest(CUBE, history, Request(1), Rng(0, 200))
        for history in (record.history, again.history, copy.deepcopy(record.history))
    ]
    assert found[0] == found[1] == found[2]
    assert found[0].origin.model


def test_a_resource_that_is_no_rung_counts_as_the_one_below(recorder):
    state = SAMPLER.initial(Identity({}, "l", "min", Resource("e", 2, 50), 5, Spec("dehb"), Spec("x"), 0))
    assert state.rungs == (2, 10, 50)
    assert [state.rung(r) for r in (1, 2, 3, 10, 49, 50, 99)] == [0, 0, 0, 1, 1, 2, 2]


def test_categories_are_not_drawn_to_one_side(recorder):
    """Where nothing is better, evolution leaves both values of a flag as they were."""
    sampler = DehbSampler(population=20)
    space = compile_space({"c": Categorical(["u", "v"]), "n": Integer(0, 1), "x": Float(0, 1)})
    counts = np.zeros(2)
    for seed in range(8):
        state_of = recorder(sampler, space)
        state_of.history.sampler.sizes = (20, 20, 20, 20, 20)
        for number in range(150):
            found = sampler.suggest(space, state_of.history, Request(1), Rng(seed, number))
            state_of.trial(found.values, 0.5, 1, found.origin)
        values = state_of.history.values[50:]
        counts += [sum(v[0] == "v" for v in values), sum(v[1] == 1 for v in values)]
    assert (np.abs(counts / 800 - 0.5) < 0.12).all()


def test_conditions_constants_and_forbidden_points(recorder):
    space = compile_space(
        Space(
            {
                "k": Constant("c"),
                "choice": Choice({"a": {"y": Float(0, 1)}, "b": {"m": Integer(0, 3)}}),
                "x": Float(0, 1),
            },
            forbidden=[Forbidden(Is("x", less=0.4))],
        )
    )
    record = recorder(SAMPLER, space)
    models = 0
    for number in range(160):
        found = SAMPLER.suggest(space, record.history, Request(9), Rng(1, number))
        models += found.origin.model
        record.trial(found.values, found.values[-1], 9, found.origin)
        assert found.values[-1] >= 0.4
    assert models > 100


@pytest.mark.parametrize(
    "settings",
    [{"mutation_factor": 0.0}, {"mutation_factor": 2.1}, {"crossover": 1.1}, {"population": 2}],
)
def test_settings_outside_their_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        DehbSampler(**settings)


@pytest.mark.long
@pytest.mark.parametrize(
    ("problem", "trials"),
    [(HARTMANN6, 200), (sphere_of(10), 200), (COUNTING_ONES, 120)],
    ids=["hartmann6", "sphere", "counting ones"],
)
def test_it_is_better_than_random_by_mann_whitney(problem, trials):
    own = [best_value(problem, SAMPLER, trials, seed) for seed in range(16)]
    random = [best_value(problem, RandomSampler(), trials, seed) for seed in range(16)]
    assert stats.mannwhitneyu(own, random, alternative="less").pvalue < 0.01
