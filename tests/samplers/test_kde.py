"""The sampler against a slow, plain version of BOHB's Algorithm 2, and against random search."""

from __future__ import annotations

import copy
import gc
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.nonparametric import kernels

from rung.samplers import kde
from rung.samplers.base import Request
from rung.samplers.density import draw
from rung.samplers.kde import KdeSampler, best, split
from rung.samplers.random import RandomSampler
from rung.samplers.rows import rows_of
from rung.space.compiled import compile_space
from rung.space.domains import Categorical, Choice, Constant, Float, Integer, Ordinal, Space
from rung.space.draws import Rng
from rung.space.rules import Forbidden, Is
from rung.space.values import INACTIVE
from rung.trials.events import Constraint, JobFinished
from rung.trials.history import Column

ALWAYS = KdeSampler(random_fraction=0.0)
REQUEST = Request(1)

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
D = MIXED.size


# -- the plain version ------------------------------------------------------------------------------------


def plain_rows(space, history):
    """Filled-in configurations as dicts from dimension to a number or a code."""
    rows = []
    for values in history.values:
        row = {}
        for j, x in enumerate(space.encode([values])[0]):
            if not isinstance(space.domains[j], Constant):
                m = space.levels[j]
                filled = 0.5 if values[j] is INACTIVE else x
                row[j] = math.floor(filled * m) if m else filled
        rows.append(row)
    return rows


def plain_sets(history, least):
    """The largest fidelity with a model, and the trials that are good and bad there."""
    for fidelity in sorted(history.results, reverse=True):
        column = history.results[fidelity]
        ranking = [t for _, t in sorted(zip(column.values, column.trials, strict=True))]
        useful = [t for v, t in sorted(zip(column.values, column.trials, strict=True)) if v < math.inf]
        n = len(ranking)
        if n >= least + 2 and len(useful) >= least:
            good = max(least, 15 * n // 100)
            return fidelity, useful[:good], ranking[-max(least, n - good) :]
    return None


def plain_density(rows, levels, point):
    """statsmodels' product of kernels, one observation after another."""
    bandwidths = {}
    for j, m in levels.items():
        h = 1.06 * np.std([row[j] for row in rows]) * len(rows) ** (-1 / (4 + len(levels)))
        bandwidths[j] = max(1e-3, min(h, (m - 1) / m) if m else h)
    total = 0.0
    for row in rows:
        product = 1.0
        for j, m in levels.items():
            h = bandwidths[j]
            if m:
                at = np.array([row[j]])
                product *= kernels.aitchison_aitken(h, at, point[j], num_levels=m)[0]
            else:
                product *= kernels.gaussian(h, np.array([row[j]]), point[j])[0] / h
        total += product
    return total / len(rows)


def plain_ratios(space, history, points):
    """l / g at each point, whose entries are of the dimensions `columns`."""
    _, good, bad = plain_sets(history, space.size + 1)
    rows = plain_rows(space, history)
    columns = rows_of(history, space)[0].columns.tolist()
    levels = {j: int(space.levels[j]) for j in columns}
    ratios = []
    for numbers in points:
        point = dict(zip(columns, numbers, strict=True))
        above = plain_density([rows[t] for t in good], levels, point)
        ratios.append(above / plain_density([rows[t] for t in bad], levels, point))
    return np.array(ratios)


@pytest.mark.parametrize("seed", range(6))
def test_it_chooses_what_the_plain_version_chooses(recorder, seed):
    rng = np.random.default_rng(seed)
    losses = [None if rng.random() < 0.2 else round(rng.random(), 1) for _ in range(20 + 15 * seed)]
    history = recorder().random_trials(MIXED, losses, seed=seed).history
    for number in range(100, 103):
        generator = Rng(seed, number).generator()
        generator.random()
        model = ALWAYS.model(MIXED, history)
        points = draw(model.good, 64, 3.0, generator)
        expected = points[np.argmax(plain_ratios(MIXED, history, points))]
        found = ALWAYS.suggest(MIXED, history, REQUEST, Rng(seed, number))
        assert found.origin == kde.Origin("kde", model=True, fidelity=1)
        assert found.values == MIXED.decode(model.rows.decoded(expected))[0]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, math.inf]), max_size=60), st.randoms(use_true_random=False))
