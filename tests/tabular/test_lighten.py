from __future__ import annotations

import numpy as np
import pytest

from rung.tabular import lighten as module
from rung.tabular.encode import Table
from rung.tabular.lighten import lighten
from rung.tabular.model import Member
from rung.tabular.pipeline import Constant

TABLE = Table(np.zeros((10, 1)), np.zeros((10, 0), dtype=np.int32))


def _members(*sizes):
    weights = np.arange(len(sizes), 0, -1) / sum(range(1, len(sizes) + 1))
    return [
        Member(w, f"m{i}", [Constant(np.asarray(float(i)))] * n)
        for i, (w, n) in enumerate(zip(weights, sizes, strict=True))
    ]


@pytest.fixture
def _one_second_each(monkeypatch):
    """Each pipeline takes a second for the thousand rows."""
    monkeypatch.setattr(module, "_seconds", lambda member, rows: 1.0)


@pytest.mark.usefixtures("_one_second_each")
@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (20e-3, {"m0": 8, "m1": 5, "m2": 3}),
        (10e-3, {"m0": 3, "m1": 3, "m2": 2}),
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
