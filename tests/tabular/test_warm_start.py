from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rung.storage import open_storage
from rung.tabular.fit import fit_table
from rung.tabular.learners.table import BUILT_IN, Traits, defaults
from rung.tabular.plan import Default
from rung.tabular.warm_start import distance, from_studies, with_earlier

LINEAR = next(x for x in BUILT_IN if x.name == "linear")
SECONDS = {"linear": (0.1, 0.1), "lightgbm": (1.0, 1.0)}


def _ones(rank, *configs):
    return [Default(rank, {"learner": "linear", "C": c}, 0.1, 0.1) for c in configs]


def test_first_defaults_stay_in_front_and_nothing_comes_twice():
    ordered = _ones(0, 1.0, 2.0) + _ones(1, 3.0, 4.0)
    suggested = [{"learner": "linear", "C": c} for c in (1.0, 5.0, 6.0, 7.0)]
    own = [{"learner": "linear", "C": c} for c in (2.0, 5.0)]
    found = [one.config["C"] for one in with_earlier(ordered, suggested, own, SECONDS)]
    assert found == [1.0, 2.0, 5.0, 6.0, 3.0, 7.0, 4.0]


def test_what_was_best_before_comes_first_among_the_defaults_too():
    ordered = _ones(0, 1.0, 2.0, 3.0) + _ones(1, 4.0)
    own = [{"learner": "linear", "C": c} for c in (4.0, 1.0, 3.0)]
    found = with_earlier(ordered, [], own, SECONDS)
    assert [one.config["C"] for one in found] == [1.0, 4.0, 3.0, 2.0]


def test_without_anything_earlier_the_order_is_as_it_was():
    ordered = _ones(0, 1.0, 2.0) + _ones(1, 3.0)
    assert with_earlier(ordered, [], [], SECONDS) == ordered


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0.0),
        ({"kind": "regression"}, math.inf),
        ({"table": "b"}, 0.25),
        ({"table": "b", "target": "z"}, 0.5),
        ({"table": "b", "rows": 1000}, 0.5 * (0.5 + math.log(10))),
    ],
)
def test_how_far_apart_tables_are(change, expected):
    facts = {"kind": "binary", "table": "a", "target": "y", "rows": 100, "columns": 5}
    assert distance(facts, {**facts, **change}) == pytest.approx(expected)


def _frame(n=200, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 4)), columns=list("abcd"))
    return frame.assign(y=np.where(frame.a + frame.b > 0, "up", "down"))


def test_the_users_own_studies_are_found(tmp_path):
    storage = open_storage(str(tmp_path / "rung.db"))
    result = fit_table(_frame(), "y", budget=1, workers=1, include=["linear"], storage=storage)
    facts = {"kind": "binary", "table": "new", "target": "y", "rows": 180, "columns": 4}
    found, names = from_studies(storage, facts, [LINEAR], Traits())
    assert names == [storage.list()[0].name]
    assert found[0] == max(result.leaderboard, key=lambda row: row.score).config
    assert all(set(config) == set(defaults(LINEAR, Traits())[0]) for config in found)
    assert from_studies(storage, {**facts, "kind": "regression"}, [LINEAR], Traits()) == ([], [])
    assert from_studies(storage, {**facts, "rows": 10**9}, [LINEAR], Traits()) == ([], [])
    assert from_studies(storage, facts, [], Traits()) == ([], [])


def test_of_many_studies_the_newest_are_looked_at(monkeypatch):
    asked = []
    storage = SimpleNamespace(list=lambda limit: [SimpleNamespace(name=f"s{j}") for j in range(limit)])
    monkeypatch.setattr("rung.tabular.warm_start._fit_of", lambda _, name: asked.append(name))
    assert from_studies(storage, {}, [LINEAR], Traits()) == ([], [])
    assert asked == [f"s{j}" for j in range(50)]


def _first_trials(storage, *, warm_start):
    result = fit_table(
        _frame(seed=1), "y", budget=9, workers=1, include=["linear"], storage=storage, warm_start=warm_start
    )
    return [row.config for row in sorted(result.leaderboard, key=lambda row: row.trial)]


@pytest.mark.long
def test_a_fit_begins_with_what_was_best_before(tmp_path):
    storage = open_storage(str(tmp_path / "rung.db"))
    before = fit_table(_frame(), "y", budget=1, workers=1, include=["linear"], storage=storage)
    best = max(before.leaderboard, key=lambda row: row.score).config
    assert best in _first_trials(storage, warm_start=True)[:3]
    assert _first_trials(storage, warm_start=False)[:2] == [dict(x) for x in defaults(LINEAR, Traits())[:2]]
