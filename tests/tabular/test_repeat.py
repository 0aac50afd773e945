from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rung.tabular.conformal import conformal_quantile, predict_interval
from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.decide import SINGLE, fit_temperature, tempered
from rung.tabular.encode import Table
from rung.tabular.evaluate import Saved, evaluate, quietly
from rung.tabular.finish import Ensemble, as_kept
from rung.tabular.fit import fit_table
from rung.tabular.learners.linear import LINEAR
from rung.tabular.learners.table import Traits, defaults
from rung.tabular.model import Member
from rung.tabular.repeat import MOST, NOTHING, repeat
from rung.tabular.splits import make_split, time_split

CONFIG = defaults(LINEAR, Traits())[0]


def _dataset(n=120, folds=4, groups=None):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    y = (X[:, 0] + rng.normal(size=n) > 0).astype(np.int64)
    table = Table(X, np.zeros((n, 0), dtype=np.int32))
    return Dataset(table, y, 2, [], make_split(y, 2, folds, 0.2, 0, groups), "log_loss", 0)


def _member(dataset):
    with quietly():
        found = evaluate(dataset, CONFIG, len(dataset), 1, Deadline())
    return Saved(3, found.prediction, found.rows, found.score, 0.01, cut=False), CONFIG


def test_other_folds_give_more_models_and_averaged_predictions():
    dataset = _dataset()
    member = _member(dataset)
    found = repeat(dataset, [member], 2, Deadline.after(60))
    assert found.times == MOST
    assert len(found.pipelines[3]) == MOST * 4
    assert found.saved[0].trial == 3
    assert not np.array_equal(found.saved[0].prediction, member[0].prediction)
    assert found.saved[0].prediction == pytest.approx(member[0].prediction, abs=0.2)
    assert found.saved[0].prediction.sum(axis=1) == pytest.approx(1)


def test_those_that_take_long_stay_as_they_are_where_there_is_no_time_for_them():
    dataset = _dataset()
    short, config = _member(dataset)
    long = short._replace(trial=5, seconds=1e6)
    found = repeat(dataset, [(long, config), (short, config)], 2, Deadline.after(60))
    assert found.times == MOST
    assert {trial: len(models) for trial, models in found.pipelines.items()} == {3: MOST * 4, 5: 0}
    # a mean of five would always look better than a single one
    saved = {one.trial: one for one in found.saved}
    assert saved[5].prediction == pytest.approx(long.prediction)
    assert saved[3].prediction == pytest.approx(short.prediction)
    assert repeat(dataset, [(long, config)], 2, Deadline.after(60)) == NOTHING


def test_a_member_is_as_sure_as_what_is_kept_of_it():
    dataset = _dataset()
    rng = np.random.default_rng(1)
    y, valid = dataset.y, dataset.split.validation(len(dataset))
    sure = [np.clip(0.5 + 0.49 * np.sign(y - 0.5 + rng.normal(size=120) * 0.6), 0.01, 0.99) for _ in range(4)]
    each = [np.column_stack([1 - one, one]) for one in sure]
    mean = Saved(3, np.mean(each, axis=0), 120, 0.0, 0.01, cut=False)
    search: Any = SimpleNamespace(dataset=dataset, config=lambda trial: {"learner": f"of {trial}"})
    ensemble = Ensemble([(0.7, mean), (0.3, mean._replace(trial=4))], valid, mean.prediction)

    def after(models):
        kept = [Member(1.0, "any", ["a model"] * models, {"learner": "of 3"})]
        return as_kept(search, ensemble, kept, {3: each})

    of_all, (all_kept,) = after(4)
    of_one, (one_kept,) = after(1)
    judge = dataset.judge
    assert all_kept.temperature == fit_temperature(mean.prediction, y, judge, prior=SINGLE)
    assert one_kept.temperature == fit_temperature(each[0], y, judge, prior=SINGLE)
    assert one_kept.temperature > 2 * all_kept.temperature, "each was too sure, not so their mean"
    assert [one.trial for _, one in of_one.members] == [3], "the other was left out"
    assert ensemble.times == 1
    assert of_one.times == of_all.times == 4
    assert of_one.prediction == pytest.approx(tempered(each[0], one_kept.temperature))
    assert of_all.prediction == pytest.approx(tempered(mean.prediction, all_kept.temperature))


