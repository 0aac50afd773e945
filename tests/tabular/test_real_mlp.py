"""Networks of several folds are trained side by side, each its whole way in the time that there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.evaluate import quietly
from rung.tabular.learners import real_mlp_training
from rung.tabular.learners.base import Fold, Setting
from rung.tabular.learners.real_mlp import REAL_MLP
from rung.tabular.learners.rounds import Portion
from rung.tabular.learners.table import learners
from rung.tabular.pipeline import Constant, Order, Part, fit_pipeline, fit_pipelines

pytest.importorskip("torch")
CONFIG = {**REAL_MLP.defaults[0], "width": 16, "layers": 2}


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(real_mlp_training, "_EPOCHS", 40)


def _fold(seed: int, rows: int = 90, columns: int = 3, classes: int = 2, **known: float) -> Fold:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, columns))
    y = (X[:, 0] > 0).astype(float) if classes == 2 else np.arange(rows) % classes * 1.0
    return Fold(X, y, Setting(classes, seed=5, known=known))


def _many(*folds: Fold):
    with quietly():
        return REAL_MLP.fit_many(CONFIG, folds)


def test_nothing_passes_from_one_network_to_another():
    first, second, other = _fold(1), _fold(2), _fold(3)
    X = np.random.default_rng(9).normal(size=(40, 3))
    beside_one, beside_other = _many(first, second), _many(first, other)
    one, again = (two[0].estimator.predict_proba(X) for two in (beside_one, beside_other))
    assert one == pytest.approx(again, abs=1e-6)
    assert np.mean(one[:, 1].round() == (X[:, 0] > 0)) > 0.85
    assert beside_one[1].estimator.predict_proba(X) != pytest.approx(one, abs=1e-3)


def test_folds_that_differ_in_columns_or_classes_are_trained_apart():
    wide, three = _fold(1, columns=5), _fold(2, classes=3)
    found = _many(_fold(1), wide, three)
    assert [len(one.estimator.scale) for one in found] == [3, 5, 3]
    assert found[2].estimator.predict_proba(three.X).shape == (90, 3)


def test_how_far_to_go_is_learned_in_the_first_fold_and_told_to_the_others(monkeypatch):
    went = []
    run = real_mlp_training.Training.run

    def watched(self, valid, share):
        found = run(self, valid, share)
        went.append((len(self.counts), valid is not None, share, found))
        return found

    monkeypatch.setattr(real_mlp_training.Training, "run", watched)
    folds = [_fold(seed, rows=320) for seed in range(3)]
    found = _many(*folds)
    (alone, looked, whole, share), (others, blind, told, _) = went
    assert (alone, looked, whole, others, blind) == (1, True, 1.0, 2, False)
    assert told == share <= 1.0
    assert [one.known["share"] for one in found] == [share] * 3


def _three_classes(rows: int, seed: int, **known: float) -> Fold:
    """Of one column that tells them apart, three columns in all."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 3))
    return Fold(X, np.digitize(X[:, 0], [-0.4, 0.4]).astype(float), Setting(3, seed=5, known=known))


def _log_loss(fold: Fold, estimator) -> float:
    p = estimator.predict_proba(fold.X)[np.arange(len(fold.y)), fold.y.astype(int)]
    return float(-np.log(p).mean())


def test_networks_of_smoothed_labels_are_made_as_sure_as_they_should_be():
    folds, new = [_three_classes(900, seed) for seed in range(2)], _three_classes(2_000, 7)
    with quietly():
        found = REAL_MLP.fit_many({**CONFIG, "smoothing": 0.2}, folds)
        blunt = REAL_MLP.fit_many({**CONFIG, "smoothing": 0.2}, [_three_classes(900, 1, **_plain(found))])
    sharpness = found[0].known["sharpness"]
    assert sharpness > 1.2, "a fifth of each label lies on the other classes"
    assert found[1].known == found[0].known
    assert _log_loss(new, found[1].estimator) < 0.8 * _log_loss(new, blunt[0].estimator)
    assert found[1].estimator.weights[-1] == pytest.approx(
        sharpness * blunt[0].estimator.weights[-1], rel=1e-4
    )


