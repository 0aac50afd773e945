"""A system before and after a change: pairs by seed, means over problems, revisions that are not there."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from benchmarks.experiments.rows import Row
from benchmarks.reports.before import rows_of, table

BUDGET = 20.0


def rows(regrets: dict[int, float], system: str = "rung", deciding: float = 1.0) -> list[Row]:
    """One constant incumbent for each seed."""
    return [
        Row(
            system, "branin", seed, 1, BUDGET, None, "", 20, 20, BUDGET, BUDGET, deciding, 1.0,
            0.0, regret, regret, ((1.0, 1.0, regret, regret),),
        )
        for seed, regret in regrets.items()
    ]  # fmt: skip


def cells(found: Sequence[str]) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found]


def test_seeds_of_both_sides_are_paired_in_powers_of_ten() -> None:
    before = rows({0: 1.0, 1: 1.0, 2: 5.0}, deciding=4.0)
    after = rows({0: 0.1, 1: 0.1, 3: 9.0})
    line, mean = cells(table(before, after, "rung").splitlines()[2:])
    assert line == ["branin", "1", "2", "-1.00 ± 0.00", "-1.00 ± 0.00", "4", "1"]
    assert mean[0] == "*mean of 1*"
    assert mean[3:5] == ["-1.00", "-1.00"]


def test_other_systems_and_seeds_without_a_pair_say_nothing() -> None:
    assert len(table(rows({0: 1.0}), rows({1: 1.0}), "rung").splitlines()) == 2
    assert len(table(rows({0: 1.0}), rows({0: 1.0}, "optuna"), "rung").splitlines()) == 2


def test_a_revision_that_is_not_there_is_a_reason() -> None:
    with pytest.raises(ValueError, match=r"no-such-revision|not a git repository"):
        rows_of("ahead", "no-such-revision")
