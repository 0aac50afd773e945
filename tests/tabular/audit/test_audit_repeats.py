"""Columns that say the same, and columns that only repeat as seldom, or in the same rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rung.tabular.audit.check import findings

N = 300


def same(frame: pd.DataFrame) -> list[str]:
    return [one.sentence for one in findings(frame) if one.check == "duplicated-columns"]


def stray(words: list[str], row: int, word: str) -> list[str]:
    return [*words[:row], word, *words[row + 1 :]]


def unrelated() -> dict[str, dict[str, object]]:
    """By a name: columns of which no two say the same, though nearly all cells of each are different."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=N) for _ in range(2))
    start, gone = pd.Timestamp("2023-01-01"), rng.random(N) < 0.6
    seconds = [rng.permutation(10**7)[:N] for _ in range(2)]
    moments = [start + pd.to_timedelta(pd.Series(s), unit="s") for s in seconds]
    person = np.repeat(np.arange(N // 3), 3)
    return {
        "moments": {"p": moments[0], "q": moments[1]},
        "moments in words": {"p": moments[0].astype(str), "q": moments[1].astype(str)},
        "numbers with units": {
            "p": [f"{x:.4f} kg" for x in rng.uniform(40, 100, N)],
            "q": [f"{x:.5f} cm" for x in rng.uniform(140, 200, N)],
        },
        "numbers and a stray word": {
            "p": stray([*map(str, a)], 5, "oops"),
            "q": stray([*map(str, b)], 7, "<5"),
        },
        "missing in the same rows": {"p": np.where(gone, np.nan, a), "q": np.where(gone, np.nan, b)},
        "the same person's": {"p": a[person], "q": b[person], "r": moments[0][person].to_numpy()},
    }


@pytest.mark.parametrize("case", unrelated())
def test_values_of_which_hardly_any_repeats_are_compared_themselves(case: str) -> None:
    assert same(pd.DataFrame(unrelated()[case])) == []


@pytest.mark.parametrize("case", unrelated())
def test_a_column_of_such_values_that_stands_twice_is_found(case: str) -> None:
    frame = pd.DataFrame(unrelated()[case])
    assert same(frame.assign(again=frame.q)) == ["q and again say the same in every row"]


def test_numbers_and_the_words_that_they_are_written_in_say_the_same() -> None:
    numbers = np.random.default_rng(0).normal(size=N).round(4)
    frame = pd.DataFrame({"p": numbers, "q": [f"{x} kg" for x in numbers], "r": numbers + 0.5})
    assert same(frame) == ["p and q say the same in every row"]


def test_a_code_and_its_text_say_the_same_and_so_do_words_that_hardly_repeat() -> None:
    rng = np.random.default_rng(0)
    code, many = rng.integers(0, 9, N), rng.integers(0, 2 * N, N)
    frame = pd.DataFrame(
        {
            "code": code,
            "text": [f"place{x}" for x in code],
            "key": [f"k{x}" for x in many],
            "again": [f"k{x}" for x in many],
            "other": [f"k{x}" for x in rng.permutation(many)],
        }
    )
    assert same(frame) == [
        "code and text say the same in every row",
        "key and again say the same in every row",
    ]
