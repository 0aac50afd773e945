"""PriorBand's weights and draws: against the paper's formulas, and what right and wrong beliefs do."""

from __future__ import annotations

import copy
import math
from functools import cache

import numpy as np
import pytest
from scipy import stats

from rung.samplers.base import Request
from rung.samplers.kde import KdeSampler
from rung.samplers.prior import PriorSampler, Weights
from rung.samplers.random import RandomSampler
from rung.samplers.recentred import Shape, truncated_normal
from rung.space.compiled import compile_space
from rung.space.domains import Beta, Categorical, Choice, Constant, Float, Integer, Normal, Space
from rung.space.draws import Rng
from rung.space.rules import Forbidden, Is
from rung.trials.events import JobFinished, JobStarted, Origin, Reported
from support.problems import HARTMANN6, Problem, best_value

SAMPLER = PriorSampler()
BELIEF = compile_space(
    {
        "x": Float(0, 1, prior=Normal(0.2, 0.1)),
        "y": Float(0, 1, prior=Normal(0.7, 0.2)),
        "z": Float(0, 1),
        "c": Categorical(["u", "v", "w"], prior=[6, 1, 2]),
    }
)


# -- the weights --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("resource", "rung"), [(1, 0), (2, 0), (3, 1), (9, 2), (27, 3), (81, 4), (500, 4)])
def test_the_uniform_share_falls_geometrically_with_the_rung(recorder, resource, rung):
    found = SAMPLER.weights(BELIEF, recorder().history, Request(resource))
    assert found == Weights(1 / (1 + 3**rung), 1 - 1 / (1 + 3**rung), 0.0)


def one_bracket(record, space, loss, seed=0):
    """A bracket of successive halving with 81 trials, by the losses of random configurations."""
    for number in range(81):
        record.trial(space.sample(seed, number), loss(space.sample(seed, number)), 1)
    for until, count in ((3, 27), (9, 9), (27, 3), (81, 1)):
        ranked = sorted(range(81), key=lambda trial: loss(record.history.values[trial]))
        for trial in ranked[:count]:
            attempt = record.history.attempts[trial]
            value = loss(record.history.values[trial])
            record.history.fold(JobStarted(trial, until, attempt=attempt))
            record.history.fold(JobFinished(trial, attempt, {"loss": value}))
    return record


def distance(values):
    return abs(values[0] - 0.5) + abs(values[1] - 0.5)


def test_the_incumbent_counts_once_a_bracket_is_complete(recorder):
    """81 + 27 * 2 + 9 * 6 + 3 * 18 + 54 = 297 epochs, one trial at 81."""
    record = recorder()
    for number in range(100):
        record.trial(BELIEF.sample(0, number), float(number), 1)
    record.trial(BELIEF.sample(0, 100), 1.0, 81)
    assert SAMPLER.weights(BELIEF, record.history, Request(3)).incumbent == 0.0
    record.random_trials(BELIEF, [1.0] * 116, 1)
    assert SAMPLER.weights(BELIEF, record.history, Request(3)).incumbent > 0.0
    assert sum(SAMPLER.weights(BELIEF, record.history, Request(3))) == pytest.approx(1.0)
    without = recorder().random_trials(BELIEF, [1.0] * 400, 27)
    assert SAMPLER.weights(BELIEF, without.history, Request(3)).incumbent == 0.0


def test_what_running_trials_report_changes_nothing_until_it_is_a_result(recorder):
    record = recorder().random_trials(BELIEF, [1.0] * 200, 1)
    record.trial(BELIEF.sample(0, 200), 0.5, 81)
    before = SAMPLER.weights(BELIEF, record.history, Request(3))
    assert before.incumbent == 0.0
    for number in range(201, 205):
        record.start(BELIEF.sample(0, number), 81)
        record.history.fold(Reported(number, 40, {"loss": 0.7}))
    for history in (record.history, copy.deepcopy(record.history)):
        assert SAMPLER.weights(BELIEF, history, Request(3)) == before
    record.result(201, 0.6)
    assert SAMPLER.weights(BELIEF, record.history, Request(3)).incumbent > 0.0


def by_hand(space, values, centre):
    """The densities of a configuration under BELIEF's prior and under the same shape around `centre`."""

    def normal(x, mean, deviation):
        return stats.truncnorm(-mean / deviation, (1 - mean) / deviation, mean, deviation)

    prior = normal(None, 0.2, 0.1).pdf(values[0]) * normal(None, 0.7, 0.2).pdf(values[1])
    prior *= {"u": 6, "v": 1, "w": 2}[values[3]] / 3
    widths = [normal(None, 0.2, 0.1).std(), normal(None, 0.7, 0.2).std()]
    moved = normal(None, centre[0], widths[0]).pdf(values[0]) * normal(None, centre[1], widths[1]).pdf(
        values[1]
    )
    swapped = {"u": 6, "v": 1, "w": 2}
    swapped["u"], swapped[centre[3]] = swapped[centre[3]], swapped["u"]
    return prior, moved * swapped[values[3]] / 3


