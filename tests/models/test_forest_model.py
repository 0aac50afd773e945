"""The forest against the formulas of its papers, written out, and scikit-learn's own predictions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.models.forest import MISSING, as_points, fit_forest


def data(n=60, k=4, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.random((n, k))
    points[rng.random((n, k)) < 0.15] = np.nan
    return as_points(points), np.nansum((points - 0.3) ** 2, axis=1) + 0.1 * rng.normal(size=n)


def leaf(tree, point):
    """Walk one tree by hand, from its arrays."""
    node = 0
    while tree.left[node] >= 0:
        left = point[tree.feature[node]] <= tree.threshold[node]
        node = tree.left[node] if left else tree.right[node]
    return node


@pytest.mark.parametrize("least", [1, 4])
@pytest.mark.parametrize("best_splits", [False, True])
def test_mean_and_variance_are_those_of_the_law_of_total_variance(least, best_splits):
    points, targets = data()
    forest = fit_forest(points, targets, seed=3, trees=7, least=least, best_splits=best_splits)
    asked = data(40, seed=1)[0]
    mean, variance = forest.predict(asked)
    for i, point in enumerate(asked):
        leaves = [(tree.mean[leaf(tree, point)], tree.variance[leaf(tree, point)]) for tree in forest.trees]
        means, variances = np.array(leaves).T
        assert mean[i] == pytest.approx(means.mean())
        assert variance[i] == pytest.approx(variances.mean() + (means**2).mean() - means.mean() ** 2)


def test_a_leaf_holds_the_bootstrapped_targets_that_fall_into_it():
    """Each tree's sample is drawn again here, and the targets are sorted into its leaves."""
    points, targets = data()
    n = len(targets)
    forest = fit_forest(points, targets, seed=5, trees=4, least=3)
    drawn = np.random.Generator(np.random.Philox(key=5)).integers(n, size=(4, n))
    for tree, rows in zip(forest.trees, drawn, strict=True):
        leaves = np.array([leaf(tree, point) for point in points[rows]])
        for node in np.unique(leaves):
            inside = targets[rows][leaves == node]
            assert tree.weight[node] == len(inside)
            assert tree.mean[node] == pytest.approx(inside.mean())
            assert tree.variance[node] == pytest.approx(inside.var(), abs=1e-12)


def test_parents_come_before_their_children_and_weigh_as_much_as_both():
    """What an analysis of variance over the trees relies on."""
    forest = fit_forest(*data(), seed=0)
    for tree in forest.trees:
        inner = np.flatnonzero(tree.left >= 0)
        assert (tree.left[inner] > inner).all()
        assert (tree.right[inner] > inner).all()
        np.testing.assert_allclose(
            tree.weight[inner], tree.weight[tree.left[inner]] + tree.weight[tree.right[inner]]
        )
        assert (tree.feature[inner] >= 0).all()
        assert (tree.feature[tree.left < 0] == -2).all()


def test_the_same_seed_gives_the_same_forest_and_no_global_generator_is_used():
    points, targets = data()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (fit_forest(points, targets, seed=seed).predict(points) for seed in (1, 1, 2))
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[0] != other[0]).any()


def test_a_missing_feature_is_told_from_any_number():
    rng = np.random.default_rng(0)
    points = rng.random((200, 2))
    points[::2, 0] = np.nan
    targets = np.where(np.isnan(points[:, 0]), 5.0, 0.0)
    forest = fit_forest(as_points(points), targets, seed=0)
    asked = as_points(np.array([[np.nan, 0.5], [0.0, 0.5], [1.0, 0.5]]))
    assert asked[0, 0] == MISSING
    assert forest.predict(asked)[0] == pytest.approx([5.0, 0.0, 0.0], abs=0.6)


def test_it_is_surer_where_it_has_seen_more():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(0.0, 0.4, 300), rng.uniform(0.9, 1.0, 10)])[:, None]
    forest = fit_forest(as_points(points), np.sin(9 * points[:, 0]), seed=0, trees=30)
    variance = forest.predict(as_points(np.array([[0.2], [0.65]])))[1]
    assert variance[0] < 0.1 * variance[1]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(1, 4), st.booleans(), st.integers(0, 2**31 - 1))
def test_predictions_lie_within_the_targets_and_variances_are_not_negative(n, k, equal, seed):
    rng = np.random.default_rng(seed)
    targets = np.zeros(n) if equal else rng.normal(size=n)
    forest = fit_forest(as_points(rng.random((n, k))), targets, seed=seed, trees=3)
    mean, variance = forest.predict(as_points(rng.random((20, k))))
    assert (mean >= targets.min() - 1e-9).all()
    assert (mean <= targets.max() + 1e-9).all()
    assert (variance >= 0.0).all()
    assert (variance <= 0.25 * np.ptp(targets) ** 2 + 1e-9).all()
