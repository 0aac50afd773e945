from __future__ import annotations

import pytest

from rung.errors import StudyError
from rung.schedulers import async_hyperband, hyperband, sha
from rung.schedulers.ladder import bracket_size, ladder, ladder_of, shrink
from support.driver import identity


@pytest.mark.parametrize("eta", range(2, 11))
@pytest.mark.parametrize("power", range(13))
@pytest.mark.parametrize("r", [1, 2, 7])
def test_no_rung_is_lost_and_none_is_invented(eta, power, r):
    rungs = ladder(r, r * eta**power, eta)
    assert rungs == tuple(r * eta**k for k in range(power + 1))


@pytest.mark.parametrize("eta", range(2, 11))
@pytest.mark.parametrize("power", range(1, 13))
def test_just_below_and_above_a_power(eta, power):
    assert len(ladder(1, eta**power - 1, eta)) == power
    above = ladder(1, eta**power + 1, eta)
    assert len(above) == power + 1
    assert above[-1] == eta**power + 1


@pytest.mark.parametrize(
    ("r", "R", "eta", "rungs"),
    [
        (1, 81, 3, (1, 3, 9, 27, 81)),
        (1, 243, 3, (1, 3, 9, 27, 81, 243)),
        (1, 256, 4, (1, 4, 16, 64, 256)),
        (1, 100, 3, (1, 3, 9, 27, 100)),
        (5, 50, 3, (5, 15, 50)),
        (10, 100, 10, (10, 100)),
        (40, 100, 3, (100,)),
        (7, 7, 2, (7,)),
    ],
)
def test_ladders_begin_at_the_smallest_and_end_at_the_largest(r, R, eta, rungs):
    assert ladder(r, R, eta) == rungs


def test_a_study_without_a_resource_has_one_rung():
    assert ladder_of(identity(plain=True)) == (1,)
    assert ladder_of(identity(1, 27, 3)) == (1, 3, 9, 27)


@pytest.mark.parametrize(("r", "R", "eta"), [(0, 10, 3), (11, 10, 3), (1, 10, 1)])
def test_nonsense_is_refused(r, R, eta):
    with pytest.raises(StudyError, match="not"):
        ladder(r, R, eta)


@pytest.mark.parametrize(
    ("R", "eta", "sizes"),
    [
        (81, 3, [81, 34, 15, 8, 5]),
        (243, 3, [243, 98, 41, 18, 9, 6]),
        (256, 4, [256, 80, 27, 10, 5]),
        (16, 2, [16, 10, 7, 5, 5]),
        (1, 3, [1]),
    ],
)
def test_hyperbands_brackets_are_the_papers(R, eta, sizes):
    table = hyperband.table(ladder(1, R, eta), eta)
    assert [bracket.trials[0] for bracket in table] == sizes
    assert [bracket.rungs[-1] for bracket in table] == [R] * len(sizes)
    assert async_hyperband.shares(len(sizes), eta) == tuple(sizes)


def test_hyperbands_table_for_81_rung_by_rung():
    assert [list(zip(*b, strict=True)) for b in hyperband.table((1, 3, 9, 27, 81), 3)] == [
        [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)],
        [(3, 34), (9, 11), (27, 3), (81, 1)],
        [(9, 15), (27, 5), (81, 1)],
        [(27, 8), (81, 2)],
        [(81, 5)],
    ]


def test_sha_has_one_bracket():
    assert [list(zip(*b, strict=True)) for b in sha.table((1, 4, 16, 64), 4)] == [
        [(1, 64), (4, 16), (16, 4), (64, 1)]
    ]


@pytest.mark.parametrize("eta", range(2, 11))
@pytest.mark.parametrize("levels", range(1, 13))
def test_every_bracket_brings_at_least_one_trial_to_the_top(eta, levels):
    for s in range(levels):
        size = bracket_size(levels, s, eta)
        assert size * (s + 1) >= levels * eta**s > (size - 1) * (s + 1)
        assert shrink(size, s + 1, eta)[-1] >= 1
