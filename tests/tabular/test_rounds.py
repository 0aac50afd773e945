"""How long boosting goes on, and how the pace of a round is known."""

import math

import numpy as np
import pytest

from rung.tabular.deadline import Deadline
from rung.tabular.learners import catboost
from rung.tabular.learners.base import Setting
from rung.tabular.learners.hist_boosting import HIST_BOOSTING
from rung.tabular.learners.rounds import PART, TRAVEL, course, paced, patience


@pytest.mark.parametrize(("rate", "rounds"), [(0.02, 120), (0.06, 100), (0.3, 30)])
def test_patience_is_longer_for_smaller_steps(rate, rounds):
    assert patience(rate) == rounds


def test_the_rate_rises_only_as_far_as_the_time_demands():
    assert paced(0.05, 2_000, 1e-9, Setting(0, deadline=Deadline.after(100))) == 0.05
    assert paced(0.05, 2_000, 1.0, Setting(0)) == 0.05  # no deadline
    wanted = TRAVEL / 0.05
    each = PART * 1e6 / (wanted / 2)  # seconds a round: half of what it needs fits in
    assert paced(0.05, 2_000, each, Setting(0, deadline=Deadline.after(1e6))) == pytest.approx(0.1, rel=1e-3)


def test_the_first_round_does_not_count_as_the_library_sorts_the_columns_before_it(monkeypatch):
    moments = iter([60.0, 61.0, 62.0, 63.0])
    monkeypatch.setattr(catboost.time, "monotonic", lambda: next(moments))
    clock = catboost._Clock()
    assert clock.each() == 0.0
    assert all(clock.after_iteration(None) for _ in range(4))
    assert clock.each() == 1.0


def test_a_probe_of_catboost_hears_of_every_round():
    rng = np.random.default_rng(0)
    X, clock = rng.normal(size=(60, 2)), catboost._Clock()
    import catboost as library

    library.CatBoost({"iterations": 5, "verbose": False, "allow_writing_files": False}).fit(
        X, X[:, 0], callbacks=[clock]
    )
    assert len(clock.ends) == 5
    assert math.isfinite(clock.each())


def test_no_class_is_set_aside_as_a_whole():
    """Half of one that would be is learned from, as the only row of another is; the rest stays as it is."""
    y = np.arange(400) % 2 * 1.0
    aside = np.arange(400) >= 350
    y[380:390], y[395] = 2.0, 3.0
    plan = course(np.arange(400.0)[:, None], y, Setting(4, aside=aside), 0.1, 100)
    assert plan.valid is not None
    learned, seen = plan.train.X[:, 0], plan.valid.X[:, 0]
    assert learned.tolist() == [*range(350), 380, 382, 384, 386, 388, 395]
    assert sorted([*learned, *seen]) == list(range(400))
    values = course(y[:, None], y, Setting(0, aside=aside), 0.1, 100)
    assert len(values.train.y) == 350


def test_scikit_learns_boosting_stops_by_the_rows_that_are_set_aside():
    """What groups teach of the target says nothing of other groups."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    X, y = rng.normal(size=(40, 6))[groups], rng.normal(size=40)[groups]
    fitted = [
        HIST_BOOSTING.fit(HIST_BOOSTING.defaults[0], X, y, Setting(0, aside=aside)).known["rounds"]
        for aside in (groups < 6, None)
    ]
    assert fitted[0] < 40 < fitted[1]


def test_scikit_learns_boosting_learns_a_class_of_one_row():
    y = np.arange(400) % 2 * 1.0
    y[7] = 2.0
    found = HIST_BOOSTING.fit(HIST_BOOSTING.defaults[0], y[:, None], y, Setting(3)).estimator
    assert found.predict_proba(y[:, None]).shape == (400, 3)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost", "hist_boosting"])
@pytest.mark.parametrize("classes", [2, 3])
def test_boosting_learns_a_class_of_which_all_rows_are_set_aside(name, classes):
    from rung.tabular.learners.table import learners

    y = np.arange(400) % (classes - 1) * 1.0
    aside = np.arange(400) >= 260
    y[300:] = classes - 1
    noise = np.random.default_rng(0).normal(scale=0.3, size=400)
    learner = learners()[name]
    config = {**learner.defaults[-1], "learning_rate": 0.3}
    found = learner.fit(config, (y + noise)[:, None], y, Setting(classes, aside=aside)).estimator
    said = found.predict_proba(y[:, None]).argmax(axis=1)
    assert (said == y).all()


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost", "hist_boosting"])
def test_boosting_whose_time_is_over_in_the_first_round_is_a_model(name):
    from rung.tabular.learners.table import Traits, defaults, learners

    rng = np.random.default_rng(0)
    X = rng.normal(size=(2_000, 3))
    y = (X[:, 0] > 0).astype(float)
    learner = learners()[name]
    config = defaults(learner, Traits())[0]
    found = learner.fit(config, X, y, Setting(2, deadline=Deadline.after(-1.0)))
    assert found.cut
    assert found.estimator.predict_proba(X).shape == (2_000, 2)
