"""The sampler's split, weights and choice against plain versions, and against random search."""

from __future__ import annotations

import copy
import gc
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rung.samplers import tpe
from rung.samplers.base import Request
from rung.samplers.frame import Frame
from rung.samplers.random import RandomSampler
from rung.samplers.tpe import TpeSampler, improvements
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Normal, Ordinal, Space
from rung.space.draws import Rng
from rung.space.rules import Forbidden, Is
from rung.trials.events import Constraint, Goal, JobFinished, Origin
from support.problems import BRANIN, CONDITIONAL, COUNTING_ONES, HARTMANN6, Problem

REQUEST = Request(1)
LINE = compile_space({"x": Float(0, 1)})
MIXED = compile_space(
    {
        "fixed": Constant("c"),
        "kind": Choice(
            {"a": {"x": Float(0, 1), "n": Integer(1, 5)}, "b": {"y": Float(1e-4, 1, log=True)}, "c": {}}
        ),
        "flag": Categorical([True, False]),
        "size": Ordinal(["s", "m", "l", "xl"]),
        "z": Float(-1, 1),
    }
)
KINDS = [TpeSampler(), TpeSampler(group=True), TpeSampler(multivariate=False)]
IDS = ["joint", "group", "single"]


# -- who is good, who is bad --------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([0.1, 0.2, 0.3, None]), min_size=10, max_size=80),
    st.sampled_from(["linear", "sqrt"]),
)
def test_the_good_are_the_first_of_a_sorted_list(recorder, values, gamma):
    sampler = TpeSampler(gamma=gamma, good_fraction=0.3, most_good=8)
    found = sampler.evidence(recorder().random_trials(LINE, values).history)
    losses = [math.inf if value is None else value for value in values]
    ranking = sorted(range(len(losses)), key=lambda t: (losses[t], t))
    sound = [t for t in ranking if losses[t] < math.inf]
    if not sound:
        assert found is None
        return
    wanted = math.ceil(round(0.3 * (len(losses) if gamma == "linear" else math.sqrt(len(losses))), 9))
    good = sound[: min(wanted, 8)]
    assert sorted(found.good) == sorted(good)
    assert sorted(found.bad) == sorted(set(ranking) - set(good))


@pytest.mark.parametrize(
    ("count", "linear", "root"), [(10, 1, 2), (45, 5, 4), (100, 10, 5), (1000, 25, 16), (9999, 25, 25)]
)
def test_sizes_of_the_good(count, linear, root):
    assert TpeSampler()._wanted(count) == linear
    assert TpeSampler(gamma="sqrt", good_fraction=0.5)._wanted(count) == root


def test_the_first_model_comes_after_the_startup(recorder):
    record = recorder()
    for number in range(10):
        found = TpeSampler().suggest(MIXED, record.history, REQUEST, Rng(0, number))
        assert found == (MIXED.sample(0, number), Origin("tpe"))
        record.random_trials(MIXED, [float(number)])
    found = TpeSampler().suggest(MIXED, record.history, REQUEST, Rng(0, 10))
    assert found.origin == Origin("tpe", model=True, fidelity=1)


def test_pending_trials_are_bad_until_they_have_a_result(recorder):
    record = recorder().random_trials(LINE, [i / 20 for i in range(20)])
    number = record.start((0.5,), until=3)
    assert number in TpeSampler().evidence(record.history).bad
    assert number not in TpeSampler(liar=False).evidence(record.history).bad
    record.result(number, -1.0)
    assert number not in TpeSampler(lower=False).evidence(record.history).bad


