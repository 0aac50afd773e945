from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rung.tabular.columns import infer_columns
from rung.tabular.encode import Table, encode
from rung.tabular.preparation import Needs, Preparation, Target, make_preparation
from rung.tabular.scaling import make_scaler
from rung.tabular.target_encoding import SMOOTHING


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


@pytest.mark.parametrize("beside", [0, 1])
@pytest.mark.parametrize("missing", [True, False])
def test_whether_a_cell_is_there_is_told_though_its_value_is_always_the_same(missing, beside):
    """Also where no other number is there."""
    there = np.arange(60) % 3 == 0
    numbers = np.column_stack([np.where(there, 7.0, np.nan), *[np.arange(60.0)] * beside])
    preparation = make_preparation(Needs(missing=missing), {}, [], 0)
    table = Table(numbers, np.empty((60, 0), np.int32))
    matrix = preparation.fit_transform(table, TARGET)
    assert matrix.shape == (60, 1 + beside)
    told = matrix[:, 0 if missing else -1]
    assert np.array_equal(np.isnan(told) if missing else told == 1.0, ~there)
    assert np.array_equal(preparation.transform(table), matrix, equal_nan=True)


@pytest.mark.parametrize(("columns", "cells", "told"), [(4, 240, True), (3, 1e6, False), (100, 239, False)])
def test_cells_are_told_from_other_columns_where_that_is_quick(monkeypatch, columns, cells, told):
    monkeypatch.setattr("rung.tabular.preparation._ITERATIVE", (columns, cells))
    numbers = np.arange(60.0)[:, None] ** [1.0, 0.9, 0.8, 0.7]
    numbers[50, 0] = np.nan
    preparation = make_preparation(Needs(), {"impute": "iterative"}, [], 0)
    matrix = preparation.fit_transform(Table(numbers, np.empty((60, 0), np.int32)), TARGET)
    assert preparation.impute == ("iterative" if told else "median")
    assert matrix[50, 0] == pytest.approx(50 if told else 29, abs=2)


@pytest.mark.parametrize("impute", ["median", "mean", "iterative"])
def test_a_row_with_no_number_is_imputed_alone_as_beside_others(impute):
    numbers = np.random.default_rng(0).normal(size=(60, 3)) ** 2
    numbers[:, 2] += numbers[:, 0]
    numbers[::7, 0] = np.nan
    numbers[[3, 5]] = np.nan
    table = Table(numbers, np.empty((60, 0), dtype=np.int32))
    preparation = make_preparation(Needs(), {"impute": impute}, [], 0)
    preparation.fit_transform(table, TARGET)
    batch = preparation.transform(table)
    for rows in ([3], [5], [3, 5], [7]):
        some = np.array(rows, dtype=np.intp)
        np.testing.assert_allclose(preparation.transform(table.take(some)), batch[some], rtol=1e-12)


def _by_target(codes: np.ndarray, target: Target) -> tuple[Preparation, np.ndarray]:
    """A preparation that encodes by the target, and the training rows' matrix."""
    preparation = make_preparation(Needs(), {"categories": "target"}, [int(codes.max()) + 1], 0)
    return preparation, preparation.fit_transform(_codes_only(codes), target)


def _codes_only(codes: np.ndarray) -> Table:
    return Table(np.empty((len(codes), 0)), codes.reshape(-1, 1).astype(np.int32))


def _smoothed(own: np.ndarray, overall: float) -> float:
    return (own.sum() + SMOOTHING * overall) / (len(own) + SMOOTHING)


@pytest.mark.parametrize("classes", [0, 2])
def test_target_encoding_is_the_smoothed_mean(classes):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, size=200)
    y = (rng.random(200) < 0.2 + 0.3 * codes).astype(float) if classes else rng.normal(size=200) + codes
    preparation, _ = _by_target(codes, Target(y, classes))
    encoded = preparation.transform(_codes_only(np.array([0, 1, 2, -1])))[:, 0]
    wanted = [_smoothed(y[codes == level], y.mean()) for level in range(3)]
    assert encoded == pytest.approx([*wanted, y.mean()]), "the last level was not there"


def test_missing_cells_are_a_level_of_their_own_in_the_encoding_by_the_target():
    codes = np.arange(200) % 4 - 1
    y = np.where(codes < 0, 5.0, codes)
    preparation, _ = _by_target(codes, Target(y, 0))
    encoded = preparation.transform(_codes_only(np.arange(-1, 3)))[:, 0]
    assert encoded == pytest.approx([_smoothed(y[codes == level], y.mean()) for level in range(-1, 3)])


def test_target_encoding_of_several_classes_has_a_column_for_each():
    rng = np.random.default_rng(0)
    codes, y = rng.integers(0, 3, size=300), rng.integers(0, 4, size=300).astype(float)
    preparation, matrix = _by_target(codes, Target(y, 4))
    assert matrix.shape == (300, 4)
    encoded = preparation.transform(_codes_only(np.array([1])))
    assert encoded[0, 2] == pytest.approx(_smoothed((y == 2)[codes == 1], (y == 2).mean()))
    assert encoded.sum() == pytest.approx(1.0)


