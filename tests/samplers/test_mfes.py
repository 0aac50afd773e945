"""MFES-HB's sampler: how fidelities are weighed, against the paper written out, and what that brings."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rung.models.forest import as_points
from rung.samplers.base import Request
from rung.samplers.forest import ForestSampler
from rung.samplers.mfes import Ensemble, MfesSampler, ordered
from rung.samplers.random import RandomSampler
from rung.space.compiled import compile_space
from rung.space.domains import Float
from rung.space.draws import Rng
from rung.trials.events import JobStarted, Origin

REQUEST = Request(1)
ALWAYS = MfesSampler(random_fraction=0.0)
SPACE = compile_space({f"x{i}": Float(0, 1) for i in range(3)})


def bowl(values):
    return sum((x - 0.3 - 0.2 * i) ** 2 for i, x in enumerate(values))


def misleading(values):
    return -bowl(values)


def history_of(recorder, counts, functions, seed=0):
    """Random trials at fidelities: `counts` of them, each with its function's value."""
    record = recorder()
    for (until, count), function in zip(counts.items(), functions, strict=True):
        for _ in range(count):
            values = SPACE.sample(seed, len(record.history))
            record.trial(values, function(values), until)
    return record


def weights(record):
    bases = ALWAYS.bases(SPACE, record.history)
    return dict(zip(bases, ALWAYS.weights(SPACE, record.history, bases).tolist(), strict=True))


# -- the paper's rules ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3]), st.integers(0, 4)), max_size=20))
def test_the_part_of_pairs_in_order_is_counted_pair_by_pair(pairs):
    predicted, losses = (np.array([pair[i] for pair in pairs], dtype=float) for i in (0, 1))
    right = total = 0.0
    for i in range(len(pairs)):
        for j in range(len(pairs)):
            if losses[i] < losses[j]:
                total += 1.0
                right += 1.0 if predicted[i] < predicted[j] else 0.5 if predicted[i] == predicted[j] else 0.0
    assert ordered(predicted, losses) == pytest.approx(right / total if total else 0.5)


def test_forests_are_combined_as_a_product_of_experts(recorder):
    record = history_of(recorder, {1: 30, 9: 20, 81: 15}, [bowl] * 3)
    bases = ALWAYS.bases(SPACE, record.history)
    shares = np.array([0.2, 0.5, 0.3])
    points = np.random.default_rng(0).random((25, 3))
    mean, variance = Ensemble(tuple(base.forest for base in bases.values()), shares).predict(points)
    for i, point in enumerate(points):
        precision = total = 0.0
        for base, share in zip(bases.values(), shares, strict=True):
            m, v = base.forest.predict(as_points(point[None]))
            precision += share / max(v[0], 1e-6)
            total += share * m[0] / max(v[0], 1e-6)
        assert mean[i] == pytest.approx(total / precision)
        assert variance[i] == pytest.approx(1.0 / precision)


def test_weights_are_powers_of_the_parts_of_pairs_in_order(recorder):
    record = history_of(recorder, {1: 40, 9: 30, 81: 9}, [bowl, misleading, bowl])
    bases = ALWAYS.bases(SPACE, record.history)
    column = record.history.results[81]
    points = as_points(record.history.matrix(SPACE)[np.array(column.trials)])
    parts = {
        at: ordered(base.forest.predict(points)[0], np.array(column.values)) for at, base in bases.items()
    }
    parts[81] = 0.0  # fewer than ten results: no cross-validation
    total = sum(part**3 for part in parts.values())
    assert weights(record) == pytest.approx({at: part**3 / total for at, part in parts.items()})
    assert list(bases) == [81, 9, 1]


@pytest.mark.parametrize("top", [0, 2])
def test_without_results_to_rank_the_other_fidelities_weigh_the_same(recorder, top):
    record = history_of(recorder, {1: 40, 9: 30, 81: top}, [bowl] * 3)
    assert weights(record) == {9: 0.5, 1: 0.5}


def test_where_low_fidelities_mislead_the_weight_goes_to_the_highest(recorder):
    record = history_of(recorder, {1: 60, 9: 40, 81: 30}, [misleading, misleading, bowl])
    assert weights(record)[81] > 0.9