def test_the_split_is_that_of_a_sorted_list(values, random):
    column = Column()
    column.values.extend(values)
    column.trials.extend(random.sample(range(100), len(values)))
    least = 4
    found = split(np.array(column.values), np.array(column.trials), least, 0.15)
    history = type("Results", (), {"results": {1: column}})
    expected = plain_sets(history, least)
    if expected is None:
        assert found is None
    else:
        ages = np.array(column.trials)
        assert sorted(ages[found.good]) == sorted(expected[1])
        assert sorted(ages[found.bad]) == sorted(expected[2])


# -- the paper's numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "good", "bad"),
    [
        (8, 6, 6),  # N_min + 2: both have N_min, as the paper has it, and overlap
        (11, 6, 6),
        (12, 6, 6),
        (20, 6, 14),
        (40, 6, 34),
        (60, 9, 51),
        (100, 15, 85),
        (10_000, 1500, 8500),
    ],
)
def test_sizes_of_the_split_with_five_dimensions(count, good, bad):
    found = split(np.arange(float(count)), np.arange(count), 6, 0.15)
    assert found.good.tolist() == list(range(good))
    assert found.bad.tolist() == list(range(count - bad, count))


@pytest.mark.parametrize("dims", [1, 3, 8])
def test_the_first_model_comes_with_d_plus_three_results(recorder, dims):
    space = compile_space({f"x{i}": Float(0, 1) for i in range(dims)})
    record = recorder()
    for number in range(dims + 3):
        assert ALWAYS.suggest(space, record.history, REQUEST, Rng(0, number)).origin == kde.Origin("kde")
        record.random_trials(space, [float(number)])
    found = ALWAYS.suggest(space, record.history, REQUEST, Rng(0, 99)).origin
    assert found == kde.Origin("kde", model=True, fidelity=1)


def test_the_model_is_of_the_largest_fidelity_that_has_enough(recorder):
    record = recorder().random_trials(MIXED, [1.0] * 30)
    enough = MIXED.size + 3
    for missing, until in ((0, 3), (1, 9)):
        record.random_trials(MIXED, [1.0] * (enough - missing), until=until)
    assert ALWAYS.suggest(MIXED, record.history, REQUEST, Rng(0, 0)).origin.fidelity == 3
    record.random_trials(MIXED, [1.0], until=9)
    assert ALWAYS.suggest(MIXED, record.history, REQUEST, Rng(0, 0)).origin.fidelity == 9


def test_a_third_of_the_suggestions_is_random(recorder):
    space = compile_space({"x": Float(0, 1)})
    history = recorder().random_trials(space, [float(i) for i in range(10)]).history
    origins = [KdeSampler().suggest(space, history, REQUEST, Rng(1, n)).origin.model for n in range(3000)]
    assert stats.binomtest(origins.count(False), 3000, 1 / 3).pvalue > 0.01


def test_random_suggestions_are_those_of_random_search(recorder):
    history = recorder().history
    for number in range(20):
        found = KdeSampler().suggest(MIXED, history, REQUEST, Rng(3, number))
        assert found.values == RandomSampler().suggest(MIXED, history, REQUEST, Rng(3, number)).values


# -- ties, failures, corners --------------------------------------------------------------------------------


def test_among_equal_values_the_older_trial_is_better():
    values, ages = np.array([0.5, 0.1, 0.5, 0.5]), np.array([9, 4, 2, 7])
    assert best(values, ages, 3).tolist() == [False, True, True, True]
    assert best(values, ages, 2).tolist() == [False, True, True, False]
    assert not best(values, ages, 0).any()