def test_target_encoding_does_not_show_a_row_its_own_target():
    """With one row a level the training rows' encoding must not tell their targets."""
    codes = np.arange(400)
    y = np.random.default_rng(0).normal(size=400)
    preparation, encoded = _by_target(codes, Target(y, 0))
    assert abs(np.corrcoef(encoded[:, 0], y)[0, 1]) < 0.25
    naive = preparation.transform(_codes_only(codes))
    assert np.corrcoef(naive[:, 0], y)[0, 1] > 0.99


def test_target_encoding_depends_on_the_seed_alone():
    codes, y = np.arange(100) % 7, np.random.default_rng(0).normal(size=100)
    assert np.array_equal(_by_target(codes, Target(y, 0))[1], _by_target(codes, Target(y, 0))[1])


@pytest.mark.parametrize(
    ("y", "classes", "kept"),
    [
        ([0.1, 0.7], 0, True),
        ([0.1, 0.7, 0.9], 0, True),
        ([0.0, 1.0], 2, False),
        ([0.0, 1.0, 1.0], 2, True),
        ([0.0, 1.0, 2.0], 3, False),
        ([0.0] * 20 + [1.0], 2, True),
        ([0.0] * 20 + [1.0, 2.0, 2.0], 3, True),
    ],
)
def test_few_rows_and_rare_classes_take_fewer_folds_or_none(y, classes, kept):
    """Without a warning: where no class has two rows, the codes stay as they are."""
    codes = np.arange(len(y)) % 2
    preparation, matrix = _by_target(codes, Target(np.array(y), classes))
    assert np.isfinite(matrix).all()
    assert preparation.categories == ("target" if kept else "ordinal")
    assert preparation.transform(_codes_only(np.array([-1, 5]))).shape == (2, matrix.shape[1])


def test_a_table_without_columns_gives_no_columns():
    empty = Table(np.empty((5, 0)), np.empty((5, 0), dtype=np.int32))
    preparation = Preparation(Needs(scaled=True))
    assert preparation.fit_transform(empty, Target(np.arange(5) % 2 * 1.0, 2)).shape == (5, 0)


def test_columns_of_two_values_are_not_drawn_to_the_ends():
    rng = np.random.default_rng(0)
    matrix = np.column_stack([rng.normal(size=200), rng.random(200) < 0.1, np.full(200, 3.0)]).astype(float)
    for scale in ("quantile", "smooth"):
        scaler = make_scaler(scale, 200, 0).fit(matrix)
        scaled = scaler.transform(matrix)
        assert set(np.unique(scaled[:, 1])) == {0.0, 1.0}
        assert (scaled[:, 2] == 0).all()
        assert abs(np.median(scaled[:, 0])) < 0.05
        assert np.array_equal(scaler.transform(matrix[:5]), scaled[:5])
    assert scaler.transform(np.array([[0.0, 0.5, 3.0]]))[0, 1] == 0.5


def test_a_keyword_tells_the_class_in_texts_of_whatever_length():
    """Logarithms are of counts: of counts scaled to length 1 they would be negative in long texts only."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    filler = np.array([f"word{i}" for i in range(15)])
    hit = rng.random(600) < 0.4
    texts = [
        " ".join(rng.permutation([*rng.choice(filler, rng.integers(3, 30)), *(["docker"] if one else [])]))
        for one in hit
    ]
    frame = pd.DataFrame({"text": texts})
    _, table = encode(frame, infer_columns(frame))
    preparation = make_preparation(Needs(scaled=True), {}, [], 0)
    some, others = table.take(np.arange(300)), table.take(np.arange(300, 600))
    model = LogisticRegression().fit(preparation.fit_transform(some, Target(hit[:300] * 1.0, 2)), hit[:300])
    assert model.score(preparation.transform(others), hit[300:]) > 0.98


def test_many_classes_get_many_components_where_columns_are_scaled():
    frame = pd.DataFrame({"text": [f"the w{i % 60} of v{i % 7} and u{i % 11}" for i in range(600)]})
    _, table = encode(frame, infer_columns(frame))
    y = Target(np.arange(600) % 60 * 1.0, 60)
    scaled, trees = (make_preparation(Needs(scaled=one), {}, [], 0) for one in (True, False))
    assert [x.fit_transform(table, y).shape[1] for x in (scaled, trees)] == [120, 50]


@pytest.mark.parametrize(("rows", "width"), [(2_000, 60), (300, 30)])
def test_sixty_levels_have_a_column_each_if_there_are_rows(rows, width):
    codes = np.arange(rows, dtype=np.int32)[:, None] % 60
    preparation = make_preparation(Needs(), {"categories": "onehot"}, [60], 0)
    matrix = preparation.fit_transform(_codes_only(codes), Target(np.arange(rows) % 2 * 1.0, 2))
    assert matrix.shape[1] == width
