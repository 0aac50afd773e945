from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.tabular.splits import ALWAYS, make_split, time_split

targets = st.lists(st.integers(0, 4), min_size=2, max_size=120)


@given(targets, st.integers(2, 8), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_folds_of_classes(labels, folds, seed):
    y = np.unique(labels, return_inverse=True)[1].astype(float)
    classes = int(y.max()) + 1
    split = make_split(y, classes, folds, 0.2, seed)
    for k in range(classes):
        own = split.folds[y == k]
        if len(own) == 1:
            assert own[0] == ALWAYS, "a single row is only trained on"
        else:
            counts = np.bincount(own, minlength=folds)
            assert counts.max() - counts.min() <= 1, "as even as can be"
    for fold in range(folds):
        train, test = split.training(fold, len(y)), split.held_out(fold)
        assert sorted([*train, *test]) == list(range(len(y)))
        assert set(y[test]) <= set(y[train]), "nothing is asked that could not be learned"


@given(targets, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_subsets_are_nested_and_never_hold_out_rows(labels, seed):
    y = np.unique(labels, return_inverse=True)[1].astype(float)
    split = make_split(y, int(y.max()) + 1, 3, 0.2, seed)
    assert sorted(split.order) == list(range(len(y)))
    before: set[int] = set()
    for rows in range(1, len(y) + 1):
        now = set(split.training(0, rows).tolist())
        assert before <= now
        assert not now & set(split.held_out(0).tolist())
        before = now


def test_a_holdout_has_its_share_of_every_class():
    y = np.repeat([0.0, 1.0], [900, 100])
    split = make_split(y, 2, 1, 0.2, 0)
    held = split.held_out(0)
    assert np.bincount(y[held].astype(int)).tolist() == [180, 20]
    assert split.validation(5).tolist() == split.validation(1000).tolist() == held.tolist()


@pytest.mark.parametrize("rows", [50, 137, 400])
def test_prefixes_are_stratified(rows):
    rng = np.random.default_rng(1)
    y = (rng.random(1000) < 0.2).astype(float)
    split = make_split(y, 2, 5, 0.2, 3)
    assert y[split.order[:rows]].mean() == pytest.approx(y.mean(), abs=2.5 / rows)


def test_values_are_spread_over_folds():
    y = np.random.default_rng(0).normal(size=500) ** 3
    split = make_split(y, 0, 5, 0.2, 0)
    medians = [np.median(y[split.held_out(f)]) for f in range(5)]
    assert np.ptp(medians) < 0.3 * y.std()


def test_the_seed_decides():
    y = np.random.default_rng(0).normal(size=100)
    first, again, other = (make_split(y, 0, 5, 0.2, s) for s in (0, 0, 1))
    assert first.folds.tolist() == again.folds.tolist()
    assert first.order.tolist() == again.order.tolist()
    assert first.folds.tolist() != other.folds.tolist()


@given(st.integers(0, 50), st.integers(2, 6), st.integers(20, 200), st.integers(3, 60))
def test_groups_are_never_torn(seed, folds, n, many):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, many, n)
    number = min(folds, len(np.unique(groups)))
    split = make_split(rng.normal(size=n), 0, number, 0.2, seed, groups)
    for group in np.unique(groups):
        assert len(np.unique(split.folds[groups == group])) == 1
    for fold in range(split.number):
        held, trained = split.held_out(fold), split.training(fold, n)
        assert not set(groups[held]) & set(groups[trained])
    aside = split.aside(split.training(0, n), 0.2, seed)
    if aside is not None:
        rows = split.training(0, n)
        assert not set(groups[rows[aside]]) & set(groups[rows[~aside]])


def test_large_groups_are_balanced():
    groups = np.repeat(np.arange(7), [50, 30, 20, 20, 10, 10, 10])
    sizes = np.bincount(make_split(np.zeros(150), 0, 3, 0.2, 0, groups).folds)
    assert sizes.tolist() == [50, 50, 50]


@pytest.mark.parametrize(
    ("sizes", "held"),
    [
        ([800, 50, 50, 50, 50], [200]),
        ([700, 300], [300]),
        ([900, 60, 40], [100]),
        ([200] * 5, [200]),
        ([150] * 6 + [100], [100, 150]),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_holdout_of_groups_has_its_share_at_most_or_the_smallest_one(sizes, held, seed):
    split = make_split(np.zeros(1000), 0, 1, 0.2, seed, np.repeat(np.arange(len(sizes)), sizes))
    assert len(split.held_out(0)) in held


@given(st.integers(0, 20), st.integers(1, 5), st.integers(30, 120), st.integers(2, 40))
def test_time_only_looks_back(seed, folds, n, many):
    rng = np.random.default_rng(seed)
    moments = np.floor(many * rng.random(n) ** rng.choice([0.1, 1, 9]))
    moments[:2] = 0, many
    split = time_split(rng.normal(size=n), 0, moments, folds, 0.2, seed)
    assert 1 <= split.number <= folds
    for fold in range(split.number):
        held, trained = split.held_out(fold), split.training(fold, n)
        assert moments[trained].max() < moments[held].min()
    latest = [moments[split.held_out(fold)].max() for fold in range(split.number)]
    assert latest == sorted(latest, reverse=True), "fold 0 is the latest"
    assert latest[0] == many
    rows = split.training(0, n)
    aside = split.aside(rows, 0.2, seed)
    if aside is not None:
        assert moments[rows[aside]].min() > moments[rows[~aside]].max()


@pytest.mark.parametrize(
    ("sizes", "folds", "held"),
    [
        ([400, 400, 400], 5, [400, 400]),
        ([400, 400, 400], 1, [400]),
        ([100, 100, 1000], 5, [1000]),
        ([100, 100, 1000], 3, [1000]),
        ([800, 100, 100], 5, [100, 100]),
    ],
)
def test_few_moments_make_few_folds_and_none_is_empty(sizes, folds, held):
    moments = np.repeat(np.arange(len(sizes)), sizes).astype(float)
    split = time_split(np.zeros(len(moments)), 0, moments, folds, 0.2, 0)
    assert [len(split.held_out(fold)) for fold in range(split.number)] == held
