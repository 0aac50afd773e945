"""What rows say, on rows whose answer can be told by hand; the page."""

from __future__ import annotations

import random

import pytest
from benchmarks.cash.__main__ import main
from benchmarks.cash.comparing import fields
from benchmarks.cash.report import PAGE, page
from benchmarks.cash.rows import Row, append, read


def _row(system: str, table: str, score: float | None, metric: str = "auc", **given: object) -> Row:
    plain = {"split": 0, "budget": 10.0, "task": "binary", "wall": 9.0, "start": 1.5, "fitted": 8.0}
    sizes = {"peak_mb": 100.0, "size_mb": 1.0, "predict_ms": 5.0, "rows": 100, "columns": 5, "cores": 2}
    constant = 0.5 if metric == "auc" else 10.0
    fixed = {"system": system, "table": table, "score": score, "metric": metric, "constant": constant}
    return Row(**plain | sizes | {"load": 0.0} | fixed | given)


def _rows() -> list[Row]:
    """Against flaml: a win, a tie, a loss; flaml is late once and fails once."""
    free = {"budget": 0.0}
    return [
        _row("rung", "a", 0.90),
        _row("flaml", "a", 0.85),
        _row("forest", "a", 0.80, **free),
        _row("rung", "b", 0.70001),
        _row("flaml", "b", 0.70005),
        _row("forest", "b", 0.60, **free),
        _row("rung", "c", 4.0, "rmse"),
        _row("flaml", "c", 2.0, "rmse", wall=12.0),
        _row("forest", "c", 6.0, "rmse", **free),
        _row("rung", "d", 0.60),
        _row("flaml", "d", None, failed="boom"),
        _row("forest", "d", 0.55, **free),
    ]


def test_wins_ties_and_losses_are_counted_by_table():
    (field,) = fields(_rows())
    assert [pair.points for pair in field.against("flaml")] == [1.0, 0.5, 0.0, 1.0]
    assert [pair.strict for pair in field.against("flaml")] == [1.0, 0.5, 1.0, 1.0]
    assert [pair.points for pair in field.against("forest")] == [1.0] * 4
    assert field.against("flaml")[3].theirs == 0.5  # a run that failed counts as the constant


def test_the_mean_over_the_splits_decides():
    rows = [_row("rung", "a", 0.9), _row("flaml", "a", 0.8)]
    rows += [_row("rung", "a", 0.7, split=1), _row("flaml", "a", 0.9, split=1)]
    rows += [_row("rung", "a", 0.99, split=2)]  # the other has no such run
    (field,) = fields(rows)
    (pair,) = field.against("flaml")
    assert pair.points == 0.0
    assert pair.mine == pytest.approx(0.8)


def test_ranks_share_ties_and_scales_begin_at_the_constant_and_at_the_forest():
    (field,) = fields(_rows())
    assert field.systems == ["rung", "flaml", "forest"]
    assert field.ranks() == {"rung": (1 + 1.5 + 2 + 1) / 4, "flaml": (2 + 1.5 + 1 + 3) / 4, "forest": 2.75}
    scaled, beyond = field.scaled(), field.beyond_forest()
    assert scaled["rung"] == pytest.approx((1 + 0.20001 / 0.20005 + 0.6 / 0.8 + 1) / 4)
    assert beyond["forest"] == 0.0
    assert beyond["flaml"] == pytest.approx((0.5 + 1 + 1 - 1) / 4)


def test_only_tables_that_all_systems_have_are_ranked():
    rows = [row for row in _rows() if (row.system, row.table) != ("forest", "c")]
    (field,) = fields(rows)
    assert field.common == ["a", "b", "d"]
    assert len(field.against("flaml")) == 4


def test_the_interval_holds_the_mean_and_shrinks_with_more_tables():
    (field,) = fields(_rows())
    few, many = field.interval([1.0, 0.0] * 5), field.interval([1.0, 0.0] * 50)
    assert few[0] < many[0] < 0.5 < many[1] < few[1]


def test_overruns_are_of_those_that_have_a_budget():
    (field,) = fields(_rows())
    assert field.costs("flaml").worst == pytest.approx(2.0)
    assert field.costs("flaml").over == pytest.approx(0.5)
    assert not field.costs("forest").timed


def test_each_budget_has_its_section_with_the_systems_that_have_none():
    rows = [*_rows(), _row("rung", "a", 0.95, budget=30.0)]
    ten, thirty = fields(rows)
    assert (ten.budget, thirty.budget) == (10.0, 30.0)
    assert thirty.systems == ["rung", "forest"]
    assert thirty.against("forest")[0].mine == 0.95


def test_the_page_is_the_same_whatever_the_order_of_the_rows():
    rows = _rows()
    text = page(rows)
    random.Random(0).shuffle(rows)
    assert page(rows) == text


def test_the_page_names_losses_failures_and_who_ran_late():
    text = page(_rows())
    assert "| flaml | 4 | 2 | 1 | 1 | 62% (25% to 100%) | 88% |" in text
    assert "| c | rmse | 4.00 | flaml | 2.00 |" in text
    assert "- flaml, d, split 0: boom" in text
    assert "2.0 s" in text


def test_without_rows_the_page_says_so():
    text = page([])
    assert "No run has been made yet." in text
    assert "nan" not in text


def test_the_command_writes_the_page_twice_the_same(tmp_path, capsys):
    for row in _rows():
        append(row, tmp_path / "rows.jsonl")
    words = ["report", "--rows", str(tmp_path / "rows.jsonl"), "--out", str(tmp_path / "page.md")]
    assert main(words) == 0
    first = (tmp_path / "page.md").read_bytes()
    assert main(words) == 0
    assert (tmp_path / "page.md").read_bytes() == first
    assert capsys.readouterr().out.splitlines()[0] == str(tmp_path / "page.md")


def test_the_page_in_the_repository_is_made_of_the_rows_in_it():
    assert PAGE.read_text(encoding="utf-8") == page(list(read().values()))
