"""Problems made for one experiment: counting ones that mislead, tables by their clock, ASHA's workload."""

from __future__ import annotations

from itertools import product

import pytest
from benchmarks.data.tables import open_table, tables
from benchmarks.problems import problem
from benchmarks.problems.counting import counting
from benchmarks.problems.timed import ENTRIES, full_training
from benchmarks.problems.workload import LARGEST, observed


def ones(each: int, odd: float, even: float) -> dict[str, float]:
    return {f"{kind}{i}": odd if i % 2 else even for kind in "cx" for i in range(each)}


def test_misleading_ones_rank_half_of_the_parameters_the_wrong_way_at_first() -> None:
    found = problem("misleading ones 8+8")
    best, lured = ones(8, 1, 1), ones(8, 0, 1)
    assert found.true(best) == found.optimum == -16.0
    assert found.value(best, 729, 0) == found.optimum
    assert found.true(lured) == -8.0
    assert found.value(lured, 9, 0) == -8.0 < found.value(best, 9, 0) == 0.0
    values = [found.value(best, draws, 0) for draws in (9, 27, 81, 243, 729)]
    assert values == pytest.approx([0.0, -4.0, -8.0, -12.0, -16.0])


def test_misleading_ones_are_as_noisy_as_the_honest_ones() -> None:
    config = ones(8, 0.5, 0.5) | {f"c{i}": 0 for i in range(8)}
    honest, planted = counting(8), problem("misleading ones 8+8")
    for draws in (9, 729):
        drawn = [[one.value(config, draws, seed) for seed in range(400)] for one in (honest, planted)]
        spreads = [max(one) - min(one) for one in drawn]
        assert spreads[1] == pytest.approx(spreads[0], rel=0.5)
    assert planted.value(config, 9, 1) == planted.value(config, 9, 1)


@pytest.mark.parametrize("name", tables())
def test_the_mean_full_training_takes_a_second_of_a_timed_table(name: str) -> None:
    found, table = ENTRIES[f"timed {name}"](), open_table(name)
    configs = [
        dict(zip(table.axes, values, strict=True))
        for values in list(product(*(axis.values for axis in table.axes.values())))[:300:7]
    ]
    unit = full_training(table)
    for config in configs:
        whole = found.seconds(config, 0, table.steps[-1])
        assert whole * unit == pytest.approx(table.seconds(config, 0, table.steps[-1]))
        assert 0 < found.seconds(config, 0, table.steps[0]) <= whole
    assert found.optimum == table.best


def test_the_workload_tells_how_far_it_was_trained() -> None:
    found = problem("workload")
    for x in (0.0, 1.0):
        config = {"x": x}
        assert found.value(config, LARGEST, 0) == found.true(config) == x <= 1.0
        assert all(observed(config, resource, 0) > 1.0 for resource in (1, 4, 16, 64))
    assert observed({"x": 0.2}, 16, 0) < observed({"x": 0.3}, 16, 0)
    assert found.seconds({"x": 0.5}, 64, 256) == 256.0