def _plain(found) -> dict[str, float]:
    return {"share": found[0].known["share"], "sharpness": 1.0}


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_labels_are_smoothed_where_there_are_more_than_two_classes(classes):
    fold = _fold(1, classes=max(classes, 2))
    known = Setting(classes, seed=5, known={"share": 0.2})
    plain, smoothed = (
        REAL_MLP.fit({**CONFIG, "smoothing": smoothing}, fold.X, fold.y, known).estimator
        for smoothing in (0.0, 0.1)
    )
    same = all(np.array_equal(a, b) for a, b in zip(plain.weights, smoothed.weights, strict=True))
    assert same == (classes <= 2)


def test_a_configuration_of_before_there_was_smoothing_is_one_without():
    fold = _fold(1, classes=3)
    before = {name: value for name, value in CONFIG.items() if name != "smoothing"}
    old, plain = (
        REAL_MLP.fit(config, fold.X, fold.y, Setting(3, seed=5, known={"share": 0.2})).estimator
        for config in (before, {**before, "smoothing": 0.0})
    )
    assert all(np.array_equal(a, b) for a, b in zip(old.weights, plain.weights, strict=True))


def test_the_loss_on_smoothed_labels_is_the_mean_over_classes():
    fold = _three_classes(400, 1)
    training = real_mlp_training.Training(
        {**CONFIG, "smoothing": 0.3}, [Portion(fold.X, fold.y, None)], fold.setting, Deadline()
    )
    torch = pytest.importorskip("torch")
    out, y = torch.tensor([[[2.0, 0.0, -1.0]]]), torch.tensor([[0]])
    logs = out[0, 0].numpy() - np.log(np.exp(out[0, 0].numpy()).sum())
    expected = -(0.7 * logs[0] + 0.3 * logs.mean())
    assert float(training._losses(out, y, 0.3)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("before", [False, True])
def test_numbers_too_small_to_matter_are_zero_while_networks_are_trained(monkeypatch, before):
    torch = pytest.importorskip("torch")
    tiny, seen = torch.tensor([1e-39, 2e-39]), []
    step = real_mlp_training.Training._step
    monkeypatch.setattr(
        real_mlp_training.Training,
        "_step",
        lambda self, *given: (step(self, *given), seen.append(float((tiny * 1.5).sum()))),
    )
    torch.set_flush_denormal(before)
    try:
        _many(_fold(1))
        after = float((tiny * 1.5).sum())
    finally:
        torch.set_flush_denormal(False)
    assert set(seen) == {0.0}
    assert (after == 0.0) == before, "as it was before"


def test_where_time_is_short_the_learning_rate_falls_to_its_end_all_the_same(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(real_mlp_training.time, "monotonic", lambda: next(clock) * 0.1)
    monkeypatch.setattr(Deadline, "remaining", property(lambda self: 8.0))
    monkeypatch.setattr(Deadline, "passed", property(lambda self: False))
    fold = _fold(1, rows=320)
    rows = Portion(fold.X, fold.y, None)
    training = real_mlp_training.Training(CONFIG, [rows], fold.setting, Deadline(1e9))
    rates = []
    step = training._step
    monkeypatch.setattr(training, "_step", lambda *a: (step(*a), rates.append(a[1])))
    assert training.run(None, 1.0) == 1.0
    assert len(rates) == pytest.approx(60, abs=2), "three quarters of 8 s, a tenth each"
    assert rates[-1] > 0.95
    assert not training.cut


@pytest.mark.parametrize("name", ["linear", "real_mlp"])
def test_several_pipelines_at_once_are_those_of_one_after_the_other(name):
    rng = np.random.default_rng(0)
    table = Table(rng.normal(size=(120, 3)), np.empty((120, 0), dtype=np.int32))
    y = (table.numbers[:, 0] > 0).astype(float)
    learner = learners()[name]
    config = {**next(iter(learner.defaults)), "encoding": "onehot", "scale": "standard"}
    order = Order(learner, config, [], 0, Deadline(), {"share": 0.4})
    parts = [Part(order, table, y), Part(order, table, np.zeros(120)), Part(order, table, y)]
    with quietly():
        first, constant, _ = fit_pipelines(parts, 2)
        alone = fit_pipeline(*parts[0], 2)
    assert isinstance(constant.pipeline, Constant)
    said, alone_said = (one.pipeline.predict(table)[:, 1].round() for one in (first, alone))
    assert np.mean(said == y) > 0.9
    assert np.mean(said == alone_said) > 0.95
