from __future__ import annotations

import numpy as np
import pytest

from rung.tabular.encode import Table
from rung.tabular.preparation import SMOOTHING, Needs, Preparation, Target, TargetEncoding, make_preparation


def _table(n: int = 60, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 4))
    numbers[:, 1] = np.nan  # all missing
    numbers[:, 2] = 3.0  # constant
    numbers[rng.random(n) < 0.3, 3] = np.nan
    return Table(numbers, rng.integers(-1, 4, size=(n, 2)).astype(np.int32))


TARGET = Target(np.arange(60) % 2 * 1.0, 2)


@pytest.mark.parametrize("categories", ["onehot", "ordinal", "target"])
@pytest.mark.parametrize("scale", ["standard", "quantile", "robust"])
@pytest.mark.parametrize("scaled", [True, False])
def test_matrices_are_finite_and_fit_new_rows(categories, scale, scaled):
    config = {"categories": categories, "scale": scale}
    preparation = make_preparation(Needs(scaled=scaled), config, [4, 4], 0)
    table = _table()
    matrix = preparation.fit_transform(table, TARGET)
    assert np.isfinite(matrix).all()
    other = preparation.transform(Table(np.full((2, 4), np.nan), np.full((2, 2), -1, dtype=np.int32)))
    assert np.isfinite(other).all()
    assert other.shape[1] == matrix.shape[1]


def test_nothing_of_later_rows_is_used():
    """Rows transformed after fitting do not change what was fitted, nor each other."""
    preparation = make_preparation(Needs(scaled=True), {}, [4, 4], 0)
    preparation.fit_transform(_table(), TARGET)
    late = _table(30, seed=9)
    together = preparation.transform(late)
    alone = np.vstack([preparation.transform(late.take(np.array([i]))) for i in range(30)])
    assert together == pytest.approx(alone)


def test_native_codes_are_named_and_missing_is_nan():
    preparation = make_preparation(Needs(missing=True, native=True), {}, [4, 4], 0)
    table = _table()
    matrix = preparation.fit_transform(table, TARGET)
    codes = matrix[:, preparation.categorical]
    assert np.array_equal(np.nan_to_num(codes, nan=-1), table.codes)
    assert matrix.shape[1] == 2 + 2, "columns that do not vary are left out"


def test_target_encoding_is_the_smoothed_mean():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, size=(200, 1)).astype(np.int32)
    y = rng.normal(size=200) + codes[:, 0]
    encoding = TargetEncoding(0)
    encoding.fit_transform(codes, [3], Target(y, 0))
    for level in range(3):
        own = y[codes[:, 0] == level]
        wanted = (own.sum() + SMOOTHING * y.mean()) / (len(own) + SMOOTHING)
        assert encoding.transform(np.array([[level]], dtype=np.int32))[0, 0] == pytest.approx(wanted)
    assert encoding.transform(np.array([[-1]], dtype=np.int32))[0, 0] == pytest.approx(y.mean())


def test_target_encoding_does_not_show_a_row_its_own_target():
    """With one row a level the training rows' encoding must not tell their targets."""
    rng = np.random.default_rng(0)
    codes = np.arange(400, dtype=np.int32)[:, None]
    y = rng.normal(size=400)
    encoded = TargetEncoding(0).fit_transform(codes, [400], Target(y, 0))
    assert abs(np.corrcoef(encoded[:, 0], y)[0, 1]) < 0.25
    naive = TargetEncoding(0)
    naive.fit_transform(codes, [400], Target(y, 0))
    assert np.corrcoef(naive.transform(codes)[:, 0], y)[0, 1] > 0.99


def test_a_table_without_columns_gives_no_columns():
    empty = Table(np.empty((5, 0)), np.empty((5, 0), dtype=np.int32))
    preparation = Preparation(Needs(scaled=True))
    assert preparation.fit_transform(empty, Target(np.arange(5) % 2 * 1.0, 2)).shape == (5, 0)