def test_where_fidelities_agree_the_one_with_more_results_weighs_more(recorder):
    found = weights(history_of(recorder, {1: 200, 81: 12}, [bowl, bowl]))
    assert found[1] > found[81] > 0.0


def test_theta_sharpens_the_weights(recorder):
    record = history_of(recorder, {1: 60, 9: 40, 81: 30}, [misleading, misleading, bowl])
    shares = []
    for theta in (0.0, 1.0, 3.0):
        sampler = MfesSampler(theta=theta)
        bases = sampler.bases(SPACE, record.history)
        shares.append(sampler.weights(SPACE, record.history, bases)[0])
    assert shares[0] == pytest.approx(1 / 3)
    assert shares[0] < shares[1] < shares[2]


def test_a_trial_is_in_the_forests_of_the_fidelities_at_which_its_result_is_to_come(recorder):
    """Below, where it has its result, a promotion changes nothing: the forest is kept."""
    record = history_of(recorder, {1: 12, 9: 10}, [bowl, bowl])
    before = ALWAYS.bases(SPACE, record.history)
    record.history.fold(JobStarted(3, 9, attempt=1))
    after = ALWAYS.bases(SPACE, record.history)
    assert after[1] is before[1]
    rows = {fidelity: base.forest.trees[0].weight[0] for fidelity, base in after.items()}
    assert rows == {9: 11, 1: 12}


# -- a sampler like others --------------------------------------------------------------------------------


def test_the_origin_names_the_largest_fidelity_with_a_forest(recorder):
    record = history_of(recorder, {1: 7}, [bowl])
    assert ALWAYS.suggest(SPACE, record.history, REQUEST, Rng(0, 7)).origin == Origin("mfes")
    record.trial(SPACE.sample(0, 7), 0.5)
    for at in (1, 9):
        found = ALWAYS.suggest(SPACE, record.history, REQUEST, Rng(0, 50))
        assert found.origin == Origin("mfes", model=True, fidelity=at)
        record.random_trials(SPACE, [0.1, 0.4, 0.2, 0.3, None, 0.5, 0.6, 0.7, 0.8], until=9)


def test_what_is_kept_never_changes_a_suggestion(recorder):
    record = recorder()
    rng = np.random.default_rng(0)
    for number in range(45):
        found = ALWAYS.suggest(SPACE, record.history, REQUEST, Rng(1, number))
        if number % 4 == 0:
            assert found == ALWAYS.suggest(SPACE, copy.deepcopy(record.history), REQUEST, Rng(1, number))
        trial = record.start(found.values, (1, 3, 1, 81)[number % 4])
        if number % 5:
            record.result(trial, float(rng.random()) if number % 7 else math.nan)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("random_fraction", 2.0),
        ("theta", -1.0),
        ("min_points", 1),
        ("candidates", 0),
        ("trees", 0),
        ("most", 3),
    ],
)
def test_settings_outside_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*, not {value}"):
        MfesSampler(**{name: value})


# -- statistics -------------------------------------------------------------------------------------------

WIDE = compile_space({f"x{i}": Float(0, 1) for i in range(6)})


def dip(values):
    return sum((x - 0.25 - 0.1 * i) ** 2 for i, x in enumerate(values))


def next_losses(sampler, recorder, seed):
    """The mean loss of suggestions after many cheap results, about right, and ten dear ones."""
    record = recorder()
    rng = np.random.default_rng(seed)
    for number in range(120):
        values = WIDE.sample(seed, number)
        dear = number % 12 == 0
        record.trial(values, dip(values) + (0.0 if dear else 0.05 * rng.normal()), 81 if dear else 1)
    found = [sampler.suggest(WIDE, record.history, REQUEST, Rng(seed, 120 + n)).values for n in range(4)]
    return float(np.mean([dip(values) for values in found]))


def test_with_fidelities_that_agree_it_beats_a_model_of_the_highest_alone(recorder):
    """One-sided Wilcoxon signed-rank test over 12 pairs of histories; random search is far behind both."""
    ours, highest, randoms = (
        [next_losses(sampler, recorder, seed) for seed in range(12)]
        for sampler in (ALWAYS, ForestSampler(random_fraction=0.0), RandomSampler())
    )
    assert stats.wilcoxon(ours, highest, alternative="less").pvalue < 0.01
    assert stats.wilcoxon(ours, randoms, alternative="less").pvalue < 0.01
