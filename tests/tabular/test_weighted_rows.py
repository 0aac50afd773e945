"""Rows' weights in a fit: 0 is as good as gone, and 2 as good as there twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.evaluate import quietly
from rung.tabular.learners.base import Fold, Trained
from rung.tabular.learners.linear import LINEAR
from rung.tabular.learners.svm import SVM
from rung.tabular.pipeline import Order, Regressing, fit_pipeline
from rung.tabular.search import traits_of
from rung.tabular.splits import make_split

ROWS = 120
RIDGE = {"C": 1.0}


def _drawn(seed: int = 0) -> tuple[Table, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(ROWS, 2))
    table = Table(X, rng.integers(0, 3, (ROWS, 1)).astype(np.int32))
    return table, 2 * X[:, 0] + X[:, 1] + 0.1 * rng.normal(size=ROWS)


def _given(
    table: Table, y: np.ndarray, weight: np.ndarray | None, aside: np.ndarray | None = None, classes: int = 0
) -> Fold:
    """What the estimator is fitted on."""
    seen: list[Fold] = []

    def spy(config, X, goal, setting) -> Trained:
        seen.append(Fold(X, goal, setting))
        return LINEAR.fit(config, X, goal, setting)

    order = Order(replace(LINEAR, fit=spy), RIDGE, [3], 0, Deadline(), weight=weight, aside=aside)
    fit_pipeline(order, table, y, classes)
    return seen[0]


@pytest.mark.parametrize("classes", [0, 2])
def test_rows_of_weight_0_are_as_good_as_gone(classes: int) -> None:
    table, y = _drawn()
    gone = np.arange(ROWS) % 10 == 0
    if classes:
        y = (y > 0).astype(float)
    else:
        y[gone] = 1e6
    table.numbers[gone] = 1e6
    weight = np.where(gone, 0.0, 1.0)
    rest = np.flatnonzero(~gone)
    found = _given(table, y, weight / weight.mean(), classes=classes)
    wanted = _given(table.take(rest), y[rest], np.ones(len(rest)), classes=classes)
    np.testing.assert_allclose(found.X, wanted.X)
    np.testing.assert_allclose(found.y, wanted.y)
    np.testing.assert_allclose(found.setting.weight, wanted.setting.weight)


def test_values_without_weight_do_not_blur_the_others() -> None:
    table, y = _drawn()
    weight = np.where(np.arange(ROWS) % 10 == 0, 0.0, 1.0)
    wrong = np.where(weight == 0, 1e6, y)
    with quietly():
        order = Order(SVM, SVM.defaults[0], [3], 0, Deadline(), weight=weight)
        pipeline = fit_pipeline(order, table, wrong, 0).pipeline
    new, truth = _drawn(1)
    assert np.sqrt(np.mean((pipeline.predict(new) - truth) ** 2)) < 0.3 * truth.std()


def test_values_without_weight_make_no_target_skewed() -> None:
    table, y = _drawn()
    weight = np.where(np.arange(ROWS) % 10 == 0, 0.0, 1.0)
    wrong = np.where(weight == 0, 1e6, y)
    dataset = Dataset(table, wrong, 0, [3], make_split(y, 0, 3, 0.2, 0), "rmse", 0, weight)
    assert not traits_of(dataset).skewed
    assert traits_of(replace(dataset, weight=None)).skewed


def test_a_weight_of_2_is_a_row_twice_in_the_scale_of_the_target() -> None:
    table, y = _drawn()
    times = np.arange(ROWS) % 4
    rows = np.repeat(np.arange(ROWS), times)
    for target in ("plain", "log"):
        config = {**RIDGE, "target": target}
        weighted = Order(LINEAR, config, [3], 0, Deadline(), weight=times / times.mean())
        one = fit_pipeline(weighted, table, y, 0).pipeline
        other = fit_pipeline(weighted._replace(weight=None), table.take(rows), y[rows], 0).pipeline
        assert isinstance(one, Regressing)
        assert isinstance(other, Regressing)
        assert one.unit == pytest.approx(other.unit, rel=0.1)  # between two rows, or one of them
        assert (one.low, one.high) == (other.low, other.high)
        if target == "plain":
            assert (one.center, one.scale) == pytest.approx((other.center, other.scale))


def test_where_no_row_has_any_weight_all_count_the_same() -> None:
    table, y = _drawn()
    found, wanted = _given(table, y, np.zeros(ROWS)), _given(table, y, None)
    np.testing.assert_allclose(found.y, wanted.y)
    np.testing.assert_array_equal(found.setting.weight, np.ones(ROWS))


def test_rows_set_aside_are_any_where_those_have_no_weight() -> None:
    table, y = _drawn()
    late = np.arange(ROWS) >= 100
    assert _given(table, y, np.where(late, 0.0, 1.0), late).setting.aside is None
    some = _given(table, y, np.where(np.arange(ROWS) % 2, 2.0, 0.0), late).setting.aside
    assert some is not None
    assert some.tolist() == late[1::2].tolist()


def test_values_that_differ_by_next_to_nothing_have_a_scale() -> None:
    table, _ = _drawn()
    y = np.where(np.arange(ROWS) == 0, 6.0, 5.0)
    weight = np.where(np.arange(ROWS) == 0, 5e-324, 1.0)
    order = Order(LINEAR, RIDGE, [3], 0, Deadline(), weight=weight)
    assert fit_pipeline(order, table, y, 0).pipeline.predict(table) == pytest.approx(5.0)
