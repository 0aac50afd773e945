"""By a split by time, no fold learns anything of later rows: neither from them, nor when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.evaluate import evaluate, quietly
from rung.tabular.learners.base import Fold, Trained
from rung.tabular.learners.table import learners
from rung.tabular.splits import make_split, time_split

ROWS = 1_200
FOLDS = 3


def _drawn(*, by_time: bool) -> Dataset:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 3))
    y = X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=ROWS)
    split = (
        time_split(y, 0, np.arange(float(ROWS)), FOLDS, 0.2, 0)
        if by_time
        else make_split(y, 0, FOLDS, 0.2, 0)
    )
    return Dataset(Table(X, np.empty((ROWS, 0), np.int32)), y, 0, [], split, "rmse", 0)


def _config(name: str) -> dict[str, Any]:
    pytest.importorskip("sklearn" if name == "hist_boosting" else name)
    return {**learners()[name].defaults[0], "learner": name}


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost", "hist_boosting"])
def test_the_earliest_fold_knows_nothing_of_the_others(name: str) -> None:
    config, dataset = _config(name), _drawn(by_time=True)
    y = dataset.y.copy()
    later = np.arange(ROWS) >= len(dataset.split.training(FOLDS - 1, ROWS))
    y[later] = np.sign(y[later])  # which other rounds are good for
    with quietly():
        one, other = (evaluate(x, config, ROWS, 1, Deadline()) for x in (dataset, replace(dataset, y=y)))
    assert one.known != other.known
    first, second = (x.pipelines[FOLDS - 1].predict(dataset.table) for x in (one, other))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("by_time", [True, False])
@pytest.mark.parametrize("many", [True, False])
def test_one_fold_finds_the_rounds_of_all_unless_it_is_of_a_later_time(
    monkeypatch: pytest.MonkeyPatch, *, by_time: bool, many: bool
) -> None:
    told: list[dict[str, float]] = []
    boosting = learners()["hist_boosting"]

    def fit(config: Any, X: Any, y: Any, setting: Any) -> Trained:
        told.append(dict(setting.known))
        return boosting.fit(config, X, y, setting)

    def fit_many(config: Any, folds: Sequence[Fold]) -> list[Trained]:
        first = fit(config, *folds[0])
        rest = [(X, y, setting._replace(known=first.known)) for X, y, setting in folds[1:]]
        return [first, *(fit(config, *fold) for fold in rest)]

    spy = replace(boosting, fit=fit, fit_many=fit_many if many else None)
    monkeypatch.setitem(learners(), "hist_boosting", spy)
    with quietly():
        outcome = evaluate(_drawn(by_time=by_time), _config("hist_boosting"), ROWS, 1, Deadline())
    assert outcome.known
    assert told == [{}] + [{} if by_time else outcome.known] * (FOLDS - 1)