def test_without_enough_values_there_is_no_model(recorder):
    record = recorder().random_trials(MIXED, [None] * 40 + [0.5] * D)
    assert not ALWAYS.suggest(MIXED, record.history, REQUEST, Rng(0, 0)).origin.model
    record.random_trials(MIXED, [math.nan])
    assert not ALWAYS.suggest(MIXED, record.history, REQUEST, Rng(0, 0)).origin.model
    record.random_trials(MIXED, [0.5])
    assert ALWAYS.suggest(MIXED, record.history, REQUEST, Rng(0, 0)).origin.model


def test_failed_trials_are_bad_and_never_good(recorder):
    space = compile_space({"x": Float(0, 1)})
    record = recorder()
    for i in range(30):
        x = i / 29
        record.trial((x,), 1.0 - x if x < 0.5 else None)
    suggested = [ALWAYS.suggest(space, record.history, REQUEST, Rng(0, n)).values[0] for n in range(50)]
    assert np.mean(np.array(suggested) < 0.5) > 0.9


def test_the_good_are_no_more_than_have_values():
    losses = np.array([math.inf] * 55 + [0.5, 0.4, 0.3, 0.2, 0.1])
    found = split(losses, np.arange(60), 4, 0.15)
    assert found.good.tolist() == [55, 56, 57, 58, 59]
    assert found.bad.tolist() == list(range(4, 55))


def test_a_category_that_was_never_seen_keeps_everything_finite(recorder):
    space = compile_space({"c": Categorical(list("abcdef")), "x": Float(0, 1)})
    record = recorder()
    for i in range(40):
        record.trial(("ab"[i % 2], i / 40), i / 40)
    model = ALWAYS.model(space, record.history)
    points = np.array([[x, code] for x in (0.0, 0.5, 1.0) for code in range(6)])
    for density in (model.good, model.bad):
        assert np.isfinite(density.log(points)[0]).all()
        assert np.isfinite(density.log(points, np.float32)[0]).all()


FORBIDDING = compile_space(
    Space({"x": Float(0, 1), "c": Categorical(["u", "v"])}, forbidden=[Forbidden(Is("x", at_most=0.3))])
)


def test_a_forbidden_point_makes_way_for_the_next_best(recorder):
    record = recorder()
    for i in range(40):
        record.trial((0.3001 + i / 100, "u"), i / 100)
    for number in range(30):
        generator = Rng(0, number).generator()
        generator.random()
        points = draw(ALWAYS.model(FORBIDDING, record.history).good, 64, 3.0, generator)
        ratios = plain_ratios(FORBIDDING, record.history, points)
        legal = points[:, 0] > 0.3
        found = ALWAYS.suggest(FORBIDDING, record.history, REQUEST, Rng(0, number))
        if legal.all():
            assert found.origin.model
            continue
        best_legal = points[np.argmax(np.where(legal, ratios, -np.inf))]
        assert found.values[0] == best_legal[0]


def test_when_all_points_are_forbidden_a_random_one_is_suggested(recorder):
    record = recorder()
    for _ in range(20):
        record.trial((0.3001, "u"), 0.0)  # (so that nearly half of the points are forbidden)
    origins = set()
    for number in range(60):
        found = KdeSampler(random_fraction=0.0, candidates=1).suggest(
            FORBIDDING, record.history, REQUEST, Rng(0, number)
        )
        origins.add(found.origin.model)
        if not found.origin.model:
            assert found == (FORBIDDING.sample(0, number), kde.Origin("kde"))
    assert origins == {True, False}


def test_a_space_of_one_point_has_no_model(recorder):
    space = compile_space({"a": Constant(1), "b": Categorical(["x"]), "c": Ordinal([3])})
    record = recorder().random_trials(space, [0.1] * 30)
    assert ALWAYS.suggest(space, record.history, REQUEST, Rng(0, 0)) == ((1, "x", 3), kde.Origin("kde"))


