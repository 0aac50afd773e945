from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from rung.tabular import finish, stacking
from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.evaluate import Saved
from rung.tabular.finish import Ensemble
from rung.tabular.members import STACK
from rung.tabular.metrics import METRICS
from rung.tabular.model import Member
from rung.tabular.pipeline import Constant
from rung.tabular.splits import make_split
from rung.tabular.stacking import LEAST_ROWS, Stack, Stacked, stack


def _dataset(y, classes, folds=4):
    table = Table(np.zeros((len(y), 1)), np.zeros((len(y), 0), dtype=np.int32))
    metric = "log_loss" if classes else "rmse"
    return Dataset(table, y, classes, [], make_split(y, classes, folds, 0.2, 0), metric, 0)


def _saved(*predictions):
    return [Saved(i, p, len(p), 0.0, 0.0, cut=False) for i, p in enumerate(predictions)]


def test_biased_values_are_set_right():
    rng = np.random.default_rng(0)
    y = rng.normal(size=1000)
    views = [0.5 * y + 3 + rng.normal(size=1000) * 0.3 for _ in range(3)]
    found = stack(_dataset(y, 0), _saved(*views), np.arange(1000))
    rmse = METRICS["rmse"]
    assert rmse.score(y, found.prediction) < 0.4 < min(rmse.score(y, view) for view in views)


@pytest.mark.parametrize("classes", [2, 3])
def test_what_each_knows_of_a_class_is_joined(classes):
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, 1200)
    views = []
    for k in range(3):
        p = np.full((1200, classes), 1.0)
        told = rng.random(1200) < 0.8
        p[np.arange(1200)[told], y[told]] += 0.5 + k
        views.append(p / p.sum(axis=1, keepdims=True))
    found = stack(_dataset(y, classes), _saved(*views), np.arange(1200))
    loss = METRICS["log_loss"]
    assert loss.score(y, found.prediction) < min(loss.score(y, view) for view in views)
    assert found.prediction.sum(axis=1) == pytest.approx(1)


