"""SMAC's sampler: what it models, how it chooses, and that it beats random search where a forest should."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from scipy import stats

from rung.models.forest import as_points, fit_forest
from rung.samplers.base import Request
from rung.samplers.forest import ForestSampler
from rung.samplers.random import RandomSampler
from rung.space.compiled import compile_space
from rung.space.domains import Beta, Categorical, Choice, Constant, Float, Integer
from rung.space.draws import Rng
from rung.trials.events import JobStarted, Origin
from support.problems import CONDITIONAL, COUNTING_ONES

ALWAYS = ForestSampler(random_fraction=0.0)
REQUEST = Request(1)
MIXED = compile_space(
    {
        "fixed": Constant("c"),
        "kind": Choice({"a": {"x": Float(0, 1), "n": Integer(1, 5)}, "b": {"y": Float(1e-4, 1, log=True)}}),
        "z": Float(-1, 1),
    }
)


def test_the_data_are_the_results_of_the_largest_fidelity_with_enough_of_them(recorder):
    record = recorder().random_trials(MIXED, [n / 9 for n in range(30)])
    record.random_trials(MIXED, [0.3] * 5 + [None] * 5, until=9)
    data = ALWAYS.data(MIXED, record.history)
    assert (data.fidelity, data.results) == (1, 30)
    assert data.trials.tolist() == list(range(30))
    record.random_trials(MIXED, [0.1, 0.2, 0.4], until=9)
    data = ALWAYS.data(MIXED, record.history)
    assert data.fidelity == 9
    assert data.trials.tolist() == list(range(30, 43))
    losses = np.array([0.3] * 5 + [0.4] * 5 + [0.1, 0.2, 0.4])
    assert np.argsort(data.targets, kind="stable").tolist() == np.argsort(losses, kind="stable").tolist()
    assert data.best == data.targets[10]
    assert np.isnan(data.points).any()


@pytest.mark.parametrize("liar", ["mean", "worst", "none"])
def test_running_trials_count_as_the_liar_says(recorder, liar):
    record = recorder().random_trials(MIXED, [0.1, 0.4, 0.2, 0.9, 0.5, 0.3, 0.8, 0.7])
    running = [record.start(MIXED.sample(0, 77 + i)) for i in range(3)]
    data = ForestSampler(liar=liar).data(MIXED, record.history)
    assert data.results == 8
    known = data.targets[:8]
    if liar == "none":
        assert len(data.targets) == 8
    else:
        assert data.trials[8:].tolist() == running
        assert (data.targets[8:] == (known.mean() if liar == "mean" else known.max())).all()


def test_a_promoted_trial_counts_with_its_result_alone(recorder):
    record = recorder().random_trials(MIXED, [0.1, 0.4, 0.2, 0.9, 0.5, 0.3, 0.8, 0.7])
    before = ALWAYS.data(MIXED, record.history)
    record.history.fold(JobStarted(0, 9, attempt=1))
    new = record.start(MIXED.sample(0, 77), 9)
    data = ALWAYS.data(MIXED, record.history)
    assert data.trials.tolist() == [*range(8), new]
    assert data.targets[:8].tolist() == before.targets.tolist()


def test_a_running_trial_is_in_the_forest_with_the_liars_loss(recorder):
    """Where the best is expected and a trial runs, less is expected than if nothing ran there."""
    space = compile_space({"x": Float(0, 1)})
    record = recorder()
    for i in range(30):
        record.trial((i / 29,), (i / 29 - 0.42) ** 2)
    for _ in range(3):
        record.start((0.42,))
    at = as_points(np.array([[0.42]]))
    found = []
    for liar in ("worst", "mean", "none"):
        data = ForestSampler(liar=liar).data(space, record.history)
        forest = fit_forest(as_points(data.points), data.targets, seed=0, trees=50)
        found.append(forest.predict(at)[0][0])
    assert found[0] > found[1] > found[2]


def test_what_is_suggested_is_the_best_of_all_candidates_under_its_forest(recorder):
    """On a space that can be listed the expected improvement of every configuration is computed."""
    space = compile_space({"n": Integer(1, 30), "c": Categorical(list("abc"))})
    rng = np.random.default_rng(0)
    record = recorder()
    for _ in range(25):
        n, c = int(rng.integers(1, 31)), "abc"[rng.integers(3)]
        record.trial((n, c), abs(n - 13) + 3.0 * (c != "b"))
    every = [(n, c) for n in range(1, 31) for c in "abc"]
    points = space.encode(every)
    for number in range(25, 31):
        generator = Rng(0, number).generator()
        generator.random()
        log = generator.random() < 0.5
        data = ALWAYS.data(space, record.history, log)
        forest = fit_forest(as_points(data.points), data.targets, seed=int(generator.integers(2**31)))
        mean, variance = forest.predict(as_points(points))
        deviation = np.sqrt(np.maximum(variance, 1e-12))
        z = (data.best - mean) / deviation
        if log:
            lower = np.exp(mean + variance / 2) * stats.norm.cdf(z - deviation)
            improvement = math.exp(data.best) * stats.norm.cdf(z) - lower
        else:
            improvement = (data.best - mean) * stats.norm.cdf(z) + deviation * stats.norm.pdf(z)
        unseen = np.array([values not in record.history.values for values in every])
        found = ALWAYS.suggest(space, record.history, REQUEST, Rng(0, number))
        assert found.origin == Origin("forest", model=True, fidelity=1)
        assert found.values not in record.history.values
        best = improvement[unseen].max()
        assert improvement[every.index(found.values)] == pytest.approx(best, rel=1e-6, abs=1e-9)
        n, c = found.values
        record.trial(found.values, abs(n - 13) + 3.0 * (c != "b"))


def test_the_first_suggestions_and_a_part_of_the_others_are_random(recorder):
    record = recorder().random_trials(MIXED, [0.5] * 7)
    found = ALWAYS.suggest(MIXED, record.history, REQUEST, Rng(3, 7))
    assert found == (
        RandomSampler().suggest(MIXED, record.history, REQUEST, Rng(3, 7)).values,
        Origin("forest"),
    )
    record.random_trials(MIXED, [0.2] * 3)
    sampler = ForestSampler(random_fraction=0.4, candidates=2, trees=1)
    origins = [sampler.suggest(MIXED, record.history, REQUEST, Rng(1, n)).origin.model for n in range(300)]
    assert stats.binomtest(origins.count(False), 300, 0.4).pvalue > 0.01


def test_only_so_many_results_are_modelled(recorder):
    record = recorder().random_trials(MIXED, [n % 17 + n / 1000 for n in range(120)])
    data = ForestSampler(most=40).data(MIXED, record.history)
    assert data.results == 40
    assert set(range(110, 120)) <= set(data.trials.tolist())


def test_an_exhausted_space_gives_a_random_configuration(recorder):
    space = compile_space({"n": Integer(1, 9)})
    record = recorder()
    for n in range(1, 10):
        record.trial((n,), float(n))
    assert ALWAYS.suggest(space, record.history, REQUEST, Rng(0, 9)) == (space.sample(0, 9), Origin("forest"))


def test_huge_losses_leave_the_good_ones_apart(recorder):
    space = compile_space({"x": Float(0, 1)})
    record = recorder()
    for i in range(40):
        record.trial((i / 39,), 1e300 if i > 30 else abs(i / 39 - 0.3))
    found = [ALWAYS.suggest(space, record.history, REQUEST, Rng(0, n)).values[0] for n in range(40, 50)]
    assert np.count_nonzero(np.abs(np.array(found) - 0.3) < 0.1) >= 3


def test_a_suggestion_does_not_depend_on_those_before(recorder):
    record = recorder().random_trials(MIXED, [n / 30 for n in range(30)])
    found = [ALWAYS.suggest(MIXED, record.history, REQUEST, Rng(5, n)) for n in range(30, 34)]
    alone = copy.deepcopy(record.history)
    assert [ALWAYS.suggest(MIXED, alone, REQUEST, Rng(5, n)) for n in range(33, 29, -1)] == found[::-1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("random_fraction", 1.5),
        ("min_points", 1),
        ("candidates", 0),
        ("trees", 0),
        ("most", 7),
        ("liar", "best"),
        ("belief", -1.0),
    ],
)
def test_settings_outside_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*, not {value!r}"):
        ForestSampler(**{name: value})


# -- statistics -------------------------------------------------------------------------------------------


def best_found(sampler, record, problem, seed, trials):
    space = compile_space(problem.space)
    values = []
    for number in range(trials):
        suggestion = sampler.suggest(space, record.history, REQUEST, Rng(seed, number))
        values.append(problem.function(space.to_mapping(suggestion.values)))
        record.trial(suggestion.values, values[-1], origin=suggestion.origin)
    return min(values)


@pytest.mark.parametrize("problem", [CONDITIONAL, COUNTING_ONES], ids=["conditional", "mixed"])
def test_it_beats_random_search(recorder, problem):
    """One-sided Wilcoxon signed-rank test on the best of 60 trials in 10 pairs of runs with the same seed."""
    ours, randoms = (
        [best_found(sampler, recorder(), problem, seed, 60) for seed in range(10)]
        for sampler in (ForestSampler(), RandomSampler())
    )
    assert stats.wilcoxon(ours, randoms, alternative="less").pvalue < 0.01


def believing(alpha, beta):
    return compile_space({f"x{i}": Float(0, 1, prior=Beta(alpha, beta)) for i in range(4)})


@pytest.mark.parametrize("count", [10, 80])
def test_improvement_is_multiplied_by_the_prior_to_the_power_of_belief_over_n(recorder, count):
    """Hvarfner et al. 2022, equation 6: a wrong belief fades with the number of results."""
    space = believing(10.5, 4.5)
    history = recorder().random_trials(space, [n * 7 % 11 / 11 for n in range(count)]).history
    points = space.encode(space.samples(1, 0, 50, uniform=True))
    data = ForestSampler().data(space, history)
    plain, believed = (
        ForestSampler(belief=belief)._acquisition(space, data, True, 5)(points) for belief in (0.0, 4.0)
    )
    np.testing.assert_allclose(believed - plain, 4.0 / count * space.log_prior(points))


def test_a_right_belief_helps_at_once(recorder):
    """The least loss is at 0.3 in each dimension, the belief's centre; the mean of trials 8 to 15."""
    space = believing(4.5, 10.5)

    def early(sampler, seed):
        record, values = recorder(), []
        for number in range(16):
            suggestion = sampler.suggest(space, record.history, REQUEST, Rng(seed, number))
            values.append(sum((x - 0.3) ** 2 for x in suggestion.values))
            record.trial(suggestion.values, values[-1])
        return np.mean(values[8:])

    believed, plain = (
        [early(ForestSampler(belief=belief), seed) for seed in range(12)] for belief in (4.0, 0.0)
    )
    assert stats.wilcoxon(believed, plain, alternative="less").pvalue < 0.05