def test_fifty_parameters_are_told_apart(recorder):
    space = compile_space({f"x{i}": Float(0, 1) for i in range(50)})
    rng = np.random.default_rng(0)
    record = recorder().random_trials(space, rng.random(300).tolist())
    model = ALWAYS.model(space, record.history)
    points = draw(model.good, 64, 3.0, np.random.default_rng(1))
    ratios = plain_ratios(space, record.history, points[:8])
    log_ratios = model.good.log(points)[0] - model.bad.log(points)[0]
    np.testing.assert_allclose(log_ratios[:8], np.log(ratios), atol=1e-8)
    assert len(set(log_ratios.tolist())) == 64


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("random_fraction", 1.5),
        ("good_fraction", 0.0),
        ("candidates", 0),
        ("bandwidth_factor", 0.0),
        ("min_bandwidth", 0.5),
        ("min_points", 0),
        ("liar", "median"),
    ],
)
def test_settings_outside_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*, not {value!r}"):
        KdeSampler(**{name: value})


# -- pending trials, constraints, several objectives ---------------------------------------------------------


@pytest.mark.parametrize(("liar", "lie"), [("max", 0.9), ("mean", 0.45), ("min", 0.0)])
def test_with_a_liar_pending_trials_are_results_of_that_value(recorder, liar, lie):
    losses = [i / 10 for i in range(10)] * 3
    record, told = recorder(), recorder()
    for each in (record, told):
        each.random_trials(MIXED, [*losses, None])
    first = len(record.history)
    for number in range(first, first + 5):
        record.start(MIXED.sample(0, number))
        told.trial(MIXED.sample(0, number), lie)
    sampler = KdeSampler(random_fraction=0.0, liar=liar)
    for number in range(50, 56):
        found = sampler.suggest(MIXED, record.history, REQUEST, Rng(0, number))
        assert found == ALWAYS.suggest(MIXED, told.history, REQUEST, Rng(0, number))
        before = recorder().random_trials(MIXED, [*losses, None])
        plain = ALWAYS.suggest(MIXED, before.history, REQUEST, Rng(0, number))
        assert ALWAYS.suggest(MIXED, record.history, REQUEST, Rng(0, number)) == plain


def test_a_lie_ends_with_the_result(recorder):
    sampler = KdeSampler(random_fraction=0.0, liar="max")
    record = recorder().random_trials(MIXED, [i / 30 for i in range(30)])
    number = record.start(MIXED.sample(0, 30))
    lied = sampler.suggest(MIXED, record.history, REQUEST, Rng(0, 99))
    record.result(number, 0.0)
    assert sampler.suggest(MIXED, record.history, REQUEST, Rng(0, 99)) != lied
    alone = copy.deepcopy(record.history)
    assert sampler.suggest(MIXED, record.history, REQUEST, Rng(0, 99)) == ALWAYS.suggest(
        MIXED, alone, REQUEST, Rng(0, 99)
    )


def test_lies_alone_make_no_model(recorder):
    record = recorder().random_trials(MIXED, [0.5] * (D + 2))
    record.start(MIXED.sample(0, 50))
    liar = KdeSampler(random_fraction=0.0, liar="max")
    assert not liar.suggest(MIXED, record.history, REQUEST, Rng(0, 99)).origin.model


def test_results_that_break_a_constraint_are_bad(recorder):
    space = compile_space({"x": Float(0, 1)})
    record = recorder(constraints=(Constraint("memory", 1.0),))
    for i in range(40):
        x = i / 39
        number = record.start((x,))
        record.history.fold(JobFinished(number, metrics={"loss": -x, "memory": 2.0 * x}))
    suggested = [ALWAYS.suggest(space, record.history, REQUEST, Rng(0, n)).values[0] for n in range(60)]
    assert 0.3 < np.median(suggested) < 0.55


# -- filling in, and what is kept ---------------------------------------------------------------------------


def test_inactive_parameters_are_filled_in_with_the_centre(recorder):
    space = compile_space({"c": Choice({"a": {"x": Float(0, 1)}, "b": {"k": Categorical(list("uvw"))}})})
    record = recorder()
    for mapping in (
        {"c": "b", "k": "w"},
        {"c": "a", "x": 0.2},
        {"c": "a", "x": 0.7},
        {"c": "b", "k": "u"},
    ):
        record.trial(space.from_mapping(mapping), 0.0)
    rows, data = rows_of(record.history, space)
    assert [space.keys[j] for j in rows.columns] == ["c.a.x", "c", "c.b.k"]
    assert data.tolist() == [[0.5, 0.2, 0.7, 0.5], [1, 0, 0, 1], [2, 1, 1, 0]]