@pytest.mark.parametrize("seed", range(4))
def test_prior_and_incumbent_share_as_the_top_ones_are_likely_under_each(recorder, seed):
    """The largest fidelity with three results is 27; its best one in three is one."""
    record = one_bracket(recorder(), BELIEF, distance, seed)
    history = record.history
    best = min(range(81), key=lambda trial: distance(history.values[trial]))
    record.random_trials(BELIEF, [0.9 + distance(BELIEF.sample(9, n)) for n in range(20)], 27, seed=9)
    column = history.results[27]
    ranked = [t for _, t in sorted(zip(column.values, column.trials, strict=True))]
    top = ranked[: len(ranked) // 3]
    scores = np.zeros(2)
    for weight, trial in zip(range(len(top), 0, -1), top, strict=True):
        scores += weight * np.array(by_hand(BELIEF, history.values[trial], history.values[best]))
    found = SAMPLER.weights(BELIEF, history, Request(9))
    assert found.uniform == 0.1
    assert found.incumbent == pytest.approx(0.9 * scores[1] / scores.sum(), rel=0.02)


def test_failed_trials_are_neither_incumbent_nor_on_top(recorder):
    record = recorder().random_trials(BELIEF, [None] * 400, 81)
    assert SAMPLER.weights(BELIEF, record.history, Request(81)).incumbent == 0.0
    record.random_trials(BELIEF, [0.5, None, 0.6, 0.7, 0.8], 81)
    found = SAMPLER.weights(BELIEF, record.history, Request(81))
    assert found.incumbent > 0.0
    assert all(math.isfinite(weight) for weight in found)


def test_a_belief_that_excludes_the_best_has_no_share_left(recorder):
    space = compile_space({"c": Categorical(["u", "v"], prior=[1, 0]), "x": Float(0, 1)})
    record = recorder()
    for n in range(400):
        record.trial(("uv"[n % 2], n / 400), float(n % 2 == 0), 81)
    assert SAMPLER.weights(space, record.history, Request(81)).prior == 0.0


# -- the draws ----------------------------------------------------------------------------------------------


def test_each_source_is_drawn_from_with_its_weight(recorder):
    record = one_bracket(recorder(), BELIEF, distance)
    weights = SAMPLER.weights(BELIEF, record.history, Request(1))
    origins = [SAMPLER.suggest(BELIEF, record.history, Request(1), Rng(0, n)).origin for n in range(2000)]
    near = sum(origin == Origin("prior", model=True, fidelity=81) for origin in origins)
    assert stats.binomtest(near, 2000, weights.incumbent).pvalue > 0.001
    assert set(origins) == {Origin("prior"), Origin("prior", model=True, fidelity=81)}


def test_random_draws_do_not_follow_the_prior(recorder):
    history = recorder().history
    found = [SAMPLER.suggest(BELIEF, history, Request(1), Rng(0, n)).values for n in range(2000)]
    far = sum(values[0] > 0.6 for values in found)  # four deviations away: only a uniform draw goes there
    assert stats.binomtest(far, 2000, 0.5 * 0.4).pvalue > 0.001


def test_near_the_incumbent_half_of_the_parameters_change():
    space = compile_space({f"x{i}": Float(0, 1) for i in range(20)} | {"k": Constant(1)})
    shape, centre = Shape(space), np.full(21, 0.5)
    found = shape.near(centre, 0.5, 0.25, 2000, np.random.default_rng(0))
    changed = found[:, :20] != 0.5
    assert stats.binomtest(int(changed.sum()), changed.size, 0.5).pvalue > 0.001
    assert (found[:, 20] == 0.5).all()
    expected = stats.truncnorm(-2, 2, 0.5, 0.25)
    assert stats.kstest(found[:, :20][changed], expected.cdf).pvalue > 0.001
    assert (
        Shape(compile_space({"x": Float(0, 1)})).near(np.array([0.5]), 0.0, 0.1, 9, np.random.default_rng(0))
        != 0.5
    ).all()


def test_a_changed_category_has_twice_the_weight_on_the_incumbents():
    space = compile_space({"c": Categorical(list("abcd"))})
    found = Shape(space).near(np.array([0.375]), 1.0, 0.25, 5000, np.random.default_rng(1))
    counts = np.bincount(np.floor(found[:, 0] * 4).astype(int), minlength=4)
    assert stats.chisquare(counts, [1000, 2000, 1000, 1000]).pvalue > 0.001


def test_what_a_change_makes_active_follows_its_prior():
    space = compile_space({"c": Choice({"a": {}, "b": {"x": Float(0, 1, prior=Normal(0.9, 0.01))}})})
    centre = np.array([0.25, np.nan])
    rows = space.decode(Shape(space).near(centre, 0.5, 0.25, 500, np.random.default_rng(0)))
    inside = [row[1] for row in rows if row[0] == "b"]
    assert len(inside) > 50
    assert min(inside) > 0.8


def test_the_moved_density_integrates_to_one():
    space = compile_space(
        {
            "x": Float(1, 100, log=True, prior=Beta(3, 5)),
            "n": Integer(1, 9, prior=Normal(4, 2)),
            "z": Float(0, 1),
        }
    )
    points = np.random.default_rng(0).random((40_000, 3))
    for centre in ([0.1, 0.9, 0.5], [0.5, 0.5, 0.1]):
        logs = Shape(space).log_density(points, np.array(centre))
        assert np.exp(logs).mean() == pytest.approx(1.0, abs=0.03)
    assert (Shape(space).log_density(points, np.full(3, np.nan)) == 0.0).all()


def test_truncated_normal_draws_are_scipys():
    ranks = np.linspace(0.01, 0.99, 25)
    expected = stats.truncnorm(-0.4, 3.6, 0.1, 0.25).ppf(ranks)
    assert truncated_normal(np.full(25, 0.1), 0.25, ranks) == pytest.approx(expected)


def test_forbidden_draws_are_repeated(recorder):
    space = compile_space(
        Space({"x": Float(0, 1, prior=Normal(0.2, 0.3))}, forbidden=[Forbidden(Is("x", less=0.6))])
    )
    record = recorder().random_trials(space, [float(n) for n in range(400)], 81)
    found = [SAMPLER.suggest(space, record.history, Request(81), Rng(0, n)).values[0] for n in range(200)]
    assert min(found) >= 0.6


def test_a_cold_cache_and_a_copy_give_the_same(recorder):
    record = one_bracket(recorder(), BELIEF, distance)
    for number in range(30):
        found = SAMPLER.suggest(BELIEF, record.history, Request(81), Rng(0, number))
        assert SAMPLER.suggest(BELIEF, copy.deepcopy(record.history), Request(81), Rng(0, number)) == found


@pytest.mark.parametrize("settings", [{"mutation": -0.1}, {"mutation": 1.1}, {"step": 0.0}, {"step": 11.0}])
def test_settings_outside_their_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        PriorSampler(**settings)


# -- right and wrong beliefs --------------------------------------------------------------------------------

OPTIMUM = (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)
SEEDS = range(16)


def believing(shift, deviation=0.1):
    """Hartmann's function with a belief that is off by `shift` in each of six parameters (on a circle)."""
    priors = [Normal((x + shift) % 1.0, deviation) for x in OPTIMUM]
    return Problem({f"x{i}": Float(0, 1, prior=p) for i, p in enumerate(priors)}, HARTMANN6.function, 0.0)


@cache
def finals(kind, trials):
    """The best values found over the seeds."""
    if kind == "right":
        return [best_value(believing(0.05), SAMPLER, trials, seed) for seed in SEEDS]
    if kind == "wrong":
        return [best_value(believing(0.5), SAMPLER, trials, seed) for seed in SEEDS]
    sampler = {"random": RandomSampler(), "kde": KdeSampler()}[kind]
    return [best_value(HARTMANN6, sampler, trials, seed) for seed in SEEDS]


@pytest.mark.parametrize("other", ["random", "kde"])
def test_a_right_belief_is_better_early_by_mann_whitney(other):
    own = finals("right", 15)
    assert stats.mannwhitneyu(own, finals(other, 15), alternative="less").pvalue < 0.001


def test_a_wrong_belief_is_forgotten_by_mann_whitney():
    """Not worse than random search without a belief: the one-sided test against it finds nothing."""
    own = finals("wrong", 60)
    assert stats.mannwhitneyu(own, finals("random", 60), alternative="greater").pvalue > 0.2


@pytest.mark.parametrize(
    ("shift", "low", "high"), [(0.05, 0.25, 1.0), (0.5, 0.0, 0.1)], ids=["right", "wrong"]
)
def test_the_priors_weight_falls_where_it_is_wrong(recorder, shift, low, high):
    space = compile_space(believing(shift).space)
    shares = []
    for seed in range(8):
        record = recorder()
        for _ in range(60):
            found = SAMPLER.suggest(space, record.history, Request(81), Rng(seed, len(record.history)))
            record.trial(found.values, HARTMANN6.function(space.to_mapping(found.values)), 81, found.origin)
        shares.append(SAMPLER.weights(space, record.history, Request(81)).prior)
    before = SAMPLER.weights(space, recorder().history, Request(81)).prior
    assert before > 0.95
    assert low <= np.median(shares) <= high