def test_noise_is_worth_nothing_out_of_fold():
    """Cross-fitting shows it: the stack of noise is no better than a constant."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 800)
    views = [np.column_stack([1 - p, p]) for p in rng.random((8, 800))]
    found = stack(_dataset(y, 2), _saved(*views), np.arange(800))
    assert METRICS["log_loss"].score(y, found.prediction) > np.log(2) - 0.005


@pytest.mark.parametrize(
    ("rows", "folds", "count"), [(LEAST_ROWS - 1, 4, 3), (LEAST_ROWS, 1, 3), (LEAST_ROWS, 4, 2)]
)
def test_not_where_it_does_not_pay(rows, folds, count):
    y = np.arange(rows, dtype=float)
    dataset = _dataset(y, 0, folds)
    assert stack(dataset, _saved(*[y] * count), np.arange(rows)) is None


def _of_classes(rows=LEAST_ROWS):
    """A pool of three, with whom a stack is made."""
    y = np.arange(rows) % 2
    views = np.random.default_rng(0).uniform(0.2, 0.8, (3, rows)) + 0.2 * y
    return _dataset(y, 2), _saved(*[np.column_stack([1 - p, p]) for p in views])


def test_not_where_it_would_be_late(monkeypatch):
    dataset, pool = _of_classes()
    fits = []
    monkeypatch.setattr(stacking, "_fit", lambda *given: fits.append(given))
    assert stack(dataset, pool, np.arange(LEAST_ROWS), Deadline.after(-1)) is None
    monkeypatch.setattr(stacking, "_WORK", 1.0)  # of a second for each row, column and class
    assert stack(dataset, pool, np.arange(LEAST_ROWS), Deadline.after(60)) is None
    assert not fits


def test_a_stack_is_made_once_of_the_same_trials(monkeypatch):
    dataset, pool = _of_classes()
    made, stacks = [], {}
    monkeypatch.setattr(finish, "stack", lambda *given: made.append(given) or stack(*given))
    found = [finish.choose(dataset, some, Deadline(), stacks=stacks) for some in (pool, pool, pool[:2])]
    assert len(made) == 2
    assert found[0].stack is found[1].stack is not None
    assert found[2].stack is None


def test_a_stacked_member_predicts_what_was_selected():
    rng = np.random.default_rng(0)
    y = rng.normal(size=800)
    found = stack(_dataset(y, 0), _saved(y, y + 1, y * 2), np.arange(800))
    views = {0: 0.5, 1: 1.5, 2: 1.0}  # what each says where the truth is 0.5
    bases = [Member(1.0, "c", [Constant(np.asarray(views[one.trial]))]) for one in found.bases]
    table = Table(np.zeros((4, 1)), np.zeros((4, 0), dtype=np.int32))
    made = Stacked(bases, found.head, 0, float(y.min()), float(y.max()))
    assert made.predict(table) == pytest.approx(0.5, abs=1e-6)


def test_a_model_says_what_no_row_of_the_leaderboard_shows():
    from support.tables import fitted

    model, _ = fitted("regression", "linear")
    assert model.unlisted() == []
    made = Stacked([Member(1.0, "svm", []), Member(1.0, "linear", [])], None, 0)
    model.members.append(Member(0.18, "stack", [made]))
    stacked = "18% of the model is stacked: a linear model on svm and linear"
    assert model.unlisted() == [stacked]
    model.members.append(Member(0.112, "constant", []))
    drawn = "11% of the model is a constant, which keeps predictions from going too far"
    assert model.unlisted() == [drawn, stacked]
    model.members[:] = [Member(1.0, "constant", [])]
    assert model.unlisted() == [], "nothing is beside a constant that is all of the model"


def test_a_base_that_is_a_member_too_predicts_once():
    calls = []

    class Counting(Constant):
        def predict(self, table):
            calls.append(len(table))
            return super().predict(table)

    y = np.linspace(0, 1, 800)
    found = stack(_dataset(y, 0), _saved(y, y + 1, y * 2), np.arange(800))
    bases = [Member(1.0, "c", [Counting(np.asarray(0.5))]) for _ in found.bases]
    table, seen = Table(np.zeros((4, 1)), np.zeros((4, 0), dtype=np.int32)), {}
    made = Member(0.5, "stack", [Stacked(bases, found.head, 0, float(y.min()), float(y.max()))])
    alone = made.predict(table)
    calls.clear()
    for member in (*bases, made):
        shared = member.predict(table, seen)
    assert len(calls) == len(bases)
    assert np.array_equal(shared, alone)


class _Counted:
    """A trial's models, which write down that they are asked."""

    def __init__(self, trial, asked):
        self.trial, self.asked = trial, asked

    def predict(self, table):
        self.asked.append(self.trial)


@pytest.mark.parametrize("slow", [True, False])
def test_a_stack_that_predicts_slowly_is_left_out_before_weights_are_chosen(monkeypatch, slow):
    y = np.arange(1000) % 2
    dataset = _dataset(y, 2)
    saved = _saved(*[np.full((1000, 2), 0.5)] * 4)
    asked, stacking = [], []

    def choose(dataset, pool, deadline, *, stacked=True, stacks=None):
        stacking.append(stacked)
        bases = [saved[1], saved[2]]
        extra = [(0.3, saved[0]._replace(trial=STACK))] if stacked else []
        found = Stack(bases, None, saved[0].prediction) if stacked else None
        return Ensemble([(0.7, saved[1]), *extra], np.arange(1000), saved[0].prediction, found)

    def too_slow(models, limit):
        for _, pace in models:
            assert pace.seconds < limit * 1000
        return [i for i, (weight, _) in enumerate(models) if slow and weight == 0.3]

    monkeypatch.setattr(finish, "choose", choose)
    monkeypatch.setattr(finish, "too_slow", too_slow)
    monkeypatch.setattr(finish, "load_pipelines", lambda folder, trial: ([_Counted(trial, asked)], {}))
    search = SimpleNamespace(dataset=dataset, study=SimpleNamespace(folder=None))
    ensemble = finish.choose_quick(search, saved, Deadline(), 1.0)
    assert list(dict.fromkeys(asked)) == [1, 2]  # the member, and of the stack's bases the one that is none
    assert stacking == ([True, False] if slow else [True])
    assert (ensemble.stack is None) == slow
