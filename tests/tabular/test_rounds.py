"""How long boosting goes on, and how the pace of a round is known."""

import math

import numpy as np
import pytest

from rung.tabular.deadline import Deadline
from rung.tabular.learners import catboost
from rung.tabular.learners.base import Setting
from rung.tabular.learners.rounds import PART, TRAVEL, paced, patience


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
