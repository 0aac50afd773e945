"""A fit that so many configurations end, whatever time it takes: the same seed gives the same model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import rung
from rung.errors import DataError, StudyError
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


@pytest.mark.parametrize("budget", [0.6, 10])
def test_the_machines_cores_change_nothing(monkeypatch, budget):
    """How many folds there are, and how often members are cross-validated, follows from the budget."""
    X, y = _table(400)
    found = []
    for cores in (1, 4):
        monkeypatch.setattr("rung.tabular.fit._cores", lambda cores=cores: cores)
        found.append(fit_table(X.assign(y=y), "y", budget=budget, trials=1, include=["linear"]))
    one, more = found
    assert one.folds == more.folds
    assert [one.notes, *one.model.raw(X).tolist()] == [more.notes, *more.model.raw(X).tolist()]


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


def test_it_begins_with_what_was_good_on_earlier_tables_unless_told_not_to():
    X, y = _table()
    frame = X.assign(y=y)
    warm, cold = (
        fit_table(frame, "y", trials=12, include=("linear", "svm"), seed=1, warm_start=warm)
        for warm in (True, False)
    )
    configs = [[row.config for row in found.leaderboard] for found in (warm, cold)]
    assert configs[0] != configs[1]


def test_no_seconds_limit_its_study():
    from rung.storage import open_storage

    X, y = _table()
    kept = open_storage("memory")
    fit_table(X.assign(y=y), "y", trials=3, include=QUICK, storage=kept, study="mine")
    limits = rung.Study.open(kept, "mine").history.limits
    assert (limits.trials, limits.seconds) == (3, None)


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


def test_a_study_of_another_table_is_told_from_one_with_other_settings():
    from rung.storage import open_storage

    X, y = _table()
    kept, frame = open_storage("memory"), X.assign(y=y)
    how = {"trials": 1, "include": QUICK, "storage": kept, "study": "mine"}
    fit_table(frame, "y", **how)
    with pytest.raises(
        StudyError, match="binary of 'y', 60 rows, and this is binary of 'y', 50 rows; give the"
    ):
        fit_table(frame.iloc[:50], "y", **how)
    with pytest.raises(StudyError, match="other cells, or with others of its columns"):
        fit_table(frame.assign(a=frame.a + 1), "y", **how)
    with pytest.raises(StudyError, match="exists with other settings"):
        fit_table(frame, "y", **{**how, "seed": 5})


def test_a_smaller_table_under_the_name_of_a_large_ones_study():
    """Its lowest rung has more rows than this table: that was said in the engine's words."""
    from rung.storage import open_storage

    kept = open_storage("memory")
    rng = np.random.default_rng(0)
    large = pd.DataFrame({"a": rng.normal(size=6_500), "y": rng.choice(["p", "q"], 6_500)})
    fit_table(large, "y", trials=1, include=["bayes"], storage=kept, study="mine")
    with pytest.raises(StudyError, match="is of another table"):
        fit_table(large.iloc[:300], "y", trials=1, include=["bayes"], storage=kept, study="mine")
