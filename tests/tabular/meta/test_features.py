"""Meta-features against what they must be on tables whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rung.tabular.encode import Table
from rung.tabular.meta.features import NAMES, ROWS, _binned, _entropy, _information_of, meta_features
from rung.tabular.meta.landmarks import LANDMARKS, landmarks


def _table(numbers: np.ndarray, codes: np.ndarray | None = None) -> Table:
    given = np.empty((len(numbers), 0), dtype=np.int32) if codes is None else codes.astype(np.int32)
    return Table(np.asarray(numbers, dtype=float), given)


def _of(numbers, y, classes, codes=None, sizes=(), **more):
    return meta_features(_table(numbers, codes), np.asarray(y), classes, list(sizes), seconds=1e6, **more)


def test_counts_and_shares():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(100, 3))
    numbers[:20, 0] = np.nan
    codes = rng.integers(0, 7, size=(100, 1))
    found = _of(numbers, rng.integers(0, 2, 100), 2, codes, [7])
    values = found.values
    assert (found.rows, found.columns, found.classes, found.width) == (100, 4, 2, 10)
    assert found.categories
    assert found.missing
    assert values["log_rows"] == pytest.approx(math.log(100))
    assert values["log_rows_by_column"] == pytest.approx(math.log(25))
    assert values["share_categories"] == 0.25
    assert values["share_missing"] == pytest.approx(20 / 400)
    assert values["share_columns_missing"] == 0.25
    assert values["log_most_levels"] == pytest.approx(math.log(8))


def test_moments_are_scipys():
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.exponential(size=500), rng.exponential(size=500) ** 2])
    y = rng.exponential(size=500)
    values = _of(X, y, 0).values
    skewness, kurtosis = stats.skew(X), stats.kurtosis(X, fisher=False)
    assert values["most_skewness"] == pytest.approx(math.log1p(skewness.max()))
    assert values["median_kurtosis"] == pytest.approx(np.median(np.log1p(kurtosis)))
    assert values["target_skewness"] == pytest.approx(math.log1p(stats.skew(y)))
    assert values["mean_correlation"] == pytest.approx(abs(np.corrcoef(X.T)[0, 1]))


def test_components_count_the_directions_that_vary():
    rng = np.random.default_rng(2)
    one = rng.normal(size=(300, 1))
    same = _of(np.repeat(one, 10, axis=1), one.ravel(), 0).values["components"]
    apart = _of(rng.normal(size=(2_000, 10)), rng.normal(size=2_000), 0).values["components"]
    assert same == pytest.approx(0.1)
    assert apart == 1.0


def test_entropies():
    assert _entropy(np.array([0.25] * 4)) == pytest.approx(math.log(4))
    assert _entropy(np.array([1.0, 0.0])) == 0.0
    x = np.array([0, 0, 1, 1] * 50)
    assert _information_of(x, x)[1] == pytest.approx(math.log(2), abs=0.01)
    assert _information_of(x, np.array([0, 1] * 100))[1] == 0.0


def test_bins_hold_as_many_rows_each_and_missing_has_its_own():
    bins = _binned(np.r_[np.arange(80.0), [np.nan] * 5])
    assert np.bincount(bins).tolist() == [5] + [10] * 8


def test_information_tells_columns_that_matter_from_noise():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(800, 5))
    clear = _of(X, (X[:, 0] > 0).astype(int), 2).values
    noise = _of(X, rng.integers(0, 2, 800), 2).values
    assert clear["most_information"] > 0.8
    assert noise["most_information"] < 0.05
    assert clear["noise_to_signal"] < noise["noise_to_signal"]
    assert clear["class_entropy"] == pytest.approx(1.0, abs=0.01)


def test_landmarks_tell_straight_from_bent():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(450, 4))
    straight = landmarks(X, X @ [1.0, 2.0, -1.0, 0.5], 0, 0)
    bent = landmarks(X, (X[:, 0] * X[:, 1] > 0).astype(int), 2, 0)
    assert straight["landmark_linear"] > 0.99
    assert bent["landmark_linear"] < 0.2
    assert bent["landmark_tree"] > bent["landmark_linear"] + 0.3
    assert straight["tree_over_linear"] < 0 < bent["tree_over_linear"]


def test_landmarks_of_noise_are_about_nothing_and_of_tiny_tables_unknown():
    rng = np.random.default_rng(5)
    noise = landmarks(rng.normal(size=(500, 4)), rng.integers(0, 2, 500), 2, 0)
    assert abs(noise["landmark_stump"]) < 0.3
    tiny = landmarks(rng.normal(size=(20, 4)), rng.integers(0, 2, 20), 2, 0)
    assert all(math.isnan(tiny[name]) for name in LANDMARKS)


def test_the_same_table_gives_the_same_features_and_only_a_sample_is_read():
    rng = np.random.default_rng(6)
    X, y = rng.normal(size=(3 * ROWS, 60)), rng.integers(0, 3, 3 * ROWS)
    first, second = _of(X, y, 3), _of(X, y, 3)
    np.testing.assert_equal(first.vector, second.vector)
    assert first.vector.shape == (len(NAMES),)
    assert first.values["log_rows"] == pytest.approx(math.log(3 * ROWS))


def test_without_time_only_the_cheap_ones_are_there():
    rng = np.random.default_rng(7)
    found = meta_features(_table(rng.normal(size=(50, 3))), rng.normal(size=50), 0, [], seconds=0.0)
    assert math.isfinite(found.values["log_rows"])
    assert math.isnan(found.values["landmark_tree"])
    assert math.isnan(found.values["mean_information"])


@pytest.mark.parametrize(
    ("numbers", "y", "classes"),
    [
        (np.empty((50, 0)), np.arange(50) % 2, 2),
        (np.full((50, 2), np.nan), np.arange(50) % 2, 2),
        (np.ones((50, 2)), np.arange(50.0), 0),
        (np.full((40, 1), 1e30), np.zeros(40), 0),
        (np.array([[1.0], [2.0]]), np.array([0, 1]), 2),
    ],
)
def test_odd_tables_give_numbers_or_unknown_and_no_warning(numbers, y, classes):
    found = _of(numbers, y, classes)
    assert set(found.values) == set(NAMES)
    assert not np.isinf(found.vector).any()


def test_categories_alone_have_information_and_landmarks():
    rng = np.random.default_rng(8)
    codes = rng.integers(-1, 4, size=(300, 2))
    found = _of(np.empty((300, 0)), (codes[:, 0] > 1).astype(int), 2, codes, [4, 4]).values
    assert found["most_information"] > 0.9
    assert found["landmark_tree"] > 0.9
