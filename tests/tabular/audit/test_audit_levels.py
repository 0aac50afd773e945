"""Drift of categories: none by chance, however many levels there are, and what has moved is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rung.tabular.audit.distance import levels_apart
from rung.tabular.audit.drift import drift_from_profile
from rung.tabular.audit.profile import make_profile, summarise_words
from rung.tabular.columns import infer_columns


def shares(levels: int, fall: float) -> np.ndarray:
    """Of levels, evenly (0) or as Zipf has them (1)."""
    p = 1 / np.arange(1, levels + 1) ** fall
    return p / p.sum()


def share_drifted(old: np.ndarray, new: np.ndarray, n: int, m: int, draws: int, least: int = 2) -> float:
    """How many of the tables are said to have drifted, by shares of levels in either."""
    rng = np.random.default_rng(0)
    pairs = zip(rng.multinomial(n, old, size=draws), rng.multinomial(m, new, size=draws), strict=True)
    return float(np.mean([levels_apart(a, b).level >= least for a, b in pairs]))


@pytest.mark.parametrize("levels", [2, 20, 100, 400])
@pytest.mark.parametrize("fall", [0, 1])
def test_chance_is_no_drift_however_many_levels_and_rows(levels: int, fall: float) -> None:
    p = shares(levels, fall)
    sizes = [(n, m) for n in (100, 2000, 20_000) for m in (30, 60, 100, 300, 2000)]
    over = [share_drifted(p, p, n, m, 40, least=1) for n, m in sizes]
    assert np.mean(over) < 0.007, over


@pytest.mark.parametrize("levels", [50, 200, 400])
def test_a_rare_level_that_becomes_frequent_is_found(levels: int) -> None:
    rest = shares(levels, 0)
    old, new = np.r_[0.01, 0.99 * rest], np.r_[0.15, 0.85 * rest]
    assert min(share_drifted(old, new, n, m, 40) for n, m in ((2000, 200), (20_000, 200), (300, 2000))) > 0.9


def test_an_unseen_level_is_found_among_many() -> None:
    rest = shares(200, 0)
    assert share_drifted(np.r_[0, rest], np.r_[0.15, 0.85 * rest], 2000, 100, 40) > 0.9


def test_a_frequent_level_that_is_gone_from_a_long_table_is_found() -> None:
    p = shares(100, 1)
    assert share_drifted(p, np.r_[0, p[1:] / p[1:].sum()], 300, 20_000, 40) > 0.9


@pytest.mark.parametrize("m", [60, 100, 1000])
def test_a_shifted_distribution_is_found(m: int) -> None:
    assert share_drifted(shares(200, 1), shares(200, 0), 2000, m, 40) > 0.9


def test_each_unseen_level_is_counted_by_itself() -> None:
    levels = summarise_words(np.array(["a", "a", "b"], dtype=object))
    old, new, others = levels.beside(np.array(["c", "a", "d", "c"], dtype=object))
    assert (old.tolist(), new.tolist(), others) == ([2, 1, 0, 0], [1, 0, 2, 1], (0, 0))


def test_levels_that_the_profile_does_not_hold_stay_together() -> None:
    words = np.array([f"w{i}" for i in range(1500)], dtype=object)
    old, new, others = summarise_words(words).beside(words[::-1])
    assert (len(old), len(new), others) == (1000, 1000, (500, 500))


def test_a_short_table_with_many_shops_has_not_drifted() -> None:
    rng = np.random.default_rng(0)
    old, *new = (
        pd.DataFrame({"shop": [f"s{i:03d}" for i in rng.integers(200, size=n)]}) for n in (4000, *[100] * 8)
    )
    profile = make_profile(old, infer_columns(old))
    assert not any(
        one.check == "drift" for table in new for one in drift_from_profile(table, profile).findings
    )
