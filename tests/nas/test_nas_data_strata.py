"""Splits and samples by class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.errors import DataError
from rung.nas.data.keys import seed_of
from rung.nas.data.strata import allotted, halves, sample

Y = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [50, 31, 10, 2]))


def test_halves_are_stratified_and_a_partition() -> None:
    first, second = halves(Y, seed=3)
    assert sorted([*first, *second]) == list(range(len(Y)))
    assert len(first) == round(len(Y) / 2 + 0.1)
    for code, count in enumerate(np.bincount(Y)):
        assert abs(2 * (Y[first] == code).sum() - count) <= 1
    assert (np.diff(first) > 0).all()
    assert (np.diff(second) > 0).all()


def test_a_split_is_a_function_of_its_seed() -> None:
    assert np.array_equal(halves(Y, 1)[0], halves(Y, 1)[0])
    assert not np.array_equal(halves(Y, 1)[0], halves(Y, 2)[0])
    assert not np.array_equal(halves(Y, 1)[0], halves(Y, -1)[0])


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.8, 0.99])
def test_each_class_is_in_both_parts(share: float) -> None:
    first, second = halves(Y, 0, share)
    assert set(Y[first]) == set(Y[second]) == set(range(4))
    if 0.1 < share < 0.9:
        assert len(first) == int(share * len(Y) + 0.5)


def test_one_picture_of_a_class_cannot_be_split() -> None:
    with pytest.raises(DataError, match="class 1 has a single picture"):
        halves(np.array([0, 0, 1, 2, 2]), 0)


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_share_that_splits_nothing_is_said(share: float) -> None:
    with pytest.raises(DataError, match="share of"):
        halves(Y, 0, share)


@pytest.mark.parametrize("count", [8, 20, 60, 93, 500])
def test_a_sample_keeps_the_shares(count: int) -> None:
    rows = sample(Y, count, seed=0)
    assert len(set(rows.tolist())) == len(rows) == min(count, len(Y))
    found, wanted = np.bincount(Y[rows], minlength=4), np.bincount(Y) * len(rows) / len(Y)
    assert (found >= 2).all()
    assert (np.abs(found - wanted)[:2] <= 3).all()


def test_a_larger_sample_goes_on_where_the_smaller_ended() -> None:
    small, large = (set(sample(Y, count, seed=5).tolist()) for count in (20, 60))
    assert small <= large


def test_a_sample_that_cannot_show_each_class_is_refused() -> None:
    assert sorted(Y[sample(Y, 4, 0)]) == [0, 1, 2, 3]
    with pytest.raises(DataError, match="3 pictures cannot show 4 classes"):
        sample(Y, 3, 0)


@given(st.lists(st.integers(2, 60), min_size=1, max_size=6), st.integers(0, 200))
def test_what_is_allotted_is_within_bounds_and_nearest(counts: list[int], total: int) -> None:
    size = np.array(counts)
    least, most = np.ones_like(size), size - 1
    given_ = allotted(size, total, least, most)
    assert (given_ >= least).all()
    assert (given_ <= most).all()
    assert given_.sum() == min(max(total, least.sum()), most.sum())
    inner = (given_ > least) & (given_ < most)
    quota = total * size / size.sum()
    if inner.any() and least.sum() < total < most.sum():  # what no bound holds is shared out alike
        gap = (given_ - quota)[inner]
        assert gap.max() - gap.min() <= 1 + 1e-9


def test_keys_are_told_apart() -> None:
    keys = [(1, 23), (12, 3), (1, 2, 3), (123,), ("1", 23), (-1, 23), (2**70, 1)]
    assert len({seed_of(*key) for key in keys}) == len(keys)
    assert all(0 <= seed_of(*key) < 2**63 for key in keys)
    assert seed_of(0, "order") == seed_of(0, "order")
