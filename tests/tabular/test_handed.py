from __future__ import annotations

import warnings
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.model_selection import GridSearchCV

import rung
from rung.errors import DataError
from rung.tabular.fit import fit_table
from rung.tabular.predict import predict_covered, predict_table

FAST = {"budget": 0.3, "random_state": 0, "include": "linear"}


def _frame(n=60):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=n), "b": rng.integers(0, 9, size=n)})


def test_columns_that_are_called_as_the_fits_own_are_used_as_all_others():
    X = _frame().rename(columns={"a": "target of the fit", "b": "weight of the fit"})
    X["group of the fit"] = 1.0
    y = X["target of the fit"] > 0
    model = rung.AutoClassifier(**FAST).fit(X, y, np.ones(60), np.arange(60) // 2)
    assert model.score(X, y) == 1
    assert [column.name for column in model.model_.columns if column.used] == list(X.columns[:2])


def test_the_model_calls_its_target_as_the_series_is_called():
    X = _frame()
    y = (X.a > 0).rename("sold")
    assert rung.AutoClassifier(**FAST).fit(X, y).model_.target == "sold"
    assert rung.AutoClassifier(**FAST).fit(X, y.rename("a")).model_.target == "target of the fit"
    assert rung.AutoClassifier(**FAST).fit(X, y.to_numpy()).model_.target == "target of the fit"


def test_names_of_several_levels_are_joined():
    X = _frame()
    X.columns = pd.MultiIndex.from_tuples([("left", "a"), ("left", "")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = rung.AutoClassifier(**FAST).fit(X, X["left", "a"] > 0)
        assert model.predict(X).shape == (60,)
    assert list(model.feature_names_in_) == ["left / a", "left"]


@pytest.mark.parametrize("form", [sparse.dok_array, sparse.coo_matrix])
def test_every_sparse_form_is_read(form):
    X = form(_frame().to_numpy())
    assert rung.AutoRegressor(**FAST).fit(X, _frame().a).predict(X).shape == (60,)


@pytest.mark.parametrize(
    ("dtype", "classes"), [("boolean", [False, True]), ("Int64", [0, 1]), ("bool[pyarrow]", [False, True])]
)
def test_classes_stay_what_they_were(dtype, classes):
    X = _frame()
    model = rung.AutoClassifier(**FAST).fit(X, (X.a > 0).astype(dtype))
    assert model.classes_.tolist() == classes
    assert {type(label) for label in model.classes_.tolist()} == {type(classes[0])}


@pytest.mark.parametrize(
    "objects",
    [
        lambda numbers: pd.Series(numbers.astype(int), dtype=object),
        lambda numbers: numbers.astype(object),
        lambda numbers: [Decimal(str(number)) for number in numbers],
        lambda numbers: pd.Series(numbers.astype(str)).astype(pd.ArrowDtype(pa.decimal128(9, 2))),
    ],
)
def test_numbers_that_are_objects_are_numbers(objects):
    X = _frame()
    values = (100 * X.a).round(2).to_numpy()
    y = objects(values)
    assert rung.AutoRegressor(**FAST, trials=1).fit(X, y).score(X, values) > 0.9
    assert fit_table(X.assign(y=y), "y", include=["linear"], trials=1).task.kind == "regression"


@pytest.mark.parametrize("classes", [[False, True], [0, 1], [1.0, 2.0]])
def test_classes_that_are_objects_are_of_their_type(classes):
    X = _frame()
    y = np.array(classes, dtype=object)[(X.a > 0).astype(int)]
    model = rung.AutoClassifier(**FAST).fit(X, y)
    assert model.classes_.tolist() == classes
    assert model.classes_.dtype == np.array(classes).dtype


@pytest.mark.parametrize(
    ("y", "regressor", "classifier"),
    [
        ([1, "x"] * 30, "y holds 'x', which is no number", "y mixes values of int and str: make them of one"),
        ([1, True] * 30, None, "y mixes values of bool and int"),
        ([Decimal("inf"), 1] * 30, "y contains NaN or infinity", "y contains infinity"),
        ([10**400, 1] * 30, "which is no number", "y holds values of int, which are no labels"),
        ([date(2026, 1, 1), date(2026, 1, 2)] * 30, "y holds datetime.date", "y holds values of date, which"),
        ([b"a", b"b"] * 30, "y holds b'a'", "y holds bytes, which are no labels"),
        ([Decimal(2), Decimal("NaN")] * 30, "y contains NaN or other", "y contains NaN or other missing"),
    ],
)
def test_objects_that_cannot_be_learned_are_told_in_one_sentence(y, regressor, classifier):
    X = _frame()
    y = pd.Series(y, dtype=object)
    doors = {rung.AutoRegressor: regressor, rung.AutoClassifier: classifier}
    for door, sentence in doors.items():
        if sentence is not None:
            with pytest.raises(ValueError, match=sentence):
                door(**FAST).fit(X, y)


def test_a_grid_of_numpys_quantiles_is_searched():
    X = _frame()
    asked = {**FAST, "include": "hist_boosting"}
    grid = {"quantile": np.array([0.1, 0.9])}
    found = GridSearchCV(rung.AutoRegressor(**asked), grid, cv=2, error_score="raise").fit(X, X.a)
    assert found.best_params_["quantile"] in (0.1, 0.9)


@pytest.mark.parametrize(
    ("settings", "y", "sentence"),
    [
        ({}, ["x", "y"] * 30, "y holds 'x', which is no number: a regressor needs numbers, AutoClassifier"),
        ({}, pd.date_range("2026", periods=60), "y holds dates, and a regressor learns numbers"),
        ({}, pd.Series([pd.NA, 1.5] * 30, dtype=object), "y contains NaN or other missing values"),
        ({}, pd.Series([None, 1.5] * 30, dtype="Float64"), "y contains NaN or infinity"),
        ({"workers": "two"}, None, "workers is a number of processes, and not 'two'"),
        ({"kinds": ["a"]}, None, "kinds is a dictionary such as"),
        ({"include": 3}, None, r"include is a list of learners' names, such as \['linear'\], and not 3"),
        ({"predict_time": -1}, None, "predict_time is seconds as a number above 0"),
        ({"quantile": 0.5}, None, r"quantile, 60 rows\); include lightgbm"),
        ({"exclude": "linear"}, None, r"regression, 60 rows\); include "),
    ],
)
def test_what_a_regressor_cannot_use_is_told_in_one_sentence(settings, y, sentence):
    X = _frame()
    with pytest.raises((ValueError, DataError), match=sentence):
        rung.AutoRegressor(**{**FAST, **settings}).fit(X, X.a if y is None else y)


def test_what_a_classifier_cannot_use_is_told_in_one_sentence():
    X = _frame()
    words = np.where(X.a > 0, "yes", "no")
    polars = pytest.importorskip("polars")
    with pytest.raises(DataError, match=r"not a LazyFrame: call its collect\(\) first"):
        rung.AutoClassifier(**FAST).fit(polars.from_pandas(X).lazy(), words)
    with pytest.raises(DataError, match=r"not a dict: make a pandas.DataFrame of it"):
        rung.AutoClassifier(**FAST).fit({"a": X.a}, words)
    with pytest.raises(ValueError, match=r"y holds bytes, which are no labels: make them words by y.astype"):
        rung.AutoClassifier(**FAST).fit(X, words.astype("S"))
    with pytest.raises(ValueError, match="y mixes values of int and str: make them of one type"):
        rung.AutoClassifier(**FAST).fit(X, pd.Series([*words.tolist()[:-1], 3], dtype=object))
    scorer = make_scorer(fbeta_score, beta=2, pos_label="maybe")
    with pytest.raises(DataError, match="pos_label='maybe', which is none of the classes 'no' and 'yes'"):
        rung.AutoClassifier(**FAST, metric=scorer).fit(X, words)


def test_several_targets_and_complex_numbers_are_refused_with_what_to_do():
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    with pytest.raises(ValueError, match=r"y should be a 1d array.*MultiOutputClassifier\(AutoClassifier"):
        rung.AutoClassifier(budget=0.2).fit(X, np.c_[y, y])
    with pytest.raises(ValueError, match=r"y should be a 1d array.*MultiOutputRegressor\(AutoRegressor"):
        rung.AutoRegressor(budget=0.2).fit(X, np.c_[y, y])
    with pytest.raises(ValueError, match=r"Complex data not supported: column 'z'"):
        rung.AutoClassifier(budget=0.2).fit(pd.DataFrame({"x": y, "z": y + 1j}), y)


def test_two_columns_of_one_name_are_refused():
    X, y = _frame(), _frame().a > 0
    twice = pd.concat([X, X[["a"]]], axis=1)
    with pytest.raises(DataError, match="2 columns are named 'a': rename all but one"):
        rung.AutoClassifier(**FAST).fit(twice, y)
    model = rung.AutoClassifier(**FAST).fit(X, y)
    with pytest.raises(DataError, match="2 columns are named 'a'"):
        model.predict(twice)


@pytest.mark.parametrize("y", [_frame().a, np.where(_frame().a > 0, "up", "down")], ids=["number", "class"])
def test_a_model_predicts_nothing_of_no_rows(y):
    estimator = rung.AutoRegressor if y.dtype.kind == "f" else rung.AutoClassifier
    model, none = estimator(**FAST).fit(_frame(), y).model_, _frame(0)
    some = model.raw(_frame())
    assert model.raw(none).shape == (0, *some.shape[1:])
    assert model.predict(none).shape == (0,)
    assert predict_table(model, none).columns.equals(predict_table(model, _frame()).columns)
    covered, whole = (predict_covered(model, frame, 0.9)[0] for frame in (none, _frame()))
    assert (len(covered), list(covered)) == (0, list(whole))
    with pytest.raises(DataError, match="column 'a' is missing"):
        model.raw(none[["b"]])


def test_lengths_of_time_are_hours():
    hours = np.random.default_rng(0).uniform(0, 9, 60)
    frame = pd.DataFrame({"x": pd.to_timedelta(hours, unit="h")})
    found = rung.AutoRegressor(budget=0.4, include=["linear"], workers=1, random_state=0).fit(
        frame, 3 * hours
    )
    assert [str(column.kind) for column in found.model_.columns] == ["number"]
    assert found.predict(frame) == pytest.approx(3 * hours, abs=1.0)
