from __future__ import annotations

import pickle
import warnings
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rung.space import compile_space
from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.evaluate import quietly
from rung.tabular.learners import table
from rung.tabular.learners.base import Setting
from rung.tabular.learners.lightgbm import LIGHTGBM, _Pace
from rung.tabular.learners.linear import LINEAR
from rung.tabular.learners.table import BUILT_IN, defaults, fitting, search_space
from rung.tabular.pipeline import Order, fit_pipeline

TASKS = [("binary", 2), ("multiclass", 4), ("regression", 0)]
PLAIN = [x for x in BUILT_IN if x.there is None]
PAIRS = [(x, task, classes) for x in PLAIN for task, classes in TASKS if task in x.tasks]


def _data(classes: int, n: int = 240):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(n, 5))
    codes = rng.integers(-1, 3, size=(n, 1)).astype(np.int32)
    signal = 2 * numbers[:, 0] + numbers[:, 1] + (codes[:, 0] == 1)
    numbers[rng.random(n) < 0.1, 2] = np.nan
    y = np.argsort(np.argsort(signal)) * classes // n if classes else signal * 1e3 + 7e5
    return Table(numbers, codes), y.astype(float)


def _loss(prediction, y, classes):
    if not classes:
        return np.mean((prediction - y) ** 2) / y.var()
    return -np.log(prediction[np.arange(len(y)), y.astype(int)]).mean() / np.log(classes)


@pytest.mark.parametrize(("learner", "task", "classes"), PAIRS, ids=lambda x: getattr(x, "name", str(x)))
def test_every_learner_learns(learner, task, classes):
    data, y = _data(classes)
    train, test = np.arange(160), np.arange(160, 240)
    config = defaults(learner, categories=True, missing=True)[0]
    with quietly():
        fitted = fit_pipeline(Order(learner, config, [3], 0, Deadline()), data.take(train), y[train], classes)
        prediction = fitted.pipeline.predict(data.take(test))
    assert prediction.shape == ((80, classes) if classes else (80,))
    if classes:
        assert prediction.sum(axis=1) == pytest.approx(1)
        assert prediction.min() > 0
    assert _loss(prediction, y[test], classes) < 0.9, "better than knowing nothing"
    again = pickle.loads(pickle.dumps(fitted.pipeline))
    near = 1e-6 if learner.name == "real_mlp" else 0.0  # single precision, whose sums depend on alignment
    assert again.predict(data.take(test)) == pytest.approx(prediction, rel=near, abs=near)


@pytest.mark.parametrize("learner", PLAIN, ids=lambda x: x.name)
def test_a_deadline_that_has_passed_still_gives_a_model(learner):
    classes = 2 if "binary" in learner.tasks else 0
    data, y = _data(classes)
    config = defaults(learner, categories=True, missing=True)[0]
    with quietly():
        fitted = fit_pipeline(Order(learner, config, [3], 0, Deadline.after(-1)), data, y, classes)
        assert np.isfinite(fitted.pipeline.predict(data)).all()


@pytest.mark.parametrize("learner", PLAIN, ids=lambda x: x.name)
def test_any_configuration_can_be_fitted(learner):
    """Random configurations, preprocessing included, on a small table."""
    compiled = compile_space(search_space([learner], categories=True, missing=True))
    classes = 2 if "binary" in learner.tasks else 0
    data, y = _data(classes, 60)
    for number in range(4):
        config = compiled.to_mapping(compiled.sample(0, number))
        with quietly():
            fitted = fit_pipeline(Order(learner, config, [3], 1, Deadline.after(20)), data, y, classes)
            assert np.isfinite(fitted.pipeline.predict(data)).all()


@pytest.mark.parametrize(("task", "classes"), TASKS)
def test_all_defaults_lie_in_the_one_space(task, classes):
    chosen = fitting(task, classes)
    assert len(chosen) >= 8
    for categories in (False, True):
        for missing in (False, True):
            compiled = compile_space(search_space(chosen, categories=categories, missing=missing))
            for learner in chosen:
                for config in defaults(learner, categories=categories, missing=missing):
                    assert compiled.to_mapping(compiled.from_mapping(config)) == config


def test_known_rounds_of_lightgbm_go_with_their_learning_rate():
    data, y = _data(2)
    slow = defaults(LIGHTGBM, categories=True, missing=True)[0]
    fast = {**slow, "learning_rate": 0.2}
    orders = [
        Order(LIGHTGBM, slow, [3], 0, Deadline(), {"rounds": 30.0, "rate": 0.2}),
        Order(LIGHTGBM, fast, [3], 0, Deadline(), {"rounds": 30.0}),
    ]
    with quietly():
        fitted = [fit_pipeline(order, data, y, 2) for order in orders]
    assert np.array_equal(*(one.pipeline.predict(data) for one in fitted))
    assert fitted[0].known == {"rounds": 30, "rate": 0.2}


def test_lightgbm_learns_faster_where_the_time_is_short():
    reset = []
    env = SimpleNamespace(iteration=0, model=SimpleNamespace(reset_parameter=reset.append))
    pace = _Pace(Setting(2, deadline=Deadline.after(1.0)), 0.06, 2_000)
    pace(env)
    pace.began -= 0.8  # eight rounds, a tenth of a second each
    env.iteration = 8
    pace(env)
    assert reset == [{"learning_rate": pace.rate}]
    assert pace.rate == 0.25