def test_a_pending_trial_lowers_the_ratio_around_it(recorder):
    record, sampler = recorder().random_trials(LINE, [i / 40 for i in range(40)]), TpeSampler()
    [block] = sampler.blocks(LINE, record.history)
    good, bad = sampler.models(block, sampler.evidence(record.history))
    best = good.draw(24, np.random.default_rng(0))
    point = best[np.argmax(good.log2(best) - bad.log2(best))][None, :]
    before = good.log2(point) - bad.log2(point)
    for _ in range(8):
        record.start((float(point[0, 0]),))
    [block] = sampler.blocks(LINE, record.history)
    good, bad = sampler.models(block, sampler.evidence(record.history))
    assert good.log2(point) - bad.log2(point) < before - 0.2


def test_the_largest_fidelity_with_enough_results_tells_the_good(recorder):
    record = recorder().random_trials(LINE, [i / 30 for i in range(30)], until=1)
    record.random_trials(LINE, [0.0] * 9, until=9)
    assert TpeSampler().evidence(record.history).fidelity == 1
    record.random_trials(LINE, [1.0 - i / 10 for i in range(10)], until=3)
    found = TpeSampler().evidence(record.history)
    assert (found.fidelity, found.good.tolist()) == (3, [48])
    assert set(range(30)) < set(found.bad.tolist())
    assert set(TpeSampler(lower=False).evidence(record.history).bad.tolist()) == set(range(39, 48))


def test_failed_trials_are_bad_and_never_good(recorder):
    record = recorder()
    for i in range(30):
        x = i / 29
        record.trial((x,), 1.0 - x if x < 0.5 else None)
    suggested = [TpeSampler().suggest(LINE, record.history, REQUEST, Rng(0, n)).values[0] for n in range(50)]
    assert np.mean(np.array(suggested) < 0.55) > 0.9


def test_results_that_break_a_constraint_come_last(recorder):
    record = recorder(constraints=(Constraint("memory", 1.0),))
    for i in range(40):
        x = i / 39
        number = record.start((x,))
        record.history.fold(JobFinished(number, metrics={"loss": -x, "memory": 2.0 * x}))
    suggested = [TpeSampler().suggest(LINE, record.history, REQUEST, Rng(0, n)).values[0] for n in range(60)]
    assert 0.4 < np.median(suggested) < 0.55
    assert TpeSampler().evidence(record.history).good.tolist() == [16, 17, 18, 19]


def test_of_several_objectives_the_front_is_good(recorder):
    record = recorder(goals=(Goal("loss", "min"), Goal("size", "min")))
    for i in range(40):
        x = i / 39
        number = record.start((x,))
        record.history.fold(JobFinished(number, metrics={"loss": x, "size": 0.2 - x if x < 0.2 else x}))
    found = TpeSampler().evidence(record.history)
    assert set(found.good) <= set(range(8))


def test_bad_trials_beyond_the_cap_are_the_newest_and_an_even_selection():
    thinned = TpeSampler(most_bad=10)._thinned(np.random.default_rng(0).permutation(100))
    assert thinned.tolist() == [0, 19, 38, 57, 76, 95, 96, 97, 98, 99]
    assert TpeSampler(most_bad=1)._thinned(np.arange(5)).tolist() == [4]
    assert TpeSampler(most_bad=5)._thinned(np.arange(5)).tolist() == [0, 1, 2, 3, 4]


# -- weights ------------------------------------------------------------------------------------------------


def test_a_good_trial_weighs_by_its_improvement():
    found = improvements(np.array([1.0, 2.0, 4.0]), np.array([5.0, 9.0]))
    np.testing.assert_allclose(found, np.array([4, 3, 1]) * 3 / 8)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ([1.0, 1.0], [1.0, 2.0]),
        ([1.0, 2.0], []),
        ([1.0, 2.0], [np.inf]),
        ([0.0, 0.0], [0.0]),
        ([-1e308, -1e307], [1e308]),
    ],
)
def test_weights_of_hard_losses_are_finite(good, bad):
    found = improvements(np.array(good), np.array(bad))
    assert np.isfinite(found).all()
    assert found.mean() == pytest.approx(1.0)
    if good[0] == good[1] or not np.isfinite(bad).any():
        assert found.tolist() == [1.0, 1.0]


