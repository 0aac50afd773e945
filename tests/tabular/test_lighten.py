from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from rung.tabular import lighten as module
from rung.tabular.encode import Table
from rung.tabular.lighten import Pace, lighten, too_slow
from rung.tabular.model import Member
from rung.tabular.pipeline import Constant
from rung.tabular.stacking import Stacked

TABLE = Table(np.zeros((10, 1)), np.zeros((10, 0), dtype=np.int32))


def _members(*sizes):
    weights = np.arange(len(sizes), 0, -1) / sum(range(1, len(sizes) + 1))
    return [
        Member(w, f"m{i}", [Constant(np.asarray(float(i))) for _ in range(n)])
        for i, (w, n) in enumerate(zip(weights, sizes, strict=True))
    ]


@pytest.fixture
def _one_second_each(monkeypatch):
    """Each pipeline takes a second for the thousand rows."""
    monkeypatch.setattr(module, "_seconds", lambda pipeline, rows: 1.0)


@pytest.mark.usefixtures("_one_second_each")
@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (20e-3, {"m0": 8, "m1": 5, "m2": 3}),
        (10e-3, {"m0": 4, "m1": 3, "m2": 1}),  # the variance of the mean falls fastest so
        (4e-3, {"m0": 1, "m1": 1, "m2": 1}),
        (2.5e-3, {"m0": 1, "m1": 1}),
        (1e-6, {"m0": 1}),
    ],
)
def test_the_heaviest_stay_with_as_many_folds_as_fit(limit, kept):
    found = lighten(_members(8, 5, 3), TABLE, limit)
    assert {member.name: len(member.pipelines) for member in found} == kept
    assert sum(member.weight for member in found) == pytest.approx(1)


def test_an_ordinary_ensemble_stays_whole():
    members = _members(8, 8)
    assert lighten(members, TABLE, 0.1) == members


def test_a_slow_member_of_little_weight_makes_room_for_more_folds_of_the_others(monkeypatch):
    monkeypatch.setattr(module, "_seconds", lambda pipeline, rows: 8.0 if pipeline.prediction == 2 else 1.0)
    weights = (0.6, 0.37, 0.03)
    members = [replace(one, weight=w) for one, w in zip(_members(5, 5, 5), weights, strict=True)]
    found = lighten(members, TABLE, 15e-3)
    assert {member.name: len(member.pipelines) for member in found} == {"m0": 5, "m1": 5}


def test_what_a_stack_and_a_member_share_is_paid_once(monkeypatch):
    monkeypatch.setattr(module, "_seconds", lambda pipeline, rows: 1.0)
    members = _members(4, 4)
    head = LinearRegression().fit(np.eye(2), np.arange(2.0))
    stacks = [
        Stacked([replace(one, pipelines=[one.pipelines[j]]) for one in members], head, 0) for j in range(4)
    ]
    found = lighten([*members, Member(0.2, "stack", stacks)], TABLE, 10e-3)
    assert {member.name: len(member.pipelines) for member in found} == {"m0": 4, "m1": 4, "stack": 4}


def test_what_a_configuration_leaves_behind_goes_to_its_other_half(monkeypatch):
    monkeypatch.setattr(module, "_seconds", lambda pipeline, rows: 3.0 if pipeline.prediction == 2.0 else 1.0)
    whole = Member(0.4, "boosted", [Constant(np.asarray(1.0))], {"learner": "boosted"})
    folds = Member(0.4, "boosted", [Constant(np.asarray(2.0))], {"learner": "boosted"})
    other = Member(0.2, "linear", [Constant(np.asarray(3.0))], {"learner": "linear"})
    found = lighten([whole, folds, other], TABLE, 3e-3)
    assert {float(one.pipelines[0].prediction): one.weight for one in found} == pytest.approx(
        {1.0: 0.8, 3.0: 0.2}
    )
    everything = lighten([whole, folds, other], TABLE, 1.0)
    assert [one.weight for one in everything] == pytest.approx([0.4, 0.4, 0.2])


def test_who_is_too_slow_for_its_weight(monkeypatch):
    monkeypatch.setattr(
        module, "_seconds", lambda pipeline, rows: float(pipeline.prediction) * len(rows) / 1000
    )
    given = [
        (weight, Pace(Constant(np.asarray(seconds)), TABLE))
        for weight, seconds in [(0.05, 4.5), (0.6, 5.0), (0.35, 3.0)]
    ]
    assert too_slow(given, 22e-3) == []  # 13.1 seconds for 12.5: what surely fits, 0.7 * 0.85 of 22
    assert too_slow(given, 14e-3) == [0]  # 8.3, of which the heaviest take 8
    assert too_slow(given, 8e-3) == [1, 0]  # the heaviest alone is slower than 4.8
    assert too_slow([], 8e-3) == []


def test_a_pace_is_that_of_a_quarter_but_for_what_each_call_takes_and_measured_once(monkeypatch):
    asked = []
    monkeypatch.setattr(
        module, "_seconds", lambda pipeline, rows: asked.append(len(rows)) or 0.5 + 0.002 * len(rows)
    )
    pace = Pace(Constant(np.asarray(0.0)), TABLE)
    assert [pace.seconds, pace.seconds] == pytest.approx([2.5, 2.5])
    assert asked == [2, 250]


def test_what_takes_longer_together_than_each_alone_is_cut_further(monkeypatch):
    monkeypatch.setattr(module, "_seconds", lambda pipeline, rows: 1.0)
    monkeypatch.setattr(
        module, "_together", lambda members, rows: 2.0 * sum(len(m.pipelines) for m in members)
    )
    found = lighten(_members(8, 8), TABLE, 10e-3)
    assert sum(len(member.pipelines) for member in found) == 4  # 8 of a second each would take 16, not 8.5
