from __future__ import annotations

import os
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import check_estimator

import rung
from rung.errors import StudyError

# Left out by scikit-learn itself where SciPy's array interface is not switched on.
BY_ENVIRONMENT = set() if os.environ.get("SCIPY_ARRAY_API") == "1" else {"check_array_api_input"}


@pytest.mark.parametrize("estimator", [rung.AutoClassifier(budget=0.1), rung.AutoRegressor(budget=0.1)])
def test_check_estimator(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks = check_estimator(estimator, on_skip=None, on_fail="raise")
    skipped = {check["check_name"] for check in checks if check["status"] != "passed"}
    assert skipped <= BY_ENVIRONMENT


def _frame(n=80):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.choice(["x", "y", None], n)})
    return frame, np.where(frame.a + (frame.b == "x") > 0.3, "hit", "miss")


def test_frames_with_categories_and_missing_cells():
    X, y = _frame()
    model = rung.AutoClassifier(budget=0.3, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.8
    assert model.predict_proba(X).shape == (80, 2)
    assert list(model.classes_) == ["hit", "miss"]
    assert list(model.leaderboard_["rank"]) == list(range(1, len(model.leaderboard_) + 1))
    assert "<html" in model.report_


def test_save_and_load(tmp_path):
    X, y = _frame()
    model = rung.AutoClassifier(budget=0.3, random_state=0).fit(X, y)
    loaded = rung.load(model.save(tmp_path / "m.rung"))
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert np.array_equal(loaded.predict(X), model.predict(X)), "labels as they were given"


def test_it_is_a_citizen_of_scikit_learn():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X[:, 0] * 2 + rng.normal(size=60) * 0.1
    scores = cross_val_score(clone(rung.AutoRegressor(budget=0.2, random_state=1)), X, y, cv=2)
    assert scores.min() > 0.8


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="one class"):
        rung.AutoClassifier(budget=0.1).fit(np.ones((5, 2)), ["a"] * 5)


@pytest.mark.parametrize("workers", [0, -1])
def test_fewer_than_one_worker_is_refused(workers):
    X, y = _frame()
    with pytest.raises(StudyError, match=f"workers must be at least 1, not {workers}; leave it out"):
        rung.AutoClassifier(budget=0.3, workers=workers).fit(X, y)
