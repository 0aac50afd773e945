from __future__ import annotations

import numpy as np
import pytest

from rung.tabular.encode import Table
from rung.tabular.expansion import Expansion
from rung.tabular.learners.table import BUILT_IN, Traits, defaults, search_space
from rung.tabular.preparation import Needs, Preparation, SmoothScaler, Target


def _table(n: int = 400, seed: int = 0) -> tuple[Table, np.ndarray]:
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(1, 5, size=(n, 4))
    codes = rng.integers(0, 4, size=(n, 2)).astype(np.int32)
    return Table(numbers, codes), numbers[:, 0] / numbers[:, 1]


def test_the_ratio_that_makes_the_target_is_found():
    table, y = _table()
    maker = Expansion()
    made = maker.fit_transform(table, y, 0)
    assert (maker.pairs[0].a, maker.pairs[0].b) in {(0, 1), (1, 0)}
    assert maker.pairs[0].operation in ("ratio", "minus")
    assert max(abs(np.corrcoef(made[:, j], y)[0, 1]) for j in range(made.shape[1])) > 0.9


def test_rows_alone_get_what_they_get_in_a_table():
    table, y = _table()
    maker = Expansion()
    maker.fit_transform(table, (y > 1).astype(float), 2)
    whole = maker.transform(table)
    single = np.vstack([maker.transform(table.take(np.array([i]))) for i in range(20)])
    assert np.allclose(single, whole[:20], equal_nan=True)


def test_a_group_mean_is_of_the_training_rows_and_shrinks_to_the_whole():
    numbers = np.array([[1.0], [3.0], [10.0], [np.nan]])
    table = Table(np.hstack([numbers, numbers]), np.array([[0], [0], [1], [-1]], dtype=np.int32))
    from rung.tabular.expansion import _group

    means = _group(table, 0, 0).means
    overall = 14 / 3
    assert means == pytest.approx([(4 + 5 * overall) / 7, (10 + 5 * overall) / 6, overall])


def test_unseen_levels_and_crosses_are_no_error():
    table, y = _table()
    maker = Expansion()
    maker.fit_transform(table, (y > 1).astype(float), 2)
    strange = Table(table.numbers[:3], np.array([[-1, 3], [3, -1], [-1, -1]], dtype=np.int32))
    assert np.isfinite(maker.transform(strange)).all()


@pytest.mark.parametrize("reduce", ["none", "pca", "select"])
@pytest.mark.parametrize("expand", ["none", "pairs", "squares"])
@pytest.mark.parametrize("categories", ["onehot", "hash", "ordinal"])
@pytest.mark.parametrize("impute", ["median", "iterative"])
def test_every_way_of_preprocessing_gives_a_finite_matrix(reduce, expand, categories, impute):
    table, y = _table(120)
    table.numbers[::7, 2] = np.nan
    ways = {"reduce": reduce, "expand": expand, "categories": categories, "impute": impute}
    preparation = Preparation(Needs(scaled=True), sizes=[4, 4], **ways)
    matrix = preparation.fit_transform(table, Target((y > 1).astype(float), 2))
    assert np.isfinite(matrix).all()
    assert preparation.transform(table).shape == matrix.shape
    if reduce == "select":
        plain = Preparation(Needs(scaled=True), sizes=[4, 4], **{**ways, "reduce": "none"})
        width = plain.fit_transform(table, Target((y > 1).astype(float), 2)).shape[1]
        assert matrix.shape[1] == (width + 1) // 2


def test_pairs_stay_missing_for_learners_that_read_missing():
    table, y = _table(200)
    table.numbers[:50, 0] = np.nan
    preparation = Preparation(
        Needs(missing=True, native=True), categories="native", expand="pairs", sizes=[4, 4]
    )
    matrix = preparation.fit_transform(table, Target(y, 0))
    assert matrix.shape[1] > 6
    assert preparation.categorical == [matrix.shape[1] - 2, matrix.shape[1] - 1]
    assert np.isnan(matrix[:50]).any(axis=1).all()


def test_large_values_are_drawn_in_smoothly():
    column = np.r_[np.linspace(-1, 1, 101), 1e6][:, None]
    scaled = SmoothScaler().fit(column).transform(column)
    assert scaled.max() < 3
    assert (np.diff(scaled[:, 0]) > 0).all(), "the order stays"
    constant = np.full((5, 1), 7.0)
    assert (SmoothScaler().fit(constant).transform(constant) == 0).all()


@pytest.mark.parametrize(
    ("traits", "name", "values"),
    [
        (Traits(levels=300), "categories", ("onehot", "target", "hash")),
        (Traits(missing=True), "impute", ("median", "mean", "iterative")),
        (Traits(rare=True), "balance", ("none", "balanced")),
        (Traits(rare=True, many=True), "balance", ("none", "balanced", "under")),
        (Traits(skewed=True), "target", ("plain", "log")),
    ],
)
def test_a_tables_traits_decide_what_is_searched(traits, name, values):
    linear = next(x for x in BUILT_IN if x.name == "linear")
    branch = dict(search_space([linear], traits)["learner"].branches)["linear"]
    assert tuple(dict(branch.parameters)[name].values) == values
    plain = dict(search_space([linear], Traits())["learner"].branches)["linear"]
    assert name not in dict(plain.parameters)
    assert all(config[name] == values[0] for config in defaults(linear, traits)[:1])


def test_a_skewed_target_is_tried_on_its_logarithm_at_once():
    lightgbm = next(x for x in BUILT_IN if x.name == "lightgbm")
    assert [c["target"] for c in defaults(lightgbm, Traits(skewed=True))[:2]] == ["plain", "log"]


@pytest.mark.parametrize("classes", [9, 12])
def test_of_many_classes_new_rows_get_the_columns_that_training_rows_got(classes):
    table, _ = _table()
    y = np.arange(len(table)) % classes
    maker = Expansion()
    made = maker.fit_transform(table, y.astype(float), classes)
    assert maker.crosses
    assert (maker.encoder is None) == (classes > 10)
    assert maker.transform(table).shape == made.shape