def test_weights_by_age_rise_to_the_latest_trials():
    weights = TpeSampler(weights="age")._by_age(np.arange(40)[::-1])[::-1]
    assert weights[15:].tolist() == [1.0] * 25
    np.testing.assert_allclose(weights[:15], np.linspace(1 / 40, 1.0, 15))
    assert TpeSampler()._by_age(np.arange(40)).tolist() == [1.0] * 40


# -- the choice ---------------------------------------------------------------------------------------------


def plain_log_ratio(good, bad, point):
    """log(l / g) in one dimension, from scipy's truncated normals."""
    logs = []
    for model in (good, bad):
        h = float(model.bandwidths[0])
        centres = model.rows[0].astype(float) + 0.5
        kernels = [stats.truncnorm.pdf(point, -mu / h, (1 - mu) / h, mu, h) for mu in centres]
        logs.append(math.log(model.prior + model.weights @ np.array(kernels)))
    return logs[0] - logs[1]


@pytest.mark.parametrize("seed", range(3))
def test_it_chooses_the_candidate_with_the_highest_ratio(recorder, seed):
    losses = np.random.default_rng(seed).random(30).tolist()
    history = recorder().random_trials(LINE, losses, seed=seed).history
    sampler = TpeSampler(candidates=8)
    [block] = sampler.blocks(LINE, history)
    good, bad = sampler.models(block, sampler.evidence(history))
    points = good.draw(8, Rng(seed, 30).generator())
    ratios = [plain_log_ratio(good, bad, float(point)) for point in points[:, 0]]
    found = sampler.suggest(LINE, history, REQUEST, Rng(seed, 30))
    assert found.values[0] == pytest.approx(points[np.argmax(ratios), 0])


def test_groups_are_the_parameters_that_are_active_together(recorder):
    history = recorder().random_trials(MIXED, [0.5] * 20).history
    names = [
        [[MIXED.keys[j] for j in sorted(block.frame.dims)] for block in sampler.blocks(MIXED, history)]
        for sampler in KINDS
    ]
    assert names[0] == [["kind", "kind.a.x", "kind.a.n", "kind.b.y", "flag", "size", "z"]]
    assert names[1] == [["kind", "flag", "size", "z"], ["kind.a.x", "kind.a.n"], ["kind.b.y"]]
    assert names[2] == [[name] for name in names[0][0]]


def test_a_groups_density_is_of_the_trials_in_which_it_is_active(recorder):
    history = recorder().random_trials(MIXED, [i / 60 for i in range(60)]).history
    sampler = TpeSampler(group=True)
    evidence = sampler.evidence(history)
    for block in sampler.blocks(MIXED, history):
        active = ~np.isnan(history.matrix(MIXED)[:, block.frame.dims[0]])
        good, bad = sampler.models(block, evidence)
        assert len(good.weights) == active[evidence.good].sum()
        assert len(bad.weights) == active[evidence.bad].sum()


FORBIDDING = compile_space(
    Space({"x": Float(0, 1), "c": Categorical(["u", "v"])}, forbidden=[Forbidden(Is("x", at_most=0.3))])
)


@pytest.mark.parametrize("sampler", KINDS, ids=IDS)
def test_a_forbidden_point_makes_way_for_a_legal_one(recorder, sampler):
    record = recorder()
    for i in range(40):
        record.trial((0.3001 + i / 100, "u"), i / 100)
    found = [sampler.suggest(FORBIDDING, record.history, REQUEST, Rng(0, n)) for n in range(30)]
    assert FORBIDDING.legal([each.values for each in found]).all()
    assert sum(each.origin.model for each in found) > 25