def test_many_classes_share_the_passes_of_a_linear_model():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 200)), np.arange(300) % 100
    brief: Any = SimpleNamespace(remaining=0.05)
    model = LINEAR.fit({"C": 1.0}, X, y.astype(float), Setting(100, deadline=brief)).estimator
    assert model.max_iter == 17  # as many as there is time for, of passes that are shared
    assert model.max_iter < LINEAR.fit({"C": 1.0}, X, y % 2.0, Setting(2, deadline=brief)).estimator.max_iter


def test_one_class_or_one_value_is_a_constant():
    data, _ = _data(2)
    order = Order(BUILT_IN[0], {"C": 1.0}, [3], 0, Deadline())
    only = fit_pipeline(order, data, np.zeros(240), 2).pipeline.predict(data)
    assert only[0].tolist() == pytest.approx([241 / 242, 1 / 242])
    flat = fit_pipeline(order, data, np.full(240, 5.0), 0).pipeline.predict(data)
    assert flat == pytest.approx(np.full(240, 5.0))


def test_classes_that_a_fold_lacks_keep_their_column():
    data, y = _data(4)
    some = y != 2
    with quietly():
        order = Order(BUILT_IN[0], {"C": 1.0}, [3], 0, Deadline())
        fitted = fit_pipeline(order, data.take(np.flatnonzero(some)), y[some], 4)
    prediction = fitted.pipeline.predict(data)
    assert prediction.shape == (240, 4)
    assert 0 < prediction[:, 2].max() < 1e-3


class _Point:
    name, value = "mine", "somewhere:MINE"

    def __init__(self, result):
        self.result = result

    def load(self):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture
def plugin(monkeypatch):
    def install(result):
        monkeypatch.setattr(table, "entry_points", lambda group: [_Point(result)])
        table.learners.cache_clear()

    yield install
    table.learners.cache_clear()


@pytest.mark.parametrize("broken", [ImportError("no such thing"), 17])
def test_a_broken_plugin_warns_and_the_rest_goes_on(plugin, broken):
    plugin(broken)
    with pytest.warns(UserWarning, match="'mine'"):
        found = table.learners()
    assert set(found) == {x.name for x in BUILT_IN}


def test_a_plugin_is_added(plugin):
    plugin(replace(BUILT_IN[0], name="mine"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "mine" in table.learners()


def test_decisions_of_a_support_vector_machine_are_the_librarys():
    from rung.tabular.learners.svm import _decisions

    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 4))
    for classes in (2, 3):
        y = np.digitize(X[:, 0], [0.0] if classes == 2 else [-0.5, 0.5])
        model = next(x for x in BUILT_IN if x.name == "svm")
        fitted = model.fit({"C": 3.0, "gamma": 0.5}, X, y.astype(float), Setting(classes)).estimator
        expected = fitted.machine.decision_function(X).reshape(150, -1)
        assert _decisions(fitted.machine, X) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("kind", ["RandomForest", "ExtraTrees"])
def test_a_forests_average_is_scikit_learns(kind, classes):
    from sklearn import ensemble

    from rung.tabular.learners.forests import averaged, is_forest

    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    y = rng.integers(0, classes, 200) if classes else rng.normal(size=200)
    forest = getattr(ensemble, kind + ("Classifier" if classes else "Regressor"))(7, random_state=0)
    forest.fit(X, y, rng.random(200))
    assert is_forest(forest)
    theirs = forest.predict_proba(X) if classes else forest.predict(X)[:, None]
    assert np.allclose(averaged(forest, X), theirs, rtol=0, atol=1e-12)


def test_a_forests_leaves_hold_one_row_unless_trees_would_be_too_large():
    from rung.tabular.learners.forests import _TREE, _least_leaf

    assert [_least_leaf(rows, 0) for rows in (1_000, 30_000, 500_000)] == [0, 1, 20]
    assert [_least_leaf(rows, 2) for rows in (1_000, 30_000)] == [0, 6]  # a share, not 0 or 1
    assert _least_leaf(12_000, 26) == 1
    for rows, classes in ((2_000_000, 0), (100_000, 100)):
        leaves = rows / _least_leaf(rows, classes)
        assert 2 * leaves * (64 + 8 * max(classes, 1)) < 1.1 * _TREE


@pytest.mark.parametrize("name", ["forest", "extra_trees"])
def test_a_forest_has_as_many_trees_as_fit_into_its_bytes(name, monkeypatch):
    from rung.tabular.learners import forests

    learner, rng = table.learners()[name], np.random.default_rng(0)
    X, y = rng.normal(size=(500, 3)), rng.normal(size=500)
    setting = Setting(classes=0)
    grown = learner.fit(learner.defaults[0], X, y, setting).estimator
    assert len(grown.estimators_) == forests.TREES
    each = sum(tree.tree_.node_count for tree in grown.estimators_) * 72 / forests.TREES
    monkeypatch.setattr(forests, "_BYTES", 20.5 * each)
    fewer = learner.fit(learner.defaults[0], X, y, setting)
    assert len(fewer.estimator.estimators_) in (19, 20, 21)
    assert not fewer.cut
    monkeypatch.setattr(forests, "_BYTES", 1.0)
    assert len(learner.fit(learner.defaults[0], X, y, setting).estimator.estimators_) == 5
