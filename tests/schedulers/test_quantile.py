from __future__ import annotations

import math
import statistics
from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.schedulers.quantile import RunningPercentile

numbers = st.lists(st.sampled_from([-2.0, 0.0, 0.1, 1.0, 3.0, 1e306, -1e308, 1e308]), max_size=50)


@given(numbers, st.sampled_from([1e-3, 10.0, 25.0, 33.3, 50.0, 90.0, 99.9]))
def test_it_is_numpys_percentile_after_each_number(values, percent):
    running = RunningPercentile(percent)
    assert math.isnan(running.value())
    for n, value in enumerate(values, 1):
        running.add(value)
        with np.errstate(over="ignore"):  # numpy's difference of the two neighbours, not its result
            expected = np.percentile(np.array(values[:n]) / 2.0, percent) * 2.0
        assert len(running) == n
        assert running.value() == pytest.approx(expected, rel=1e-9)


@given(numbers, st.lists(st.integers(0, 10**6)), st.sampled_from([0.0, 10.0, 50.0, 66.7, 100.0]))
def test_numbers_that_are_taken_out_count_no_more(values, choices, percent):
    running, kept = RunningPercentile(percent), []
    for value, choice in zip_longest(values, choices):
        if value is not None:
            running.add(value)
            kept.append(value)
        if choice is not None and kept:
            running.remove(kept.pop(choice % len(kept)))
        assert len(running) == len(kept)
        with np.errstate(over="ignore"):
            expected = np.percentile(np.array(kept) / 2.0, percent) * 2.0 if kept else math.nan
        assert running.value() == pytest.approx(expected, rel=1e-9, nan_ok=True)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=50))
def test_at_50_it_is_the_median_to_the_last_bit(values):
    running = RunningPercentile(50.0)
    for value in values:
        running.add(value / 3)
    assert running.value() == statistics.median(value / 3 for value in values)


def test_infinite_numbers_are_the_largest():
    running = RunningPercentile(50.0)
    for value in (math.inf, 1.0, math.inf):
        running.add(value)
    assert running.value() == math.inf
    running.add(0.0)
    assert running.value() == math.inf  # between 1 and infinity
    running.add(0.0)
    assert running.value() == 1.0