def test_when_all_points_are_forbidden_a_random_one_is_suggested(recorder):
    record = recorder()
    for _ in range(20):
        record.trial((0.3001, "u"), 0.0)
    sampler, origins = TpeSampler(candidates=1), set()
    for number in range(60):
        found = sampler.suggest(FORBIDDING, record.history, REQUEST, Rng(0, number))
        origins.add(found.origin.model)
        if not found.origin.model:
            assert found == (FORBIDDING.sample(0, number), Origin("tpe"))
    assert origins == {True, False}


@pytest.mark.parametrize("sampler", KINDS, ids=IDS)
def test_a_category_of_weight_zero_never_comes(recorder, sampler):
    space = compile_space({"c": Categorical(list("abc"), prior=[1, 0, 1]), "x": Float(0, 1)})
    history = recorder().random_trials(space, [i / 12 for i in range(12)]).history
    found = [sampler.suggest(space, history, REQUEST, Rng(1, n)).values[0] for n in range(100)]
    assert set(found) <= {"a", "c"}


def test_points_that_the_prior_rules_out_are_no_infinity_in_the_model(recorder, monkeypatch):
    """Infinity times 0 would be no number; warnings are errors here."""
    monkeypatch.setattr(Frame, "log_prior", lambda _, points: np.full(points.shape, -np.inf))
    history = recorder(space=MIXED).random_trials(MIXED, [i / 40 for i in range(40)]).history
    found = [TpeSampler().suggest(MIXED, history, REQUEST, Rng(0, n)) for n in range(10)]
    assert MIXED.legal([each.values for each in found]).all()


def test_the_prior_draws_where_it_believes(recorder):
    """With equal results the prior decides: half of the suggestions lie around its mean."""
    space = compile_space({"x": Float(0, 1, prior=Normal(0.8, 0.05))})
    record = recorder()
    for i in range(12):
        record.trial((i / 11,), 0.5)
    strong = TpeSampler(prior_weight=100.0)
    found = [strong.suggest(space, record.history, REQUEST, Rng(1, n)).values[0] for n in range(100)]
    assert abs(np.median(found) - 0.8) < 0.05


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("startup", 0),
        ("candidates", 0),
        ("gamma", "cubic"),
        ("good_fraction", 1.0),
        ("most_good", 0),
        ("weights", "none"),
        ("prior_weight", 0.0),
        ("min_bandwidth", 1e-4),
        ("magic_exponent", 0.0),
        ("category_bandwidth", 1.0),
        ("most_bad", 0),
    ],
)
def test_settings_outside_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*, not {value!r}"):
        TpeSampler(**{name: value})


def test_groups_are_a_matter_of_joint_densities():
    with pytest.raises(ValueError, match=r"^group must be off where multivariate is, not True"):
        TpeSampler(multivariate=False, group=True)


# -- what is kept -------------------------------------------------------------------------------------------


def test_what_is_kept_never_changes_a_suggestion(recorder):
    """Two studies, three samplers and two spaces in turn, against each alone on a fresh copy."""
    other = compile_space(MIXED.space)
    records = [recorder(), recorder()]
    rng = np.random.default_rng(0)
    for number in range(24):
        for seed, record in enumerate(records):
            for sampler in KINDS:
                for space in (MIXED, other):
                    found = sampler.suggest(space, record.history, REQUEST, Rng(seed, number))
                    alone = copy.deepcopy(record.history)
                    assert found == sampler.suggest(MIXED, alone, REQUEST, Rng(seed, number))
            record.trial(found.values, float(rng.random()), 1 if number % 3 else 3)


def test_nothing_is_kept_of_a_history_that_is_gone(recorder):
    record = recorder().random_trials(LINE, [0.1] * 20)
    TpeSampler().suggest(LINE, record.history, REQUEST, Rng(0, 0))
    assert record.history in tpe._blocks
    before = len(tpe._blocks)
    del record
    gc.collect()
    assert len(tpe._blocks) < before


