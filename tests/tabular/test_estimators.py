from __future__ import annotations

import os
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import check_estimator

import rung
from rung.errors import DataError, StudyError

# Left out by scikit-learn itself where SciPy's array interface is not switched on.
BY_ENVIRONMENT = set() if os.environ.get("SCIPY_ARRAY_API") == "1" else {"check_array_api_input"}

INEXACT = dict.fromkeys(
    (
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
    ),
    "a row of weight 2 and the same row twice fall into other folds, as in scikit-learn's own forests",
)


@pytest.mark.parametrize("estimator", [rung.AutoClassifier(budget=0.02), rung.AutoRegressor(budget=0.02)])
def test_check_estimator(estimator, monkeypatch):
    monkeypatch.setattr("rung.tabular.fit._SLACK", 60.0)  # two fits are compared: the clock must not cut one
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks = check_estimator(estimator, on_skip=None, on_fail="raise", expected_failed_checks=INEXACT)
    skipped = {check["check_name"] for check in checks if check["status"] != "passed"}
    assert skipped <= BY_ENVIRONMENT | set(INEXACT)


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


def test_weights_count_in_training_and_in_scores():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = np.where(np.arange(200) < 100, X[:, 0], -X[:, 0])  # two opposite halves
    first = np.where(np.arange(200) < 100, 1.0, 1e-3)
    model = rung.AutoRegressor(budget=0.5, random_state=0, include=["linear"]).fit(X, y, sample_weight=first)
    assert np.corrcoef(model.predict(X), X[:, 0])[0, 1] > 0.9
    other = rung.AutoRegressor(budget=0.5, random_state=0, include=["linear"])
    other.fit(X, y, sample_weight=first[::-1])
    assert np.corrcoef(other.predict(X), X[:, 0])[0, 1] < -0.9
    assert model.result_.score < 0.2 * y.std(), (
        "the rows that hardly count are missed, and that does not count"
    )


def test_groups_are_held_out_together():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 2)), rng.integers(0, 2, 120)
    groups = np.repeat(np.arange(12), 10)
    model = rung.AutoClassifier(budget=0.5, random_state=0, include=["linear"]).fit(X, y, groups=groups)
    evidence = model.model_.evidence
    for group in range(12):
        assert len(set(evidence.fold[groups[evidence.rows] == group])) == 1
    with pytest.raises(ValueError, match=r"groups\.shape"):
        rung.AutoClassifier(budget=0.5).fit(X, y, groups=groups[:5])


def test_a_quantile_is_predicted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 1))
    y = X[:, 0] + rng.normal(size=400)
    model = rung.AutoRegressor(budget=2, random_state=0, quantile=0.9, workers=1).fit(X, y)
    assert model.result_.metric.name == "pinball_0.9"
    evidence, shift = model.model_.evidence, model.model_.shift
    assert np.mean(evidence.y <= evidence.prediction) == pytest.approx(0.9, abs=0.01)
    assert any(f"{shift:+.3g} is added" in note for note in model.result_.notes) == (shift != 0.0)
    moved = model.predict(X[:3])
    model.model_.shift = 0.0
    assert model.predict(X[:3]) + shift == pytest.approx(moved)


def test_intervals_and_sets_of_an_estimator():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    model = rung.AutoRegressor(budget=0.5, random_state=0, include=["linear"]).fit(X, X[:, 0])
    low, high = model.predict_interval(X, 0.8).T
    assert (low <= high).all()
    labels = np.where(X[:, 0] > 0, "up", "down")
    classifier = rung.AutoClassifier(budget=0.5, random_state=0, include=["linear"]).fit(X, labels)
    assert all(set(found) <= {"up", "down"} and found for found in classifier.predict_set(X, 0.9))


def test_a_threshold_of_its_own_where_the_metric_asks_for_labels():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 2))
    y = (X[:, 0] + rng.normal(size=4000) > 1.8).astype(int)
    asked = {"metric": "balanced_accuracy", "random_state": 0, "include": ["linear"], "workers": 1}
    model = rung.AutoClassifier(budget=2, **asked).fit(X, y)
    cut = model.model_.threshold
    assert cut is not None
    assert cut < 0.3, "a tenth of the rows is positive"
    proba = model.predict_proba(X)[:, 1]
    assert np.array_equal(model.predict(X), (proba > cut).astype(int))


def test_a_sparse_matrix_is_read_as_an_array_where_the_memory_allows():
    rng = np.random.default_rng(0)
    X = sparse.random_array((60, 5), density=0.5, rng=rng, format="csr")
    y = X.toarray()[:, 0] > 0.2
    model = rung.AutoClassifier(budget=0.2).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), model.predict_proba(X.toarray()))
    with pytest.raises(ValueError, match=r"a sparse X of 900,000 rows and 900,000 columns would take"):
        model.fit(sparse.csr_array((900_000, 900_000)), np.zeros(900_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="y contains NaN"):
            rung.AutoRegressor(budget=0.2).fit(np.ones((3, 2)), [1.5, np.nan, 2.5])


@pytest.mark.parametrize("kind", [rung.AutoClassifier, rung.AutoRegressor])
def test_a_model_keeps_no_rows_where_the_estimator_is_told_so(kind):
    X = np.random.default_rng(0).normal(size=(60, 2))
    asked = {"budget": 0.3, "random_state": 0, "include": ["linear"]}
    kept, private = (kind(**asked, drift_sample=word).fit(X, X[:, 0] > 0) for word in (True, False))
    assert kept.model_.profile.sample is not None
    assert private.model_.profile.sample is None
    assert clone(private).get_params()["drift_sample"] is False


def test_columns_go_by_position_where_only_the_fit_or_only_the_new_rows_have_names():
    named = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    bare, y = named.to_numpy(), named.a > 0
    asked = {"budget": 0.3, "random_state": 0, "include": "linear"}
    model = rung.AutoClassifier(**asked).fit(named, y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert np.array_equal(model.predict(bare), model.predict(named))
    other = rung.AutoClassifier(**asked).fit(bare, y)
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        assert np.array_equal(other.predict(named), other.predict(bare))
    numbered = rung.AutoClassifier(**asked).fit(pd.DataFrame(bare), y)
    assert np.array_equal(numbered.predict(bare), numbered.predict(pd.DataFrame(bare)))


@pytest.mark.parametrize(
    ("settings", "given", "sentence"),
    [
        ({}, {"y": ["a", None, "b", "a"]}, "y contains NaN or other missing values: leave such rows out"),
        ({}, {"sample_weight": list("1234")}, "Invalid sample_weight: numbers are needed, and not"),
        ({"predict_time": "1ms"}, {}, "predict_time is seconds as a number above 0, 0.001 for a milli"),
        ({"include": "forrest"}, {}, "there is no learner 'forrest'"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(settings, given, sentence):
    given = {"y": list("abab"), **given}
    with pytest.raises((ValueError, DataError), match=sentence):
        rung.AutoClassifier(budget=0.3, **settings).fit(np.ones((4, 2)), **given)