def test_rows_grow_as_they_would_have_been_built_at_once(recorder):
    record = recorder()
    for number in range(150):
        record.trial(MIXED.sample(0, number), 0.0)
        if number % 7 == 0:
            rows_of(record.history, MIXED)
    again = recorder().random_trials(MIXED, [0.0] * 150)
    expected = [list(row.values()) for row in plain_rows(MIXED, record.history)]
    rows, data = rows_of(record.history, MIXED)
    assert data.tolist() == rows_of(again.history, MIXED)[1].tolist()
    order = np.argsort(rows.columns)
    np.testing.assert_allclose(data[order].T, expected)


def test_what_is_kept_never_changes_a_suggestion(recorder):
    """Two studies, two samplers and two spaces in turn, against each alone on a fresh copy."""
    other = compile_space(MIXED.space)
    records = [recorder(), recorder()]
    samplers = [ALWAYS, KdeSampler(random_fraction=0.0, good_fraction=0.4)]
    rng = np.random.default_rng(0)
    for number in range(40):
        for seed, record in enumerate(records):
            for sampler in samplers:
                for space in (MIXED, other):
                    found = sampler.suggest(space, record.history, REQUEST, Rng(seed, number))
                    alone = copy.deepcopy(record.history)
                    assert found == sampler.suggest(MIXED, alone, REQUEST, Rng(seed, number))
            record.trial(found.values, float(rng.random()), 1 if number % 3 else 3)


def test_nothing_is_kept_of_a_history_that_is_gone(recorder):
    record = recorder().random_trials(MIXED, [0.1] * 20)
    ALWAYS.suggest(MIXED, record.history, REQUEST, Rng(0, 0))
    assert record.history in kde._models
    before = len(kde._models)
    del record
    gc.collect()
    assert len(kde._models) < before


# -- statistics ---------------------------------------------------------------------------------------------


SMOOTH = compile_space({f"x{i}": Float(0, 1) for i in range(4)})
BRANCHES = compile_space(
    {"x": Float(0, 1), "k": Choice({b: {"u": Float(0, 1), "v": Float(0, 1)} for b in "pqrs"})}
)


def bowl(config):
    """A smooth function with one minimum."""
    return sum((config[f"x{i}"] - 0.3 - 0.1 * i) ** 2 for i in range(4))


def bowls(config):
    """A bowl in each branch, of different heights."""
    height, u = {"p": (0.0, 0.2), "q": (0.1, 0.5), "r": (0.2, 0.8), "s": (0.3, 0.5)}[config["k"]]
    return height + (config["u"] - u) ** 2 + (config["v"] - u) ** 2 + (config["x"] - 0.6) ** 2


def best_found(sampler, record, space, function, seed):
    values = []
    for number in range(80):
        suggestion = sampler.suggest(space, record.history, REQUEST, Rng(seed, number))
        values.append(function(space.to_mapping(suggestion.values)))
        record.trial(suggestion.values, values[-1], origin=suggestion.origin)
    return min(values)


@pytest.mark.parametrize(("space", "function"), [(SMOOTH, bowl), (BRANCHES, bowls)], ids=["bowl", "branches"])
def test_it_beats_random_search_on_a_smooth_function(recorder, space, function):
    """One-sided Wilcoxon signed-rank test on the best values of 20 pairs of runs with the same seed."""
    ours, randoms = (
        np.array([best_found(sampler, recorder(), space, function, seed) for seed in range(20)])
        for sampler in (KdeSampler(), RandomSampler())
    )
    assert stats.wilcoxon(ours, randoms, alternative="less").pvalue < 0.01
    assert np.median(ours) < 0.7 * np.median(randoms)
