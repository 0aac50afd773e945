"""Water filling against an oracle that pours drop by drop."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.cluster.sharing import Claim
from rung.cluster.sharing_fill import Want, level_at, water_fill
from support.sharing_world import fluid

ONE = st.tuples(
    st.sampled_from([0.5, 1.0, 2.0, 3.0]), st.integers(0, 2), st.integers(0, 4), st.integers(1, 12)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ONE, min_size=1, max_size=7), st.integers(1, 40))
def test_shares_are_those_of_pouring_drop_by_drop(
    rows: list[tuple[float, int, int, int]], capacity: int
) -> None:
    wants = [Want(weight, rank, float(least), float(most)) for weight, rank, least, most in rows]
    claims = {
        str(place): (Claim(str(place), weight, rank, least), float(most))
        for place, (weight, rank, least, most) in enumerate(rows)
    }
    found = water_fill({None: float(capacity)}, wants)
    expected = fluid(float(capacity), claims)
    assert found == pytest.approx(list(expected.values()), abs=capacity / 4000 * 3)
    assert sum(found) == pytest.approx(min(capacity, sum(want.most for want in wants)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(ONE, st.sampled_from(["a", "b", "ab", "c", ""])), min_size=1, max_size=7),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
)
def test_nobody_can_have_more_without_one_who_has_no_more_having_less(
    rows: list[tuple[tuple[float, int, int, int], str]], sizes: tuple[int, int, int]
) -> None:
    """The definition of max-min fairness, where some nodes run some studies only (one class, no minimums)."""
    nodes = dict(zip("abc", sizes, strict=True))
    groups = {"a": frozenset("a"), "b": frozenset("b"), "ab": frozenset("ab"), "c": frozenset("c"), "": None}
    capacities = {
        group: float(sum(size for name, size in nodes.items() if group is None or name in group))
        for group in groups.values()
    }
    wants = [Want(weight, 0, 0.0, float(most), groups[name]) for (weight, _, _, most), name in rows]
    found = water_fill(capacities, wants)
    for place, want in enumerate(wants):
        assert found[place] <= want.most + 1e-9
        if found[place] < want.most - 1e-9:
            assert any(_bound(capacities, wants, found, place, group) for group in capacities)


def _bound(
    capacities: dict[frozenset[str] | None, float],
    wants: list[Want],
    found: list[float],
    place: int,
    group: frozenset[str] | None,
) -> bool:
    """Whether this set of nodes is full, and all who have it to themselves have no more per weight."""
    own = wants[place].group
    if not (group is None or (own is not None and own <= group)):
        return False
    inside = [
        other
        for other, want in enumerate(wants)
        if group is None or (want.group is not None and want.group <= group)
    ]
    full = sum(found[other] for other in inside) >= capacities[group] - 1e-6
    height = found[place] / wants[place].weight
    return full and all(found[other] / wants[other].weight <= height + 1e-6 for other in inside)


def test_minimums_that_do_not_fit_go_by_class() -> None:
    wants = [Want(1.0, 0, 6.0, 9.0), Want(1.0, 1, 6.0, 9.0)]
    assert water_fill({None: 8.0}, wants) == [2.0, 6.0]
    assert water_fill({None: 0.0}, wants) == [0.0, 0.0]
    assert water_fill({None: 5.0}, []) == []


def test_level() -> None:
    assert level_at(10.0, [(1.0, 0.0, 100.0), (4.0, 0.0, 100.0)]) == 2.0
    assert level_at(10.0, [(1.0, 6.0, 100.0), (4.0, 0.0, 100.0)]) == 1.0
    assert level_at(10.0, [(1.0, 0.0, 3.0), (4.0, 0.0, 4.0)]) == math.inf
    assert level_at(10.0, [(1.0, 10.0, 30.0)]) == 0.0