def test_groups_stay_together_there_too(monkeypatch):
    from rung.tabular import repeat as module

    seen = []
    real = module.evaluate
    monkeypatch.setattr(module, "evaluate", lambda data, *rest: seen.append(data.split) or real(data, *rest))
    groups = np.repeat(np.arange(30), 4)
    dataset = _dataset(groups=groups)
    repeat(dataset, [_member(dataset)], 1, Deadline.after(60))
    assert len(seen) == MOST
    assert len({split.folds.tobytes() for split in [dataset.split, *seen]}) == MOST + 1
    for split in seen:
        assert all(len(set(split.folds[groups == group])) == 1 for group in range(30))


def test_not_without_time_or_where_folds_mean_something():
    dataset = _dataset()
    member = _member(dataset)
    assert repeat(dataset, [member], 1, Deadline.after(-1)) == NOTHING
    assert repeat(dataset, [], 1, Deadline.after(60)) == NOTHING
    holdout = Dataset(dataset.table, dataset.y, 2, [], make_split(dataset.y, 2, 1, 0.2, 0), "log_loss", 0)
    assert repeat(holdout, [member], 1, Deadline.after(60)) == NOTHING
    timely = time_split(dataset.y, 2, np.arange(120.0), 4, 0.2, 0)
    ordered = Dataset(dataset.table, dataset.y, 2, [], timely, "log_loss", 0)
    assert repeat(ordered, [member], 1, Deadline.after(60)) == NOTHING


def test_a_fit_uses_the_time_that_a_small_table_leaves():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"]).assign(y=np.arange(60) % 2)
    include = ["discriminant", "bayes"]  # whose folds' models stay
    result = fit_table(frame, "y", budget=8, include=include, warm_start=False, predict_time=10.0)
    (note,) = (note for note in result.notes if "cross-validated" in note)
    times = int(re.search(r"cross-validated (\d) times", note)[1])
    assert 1 < times <= 5
    most = max(len(member.pipelines) for member in result.model.members)
    assert most == times * result.folds  # none is dropped, for it may take 10 seconds to predict
    assert np.isfinite(result.model.raw(frame)).all()


def test_intervals_do_not_take_residuals_of_means_for_those_of_one_fold():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=80)})
    frame["y"] = frame.a + 0.3 * rng.normal(size=80)
    result = fit_table(frame, "y", trials=1, include=["lightgbm"], predict_time=10.0)
    assert any("cross-validated" in note for note in result.notes)
    model = result.model
    for member in model.members:  # as where predicting takes long
        member.pipelines = member.pipelines[: result.folds]
    found = predict_interval(model, frame, 0.8)
    residuals = np.abs(model.evidence.y - model.evidence.prediction)
    assert found.high - found.prediction == pytest.approx(conformal_quantile(residuals, 0.8))
    assert found.prediction - found.low == pytest.approx(conformal_quantile(residuals, 0.8))


def test_a_learner_that_fails_on_other_folds_leaves_what_there_was(monkeypatch):
    from rung.tabular import repeat as module

    dataset, calls = _dataset(), []
    member, real = _member(dataset), module.evaluate

    def sometimes(data, *rest):
        calls.append(1)
        if len(calls) == 2:
            raise AttributeError("whatever a learner raises")
        return real(data, *rest)

    monkeypatch.setattr(module, "evaluate", sometimes)
    found = repeat(dataset, [member], 1, Deadline.after(60))
    assert found.times == 1
    assert len(found.pipelines[3]) == 4
    calls[:] = [1]
    assert repeat(dataset, [member], 1, Deadline.after(60)) == NOTHING
