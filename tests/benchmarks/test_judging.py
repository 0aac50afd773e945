"""Verdicts on made-up rows of which the answer is known; few or missing rows give "unclear"."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log

import numpy as np
import pytest
from benchmarks.experiments import Claim
from benchmarks.experiments.judging import (
    Said,
    ahead,
    as_good_as,
    at_moment,
    at_share,
    below,
    differences,
    faster,
    group,
    less,
    near_linear,
    not_behind,
    of,
    paired,
    quarter_way,
    speedups,
    sublinear,
)
from benchmarks.experiments.rows import Row
from scipy.stats import wilcoxon

SAID = Said("A is better", "nowhere")
Points = Sequence[tuple[float, float, float, float]]


def row(
    system: str, seed: int, points: Points, workers: int = 1, problem: str = "p", optimum: float = 0.0
) -> Row:
    """A search with a budget of 100 that took 100 seconds."""
    last = points[-1] if points else (0.0, 0.0, None, None)
    plain = {"budget": 100.0, "seconds": None, "variant": "", "evaluations": 10, "full": 5}
    spent = {"resource": 100.0, "now": 100.0, "deciding": 0.1, "wall": 0.2, "optimum": optimum}
    ends = {"observed": last[2], "true": last[3], "points": tuple(points)}
    return Row(system=system, problem=problem, seed=seed, workers=workers, **plain, **spent, **ends)  # type: ignore[arg-type]


def ends(system: str, regrets: Sequence[float], problem: str = "p", optimum: float = 0.0) -> list[Row]:
    """One row a seed: everyone begins at a regret of 1, and has these at half of the budget."""
    return [
        row(
            system, seed, [(1, 1, 1, optimum + 1), (50, 50, r, optimum + r)], problem=problem, optimum=optimum
        )
        for seed, r in enumerate(regrets)
    ]


def spread(middle: float, count: int, seed: int, width: float = 0.1) -> list[float]:
    noise = np.random.default_rng(seed).normal(size=count)
    return [middle * float(np.exp(width * one)) for one in noise]


def test_a_clear_lead_holds_and_its_opposite_fails() -> None:
    rows = ends("a", spread(0.1, 12, 0)) + ends("b", spread(0.2, 12, 1))
    found = ahead(SAID, rows, group("a"), group("b"))
    assert (found.verdict, found.claim, found.source) == ("holds", SAID.claim, SAID.source)
    assert "n = 12" in found.test
    assert ahead(SAID, rows, group("b"), group("a")).verdict == "fails"


def test_the_measured_ratio_is_the_median_one() -> None:
    rows = ends("a", [0.1, 0.1, 0.1], optimum=-4.0) + ends("b", [0.4, 0.2, 0.1], optimum=-4.0)
    assert ahead(SAID, rows, group("a"), group("b")).measured.endswith("= 0.5")


def test_no_difference_is_unclear_as_a_lead_and_holds_as_equality() -> None:
    rows = ends("a", spread(0.1, 20, 0)) + ends("b", spread(0.1, 20, 1))
    assert ahead(SAID, rows, group("a"), group("b")).verdict == "unclear"
    assert as_good_as(SAID, rows, group("a"), group("b")).verdict == "holds"
    assert not_behind(SAID, rows, group("a"), group("b")).verdict == "holds"


def test_equality_fails_in_both_directions_and_not_behind_in_one() -> None:
    rows = ends("a", spread(0.1, 12, 0)) + ends("b", spread(0.3, 12, 1))
    assert as_good_as(SAID, rows, group("a"), group("b")).verdict == "fails"
    assert as_good_as(SAID, rows, group("b"), group("a")).verdict == "fails"
    assert not_behind(SAID, rows, group("a"), group("b")).verdict == "holds"
    assert not_behind(SAID, rows, group("b"), group("a")).verdict == "fails"


def test_a_difference_at_the_margin_is_unclear() -> None:
    rows = ends("a", spread(0.125, 12, 0, 0.3)) + ends("b", spread(0.1, 12, 1, 0.3))
    assert as_good_as(SAID, rows, group("a"), group("b")).verdict == "unclear"


def test_what_had_no_incumbent_counts_as_the_worst_first_one() -> None:
    rows = ends("a", [0.5] * 4) + [row("b", seed, []) for seed in range(4)]
    assert differences(rows, group("a"), group("b")) == pytest.approx([log(0.5)] * 4)
    early = differences(rows, group("a", at=at_share(0.4)), group("a", at=at_moment(60.0)))
    assert early == pytest.approx([log(2)] * 4)


def test_regrets_below_the_floor_are_equal_and_infinite_ones_are_the_worst() -> None:
    rows = ends("a", [0.0, 1e-9, inf]) + ends("b", [1e-5, 0.0, 1.0])
    assert differences(rows, group("a"), group("b")) == pytest.approx([0.0, 0.0, 0.0])
    assert ahead(SAID, rows, group("a"), group("b")).verdict == "unclear"


def test_groups_need_all_their_systems_and_pairs_the_same_setting() -> None:
    rows = ends("a", [0.1, 0.1]) + ends("b", [0.2]) + ends("c", [0.3, 0.3]) + ends("c", [0.3], "q")
    both = differences(rows, group("a", "b"), group("c"))
    assert both == pytest.approx([(log(0.1) + log(0.2)) / 2 - log(0.3)])


@pytest.mark.parametrize("judge", [ahead, as_good_as, not_behind])
def test_few_or_missing_rows_are_unclear(judge: object) -> None:
    assert callable(judge)
    for rows in (
        [],
        ends("a", [0.1] * 9),
        ends("a", [0.1] * 3) + ends("b", [0.2] * 3),
        [row("a", 0, []), row("b", 0, [])],
    ):
        found = judge(SAID, rows, group("a"), group("b"))
        assert isinstance(found, Claim)
        assert found.verdict == "unclear"


def test_the_test_is_wilcoxons() -> None:
    assert below(np.array([-1.0, -2.0, -3.0, -4.0, -5.0])) == pytest.approx(1 / 32)
    assert below(np.array([1.0, 2.0, 3.0])) == 1.0
    assert below(np.zeros(8)) == below(np.empty(0)) == 1.0
    assert below(np.array([inf, np.nan, -1.0])) == pytest.approx(0.5)
    assert below(np.array([-1.0] * 4)) == pytest.approx(1 / 16)  # ties
    drawn = np.random.default_rng(0).normal(-0.3, 1.0, 30)
    exact = wilcoxon(drawn, alternative="less", method="exact").pvalue
    assert below(drawn) == pytest.approx(exact)
    assert below(drawn + 2.0, 2.0) == pytest.approx(exact)
    many = np.random.default_rng(1).normal(-0.05, 1.0, 400)
    assert below(many) == pytest.approx(wilcoxon(many, alternative="less").pvalue, abs=1e-3)


def test_pairs_of_other_measures() -> None:
    rows = ends("a", [0.1, 0.2]) + ends("b", [0.3])
    assert paired(rows, "a", "b", lambda one: one.true).tolist() == [[0.1, 0.3]]
    assert paired(rows, "a", "c", lambda one: one.true).shape == (0, 2)
    assert less(SAID, np.full(10, -1.0), "m").verdict == "holds"
    assert less(SAID, np.full(10, 1.0), "m").verdict == "fails"


def scaled(system: str, speed: float, workers: int, seeds: int = 10) -> list[Row]:
    """Searches that reach a regret of 0.1 after about 20 seconds over the speed."""
    times = spread(20.0 / speed, seeds, workers, 0.02)
    return [
        row(system, seed, [(1, 0.1, 1, 1), (9, moment, 0.1, 0.1), (99, 99, 0.01, 0.01)], workers)
        for seed, moment in enumerate(times)
    ]


def test_speedups_and_their_intervals() -> None:
    rows = scaled("a", 1, 1) + scaled("a", 2, 2) + scaled("a", 3.6, 4) + scaled("a", 4, 8)
    assert quarter_way(rows) == pytest.approx(0.1)
    found = speedups(rows)
    assert [one.workers for one in found] == [2, 4, 8]
    for one, wanted in zip(found, (2, 3.6, 4), strict=True):
        assert one.low <= one.ratio <= one.high
        assert one.ratio == pytest.approx(wanted, rel=0.05)
    assert near_linear(SAID, rows, 4).verdict == "holds"
    assert near_linear(SAID, rows, 8).verdict == "fails"
    assert sublinear(SAID, rows, 8).verdict == "holds"
    assert sublinear(SAID, rows, 2).verdict == "unclear"
    assert sublinear(SAID, scaled("a", 1, 1) + scaled("a", 3, 2), 2).verdict == "fails"


def test_a_speedup_that_could_be_either_is_unclear() -> None:
    moments = [20.0, 45.0, 60.0, 30.0, 80.0, 25.0]
    rows = [row("a", i, [(1, 1, 1, 1), (9, m, 0.1, 0.1)], 1) for i, m in enumerate(moments)]
    rows += [row("a", i, [(1, 1, 1, 1), (9, m / 1.5, 0.1, 0.1)], 2) for i, m in enumerate(moments[::-1])]
    assert near_linear(SAID, rows, 2, target=0.3).verdict == "unclear"


def test_a_regret_that_is_not_reached() -> None:
    never = [row("a", seed, [(1, 1, 1, 1)], 4) for seed in range(10)]
    (one,) = speedups(scaled("a", 1, 1) + never)
    assert speedups(never + scaled("a", 1, 1)[:0]) == []
    assert one.ratio == one.high == 0.0
    assert near_linear(SAID, scaled("a", 1, 1) + never, 4).verdict == "fails"


@pytest.mark.parametrize("rows", [[], scaled("a", 1, 1), scaled("a", 2, 2), [row("a", 0, [])]])
def test_speedups_without_rows_are_unclear(rows: list[Row]) -> None:
    assert near_linear(SAID, rows, 8).verdict == "unclear"
    assert sublinear(SAID, rows, 8).verdict == "unclear"
    assert faster(SAID, rows, rows).verdict == "unclear"


def test_few_seeds_are_unclear() -> None:
    rows = scaled("a", 1, 1, 3) + scaled("a", 2, 2, 3)
    assert near_linear(SAID, rows, 2).verdict == "unclear"
    assert near_linear(SAID, [row("a", 0, []), row("a", 0, [], 2)], 2).verdict == "unclear"


def test_which_task_scales_better() -> None:
    hard = scaled("a", 1, 1) + scaled("a", 20, 25)
    simple = scaled("a", 1, 1) + scaled("a", 10, 25)
    assert faster(SAID, hard, simple).verdict == "holds"
    assert faster(SAID, simple, hard).verdict == "fails"
    assert faster(SAID, hard, hard).verdict == "unclear"


def test_rows_by_what_they_are_of() -> None:
    rows = ends("a", [0.1]) + ends("b", [0.1], "q") + [row("a", 0, [], 4)]
    assert of(rows) == rows
    assert [one.system for one in of(rows, "q")] == ["b"]
    assert [one.workers for one in of(rows, system="a", workers=4)] == [4]
