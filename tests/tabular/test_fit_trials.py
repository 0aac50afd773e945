"""A fit that so many configurations end, whatever time it takes: the same seed gives the same model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import rung
from rung.errors import DataError
from rung.tabular.fit import fit_table

QUICK = ("linear", "bayes", "discriminant")


def _table(n=60):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=n), "b": rng.choice(["x", "y", None], n), "c": rng.normal(size=n)})
    return X, np.where(X.a + (X.b == "x") + 0.5 * rng.normal(size=n) > 0.3, "hit", "miss")


def test_the_same_seed_gives_the_same_model():
    X, y = _table()
    model = rung.AutoClassifier(trials=7, random_state=3, include=QUICK)
    first, second = (clone(model).fit(X, y) for _ in range(2))
    assert first.result_.trials == second.result_.trials == 7
    assert list(first.leaderboard_.config) == list(second.leaderboard_.config)
    assert np.array_equal(first.predict_proba(X), second.predict_proba(X))


def test_a_small_budget_does_not_end_it():
    X, y = _table()
    frame = X.assign(y=y)
    found = fit_table(frame, "y", budget=0.05, trials=5, include=QUICK, seed=1)
    assert (found.trials, found.failed, found.limit) == (5, 0, 5)


def test_earlier_studies_and_measured_times_change_nothing(monkeypatch):
    from rung.storage import open_storage

    X, y = _table()
    kept = open_storage("memory")
    first = fit_table(X.assign(y=y), "y", trials=4, include=QUICK, storage=kept)
    monkeypatch.setattr("rung.tabular.lighten.PREDICT_TIME", 0.0)
    second = fit_table(X.assign(y=y), "y", trials=4, include=QUICK, storage=kept)
    assert np.array_equal(first.model.raw(X), second.model.raw(X))


def test_the_same_study_goes_on_to_more():
    from rung.storage import open_storage

    X, y = _table()
    kept = open_storage("memory")
    fit_table(X.assign(y=y), "y", trials=3, include=QUICK, storage=kept, study="mine")
    gone_on = fit_table(X.assign(y=y), "y", trials=5, include=QUICK, storage=kept, study="mine")
    at_once = fit_table(X.assign(y=y), "y", trials=5, include=QUICK)
    assert gone_on.trials == 5
    assert np.array_equal(gone_on.model.raw(X), at_once.model.raw(X))


@pytest.mark.parametrize("trials", [0, -3, 2.5, True, "20"])
def test_what_is_no_number_of_trials(trials):
    X, y = _table()
    with pytest.raises(DataError, match="trials is the number of configurations"):
        rung.AutoClassifier(trials=trials).fit(X, y)
