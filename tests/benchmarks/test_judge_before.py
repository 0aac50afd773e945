"""The judge's rows before and after a change: which are paired, and what their ratios come to."""

from __future__ import annotations

import pytest
from benchmarks.cash.before import changes, main, rows_of, table
from benchmarks.cash.rows import Row


def row(name: str, score: float, *, metric: str = "log_loss", split: int = 0, wall: float = 20.0) -> Row:
    return Row(
        "rung", name, split, 30.0, "multiclass", metric, score, 1.0, wall,
        0.1, 15.0, 1.0, 1.0, 1.0, 100, 4, 2, 0.0,
    )  # fmt: skip


def keyed(*rows: Row) -> dict[tuple[str, str, int, float], Row]:
    return {one.key: one for one in rows}


def test_runs_made_again_are_paired_and_others_left_out() -> None:
    before = keyed(row("car", 0.4), row("wine", 0.2), row("digits", 0.1))
    after = keyed(row("car", 0.2, wall=21.0), row("wine", 0.2), row("letter", 0.1))
    (found,) = changes(before, after, "rung")
    assert (found.before.score, found.after.score) == (0.4, 0.2)
    assert found.ratio == pytest.approx(0.5)
    assert changes(before, after, "flaml") == []


def test_means_are_geometric_and_by_metric() -> None:
    before = keyed(row("car", 0.4), row("wine", 0.1), row("adult", 0.9, metric="auc"))
    after = keyed(row("car", 0.2), row("wine", 0.2), row("adult", 0.95, metric="auc"))
    *_, auc, log_loss, everything = table(changes(before, after, "rung")).splitlines()
    assert auc == "auc: 1 runs, ratio 0.500; better in 1 of 1 that changed"
    assert log_loss == "log_loss: 2 runs, ratio 1.000, standard error 0.693; better in 1 of 2 that changed"
    assert everything.startswith("all: 3 runs, ratio 0.794,")


def test_the_same_score_in_another_time_is_no_change_for_better_or_worse() -> None:
    found = changes(keyed(row("car", 0.4)), keyed(row("car", 0.4, wall=25.0)), "rung")
    assert table(found).endswith("all: 1 runs, ratio 1.000; better in 0 of 0 that changed")


def test_without_a_pair_there_is_nothing_to_compare() -> None:
    assert table([]).endswith("all: nothing to compare")


def test_a_revision_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no-such-revision"):
        rows_of("no-such-revision")
    with pytest.raises(SystemExit) as ended:
        main(["no-such-revision"])
    assert ended.value.code == 2
    assert "no-such-revision" in capsys.readouterr().err
