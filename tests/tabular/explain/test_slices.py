"""Groups that a model serves badly are found, and chance is not taken for one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rung.tabular.columns import Column, infer_columns, prepare
from rung.tabular.explain.slices import column_groups, find_slices, groups, row_loss


def _frame(n: int = 600) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "town": rng.choice(["Bath", "York", "Ely"], n, p=[0.6, 0.3, 0.1]),
            "age": rng.uniform(0, 100, n),
            "rooms": rng.integers(1, 4, n),
            "gap": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "when": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
        }
    )


def _cells(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[Column, ...]]:
    columns = infer_columns(frame)
    return prepare(frame, columns), columns


def test_planted_groups_are_found_first() -> None:
    frame = _frame()
    cells, columns = _cells(frame)
    rng = np.random.default_rng(1)
    error = 0.1 * rng.normal(size=600)
    error[frame["town"] == "Ely"] *= 20
    found = find_slices(cells, columns, np.zeros(600), error, classes=False)
    assert found.what == "mean absolute error"
    worst = found.worst[0]
    assert (worst.column, worst.label) == ("town", "Ely")
    assert worst.p < 1e-6
    assert worst.low < worst.loss < worst.high
    assert worst.loss == pytest.approx(np.abs(error)[frame["town"] == "Ely"].mean())
    assert worst.ratio == pytest.approx(worst.loss / np.abs(error).mean())
    assert worst.rows == (frame["town"] == "Ely").sum()


def test_a_range_of_numbers_is_found_for_classes() -> None:
    frame = _frame()
    cells, columns = _cells(frame)
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 600)
    wrong = rng.random(600) < np.where(frame["age"] > 85, 0.6, 0.05)
    found = find_slices(cells, columns, y, np.where(wrong, 1 - y, y), classes=True)
    assert found.what == "error rate"
    assert found.worst[0].column == "age"
    assert found.worst[0].label.startswith("> 80")
    assert 0 <= found.worst[0].low < found.worst[0].high <= 1


def test_chance_is_seldom_called_a_group() -> None:
    """The same loss everywhere: of 40 tables fewer than 8 may have any group with p below 5 %."""
    cells, columns = _cells(_frame())
    rng = np.random.default_rng(3)
    alarms = sum(
        any(
            s.p < 0.05
            for s in find_slices(cells, columns, np.zeros(600), rng.normal(size=600), classes=False).worst
        )
        for _ in range(40)
    )
    assert alarms < 8


def test_groups_are_large_enough_and_whole() -> None:
    cells, columns = _cells(_frame())
    made = list(groups(cells, columns))
    assert all(20 <= len(g.rows) < 600 for g in made)
    assert {g.column for g in made} == {"town", "age", "rooms", "gap", "when"}
    for name in ("town", "age", "rooms", "gap", "when"):
        rows = np.concatenate([g.rows for g in made if g.column == name])
        assert sorted(rows.tolist()) == list(range(600)), "each row in one group"
    assert {g.label for g in made if g.column == "when"} == {"2020", "2021", "2022"}
    assert [g.label for g in made if g.column == "rooms"] == ["1", "2", "3"]
    assert "missing" in {g.label for g in made if g.column == "gap"}


def test_dates_of_one_year_are_told_apart_by_month() -> None:
    days = pd.Series(pd.to_datetime(["2024-03-01", "2024-05-02", None, "2024-03-09"]))
    found = [(label, rows.tolist()) for label, rows in column_groups(days, "date")]
    assert found == [("2024-03", [0, 3]), ("2024-05", [1]), ("missing", [2])]


def test_numbers_with_one_value_or_none() -> None:
    assert [label for label, _ in column_groups(pd.Series([1.0] * 30), "number")] == ["1"]
    assert column_groups(pd.Series([np.nan] * 3), "number")[0][0] == "missing"
    halves = column_groups(pd.Series([0.0] * 90 + list(range(1, 11))), "number")
    assert sum(len(rows) for _, rows in halves) == 100


def test_a_perfect_model_has_no_bad_group() -> None:
    cells, columns = _cells(_frame())
    found = find_slices(cells, columns, np.zeros(600), np.zeros(600), classes=False)
    assert found.worst == ()
    assert found.overall == 0
    assert find_slices(cells.iloc[:0], columns, np.zeros(0), np.zeros(0), classes=False).worst == ()


def test_the_loss_of_a_row() -> None:
    assert row_loss(np.array([1, 0]), np.array([1, 1]), classes=True)[1].tolist() == [0, 1]
    assert row_loss(np.array([1.0, 0.0]), np.array([0.5, 2.0]), classes=False)[1].tolist() == [0.5, 2.0]


def test_a_row_of_weight_two_counts_as_two() -> None:
    frame = _frame()
    cells, columns = _cells(frame)
    rng = np.random.default_rng(4)
    error = rng.exponential(size=600) * np.where(frame["town"] == "Ely", 5, 1)
    times = np.where(frame["town"] == "Bath", 1, 2)
    repeated = np.repeat(np.arange(600), times)
    more = cells.iloc[repeated].reset_index(drop=True)
    weighted = find_slices(cells, columns, np.zeros(600), error, classes=False, weight=times.astype(float))
    twice = find_slices(more, columns, np.zeros(len(repeated)), error[repeated], classes=False)
    assert weighted.overall == pytest.approx(twice.overall)
    one, two = ({s.label: s for s in found.worst}["Ely"] for found in (weighted, twice))
    assert (one.loss, one.share, one.ratio) == pytest.approx((two.loss, two.share, two.ratio))
    assert one.high - one.low > two.high - two.low, "a weight is no second witness"


def test_rows_without_weight_are_no_group() -> None:
    frame = _frame()
    cells, columns = _cells(frame)
    error = np.where(frame["town"] == "Ely", 100.0, 1.0) * np.random.default_rng(5).random(600)
    weight = (frame["town"] != "Ely").to_numpy(dtype=float)
    found = find_slices(cells, columns, np.zeros(600), error, classes=False, weight=weight)
    assert "Ely" not in {s.label for s in found.worst}
    assert find_slices(cells, columns, error, error, classes=False, weight=np.zeros(600)).worst == ()
