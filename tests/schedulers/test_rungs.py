from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from rung.schedulers.rungs import Rung, TopRung

values = st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.0, math.inf, -5.5]), max_size=60)


@given(values, st.integers(2, 5), st.integers(0, 1))
def test_the_best_k_of_all_results_by_value_and_age(results, eta, least):
    rung = TopRung(eta, least)
    for trial, value in enumerate(results):
        rung.add(value, trial)
        seen = sorted((v, t) for t, v in enumerate(results[: trial + 1]))
        best = seen[: max(least, len(seen) // eta)]
        for key in seen:
            assert rung.holds(*key) == (key in best and key[0] < math.inf)


@given(values, st.integers(2, 5), st.lists(st.booleans(), max_size=200))
def test_the_candidate_is_the_best_that_was_not_promoted(results, eta, promotions):
    rung, promoted = Rung(eta, above=9), set()
    ask = iter(promotions)
    for trial, value in enumerate(results):
        rung.add(value, trial)
        while True:
            seen = sorted((v, t) for t, v in enumerate(results[: trial + 1]))
            top = [t for v, t in seen[: len(seen) // eta] if v < math.inf and t not in promoted]
            assert rung.candidate == (top[0] if top else -1)
            if not top or not next(ask, False):
                break
            rung.promote(top[0])
            promoted.add(top[0])


def test_a_promotion_out_of_turn_is_taken_in_too():
    rung = Rung(2, above=9)
    for trial, value in enumerate([1.0, 2.0, 3.0, 4.0]):
        rung.add(value, trial)
    rung.promote(1)
    assert rung.candidate == 0
    rung.promote(0)
    assert rung.candidate == -1


class Counted(float):
    """A value that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: float) -> bool:
        Counted.compared += 1
        return float(self) < float(other)

    def __gt__(self, other: float) -> bool:
        Counted.compared += 1
        return float(self) > float(other)

    def __neg__(self) -> Counted:
        return Counted(-float(self))

    __eq__ = float.__eq__
    __hash__ = float.__hash__


def comparisons(results: int) -> float:
    """Comparisons for each of the last 1,000 results, their promotions included."""
    rung = Rung(4, above=9)
    number = 1
    for trial in range(results):
        if trial == results - 1000:
            Counted.compared = 0
        number = number * 48271 % 2147483647
        rung.add(Counted(number), trial)
        if rung.candidate >= 0:
            rung.promote(rung.candidate)
    return Counted.compared / 1000


def test_a_decision_after_many_results_costs_what_it_costs_after_few():
    assert comparisons(30_000) < 1.6 * comparisons(1_500)
