"""What a search's page advises against a collapse goes with the strategy."""

from __future__ import annotations

import re

import pytest

from rung.nas.genotype import CellGenotype
from rung.nas.report.words import skip_words
from rung.nas.strategies.table import STRATEGIES, make

SKIPS = CellGenotype(tuple((("skip_connect", 0), ("skip_connect", 1)) for _ in range(4)), (2, 3, 4, 5))


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_advice_is_a_setting_that_the_strategy_takes(strategy: str) -> None:
    words, collapsed = skip_words("normal", SKIPS, strategy)
    assert collapsed
    (setting,) = re.findall(r"\(--set (\w+)=([\d.]+)\)", words)
    name, value = setting
    assert make(strategy, {name: int(value) if value.isdecimal() else float(value)})
    assert name == ("skip_dropout" if strategy in ("asap", "darts_pt") else "max_skips")


@pytest.mark.parametrize(("nodes", "cap"), [(1, 0), (2, 1), (4, 2), (7, 2)])
def test_a_cap_that_is_advised_is_under_half_of_the_edges(nodes: int, cap: int) -> None:
    cell = CellGenotype(SKIPS.nodes[:1] * nodes, (2,))
    assert f"(--set max_skips={cap})" in skip_words("normal", cell, "darts1")[0]


def test_of_a_text_there_is_no_remedy_of_skips() -> None:
    words, _ = skip_words("recurrent", SKIPS, "darts1", text=True)
    assert "--set" not in words
    assert words.endswith("; stop earlier (--epochs).")