def test_a_suggestion_looks_at_no_more_bad_trials_than_the_cap(recorder):
    sampler = TpeSampler(most_bad=50)
    record = recorder()
    for count in (100, 300):
        record.random_trials(LINE, [i / 300 for i in range(count - len(record.history))])
        [block] = sampler.blocks(LINE, record.history)
        good, bad = sampler.models(block, sampler.evidence(record.history))
        assert (len(good.weights), len(bad.weights)) == (min(25, count // 10), 50)


# -- statistics ---------------------------------------------------------------------------------------------


def best_found(sampler, record, problem, trials, seed):
    space, values = compile_space(problem.space), []
    for number in range(trials):
        suggestion = sampler.suggest(space, record.history, REQUEST, Rng(seed, number))
        values.append(problem.function(space.to_mapping(suggestion.values)))
        record.trial(suggestion.values, values[-1], origin=suggestion.origin)
    return min(values) - problem.optimum


def compared(recorder, problem, samplers, trials, seeds):
    return [
        np.array([best_found(sampler, recorder(), problem, trials, seed) for seed in range(seeds)])
        for sampler in samplers
    ]


@pytest.mark.parametrize(
    "problem", [BRANIN, HARTMANN6, COUNTING_ONES], ids=["branin", "hartmann6", "counting ones"]
)
def test_it_beats_random_search(recorder, problem):
    """One-sided Wilcoxon signed-rank test on the best of 60 in 10 pairs of runs with the same seed."""
    ours, randoms = compared(recorder, problem, [TpeSampler(), RandomSampler()], 60, 10)
    assert stats.wilcoxon(ours, randoms, alternative="less").pvalue < 0.01


def bowls(config):
    """A bowl in each branch, of different heights."""
    height, u = {"p": (0.0, 0.2), "q": (0.1, 0.5), "r": (0.2, 0.8), "s": (0.3, 0.5)}[config["k"]]
    return height + (config["u"] - u) ** 2 + (config["v"] - u) ** 2 + (config["x"] - 0.6) ** 2


BOWLS = Problem(
    {"x": Float(0, 1), "k": Choice({b: {"u": Float(0, 1), "v": Float(0, 1)} for b in "pqrs"})}, bowls, 0.0
)


@pytest.mark.parametrize("sampler", KINDS, ids=IDS)
def test_it_beats_random_search_in_a_space_of_branches(recorder, sampler):
    """One-sided Wilcoxon signed-rank test on the best of 80 in 15 pairs of runs with the same seed."""
    ours, randoms = compared(recorder, BOWLS, [sampler, RandomSampler()], 80, 15)
    assert stats.wilcoxon(ours, randoms, alternative="less").pvalue < 0.01


@pytest.mark.long
def test_it_beats_random_search_where_the_better_branch_is_the_narrower(recorder):
    """One-sided sign test on the best of 200 in 30 pairs of runs with the same seed.

    Some searches stay in the wide branch: a misleading problem.
    """
    ours, randoms = compared(recorder, CONDITIONAL, [TpeSampler(), RandomSampler()], 200, 30)
    assert stats.binomtest(int((ours < randoms).sum()), 30, alternative="greater").pvalue < 0.01


TURN = np.linalg.qr(np.random.default_rng(5).standard_normal((4, 4)))[0]


def turned(config):
    """A bowl whose axes are not the parameters': long in one direction, steep in another."""
    z = TURN @ (np.array(list(config.values())) - 0.5)
    return float((z**2 * [1, 10, 100, 400]).sum())


@pytest.mark.long
def test_a_joint_density_beats_single_ones_where_parameters_interact(recorder):
    """One-sided Wilcoxon signed-rank test on the best of 120 in 16 pairs of runs with the same seed."""
    problem = Problem({f"x{i}": Float(0, 1) for i in range(4)}, turned, 0.0)
    joint, single = compared(recorder, problem, [TpeSampler(), TpeSampler(multivariate=False)], 120, 16)
    assert stats.wilcoxon(joint, single, alternative="less").pvalue < 0.01
