"""One long cell beside many short ones takes memory once, not once a row."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from rung.tabular.audit.profile import summarise_words
from rung.tabular.columns import Kind
from rung.tabular.explain.slices import column_groups
from rung.tabular.grouping import rows_of
from rung.tabular.request import Request

CELLS = pd.Series(["ok", "late", *["called"] * 3] * 1_000, dtype=object)
LONG = "x y " * 1_000
ALL = {
    "profile": lambda cells: summarise_words(cells.to_numpy()).names,
    "slices": lambda cells: [label for label, _ in column_groups(cells, Kind.CATEGORY)],
    "groups": lambda cells: rows_of(cells.to_frame("g"), Request(split="group:g")).groups.max(),
}


@pytest.mark.parametrize("what", ALL)
def test_memory_is_that_of_the_cells(what: str) -> None:
    cells = CELLS.copy()
    cells[7] = LONG
    ALL[what](cells)  # whatever is loaded at first
    tracemalloc.start()
    found = ALL[what](cells)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == 3 if what == "groups" else found == ["called", "late", "ok", LONG]
    assert peak < 100 * len(cells), "of 16,000 bytes a row"


def test_groups_are_of_the_words() -> None:
    rows = rows_of(pd.DataFrame({"g": [1, "1", 2.5, "b", "a", 2.5]}), Request(split="group:g"))
    assert rows.groups.tolist() == [0, 0, 1, 3, 2, 1]


def test_a_column_without_cells() -> None:
    assert summarise_words(np.empty(0, dtype=object)).counts.tolist() == [0]
    assert [label for label, _ in column_groups(pd.Series([None], dtype=object), Kind.CATEGORY)] == [
        "missing"
    ]
