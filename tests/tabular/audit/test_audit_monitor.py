"""A model in use: whether it is said to be refitted where it must be, and not where it need not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rung.tabular.audit.monitor import watch
from rung.tabular.audit.profile import make_profile
from rung.tabular.columns import infer_columns
from rung.tabular.encode import encode
from rung.tabular.metrics import get_metric
from rung.tabular.model import Evidence, Member, Model
from rung.tabular.task import Task


class Rule:
    """Stands for a fitted member: predicts from the first column of numbers."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def predict(self, table: object) -> np.ndarray:
        x = np.nan_to_num(table.numbers[:, 0])
        if self.kind == "regression":
            return 2 * x
        if self.kind == "binary":
            p = 1 / (1 + np.exp(-2 * x))
            return np.column_stack([1 - p, p])
        scores = np.exp(np.column_stack([-x, np.zeros(len(x)), x]))
        return scores / scores.sum(axis=1, keepdims=True)


def member(pipelines: list[object]) -> Member:
    return Member(1.0, "rule", pipelines, {"learner": "rule"})


def table(kind: str, n: int = 1500, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "colour": rng.choice(["red", "blue"], n)})
    noisy = frame.x + 0.5 * rng.normal(size=n)
    if kind == "regression":
        return frame.assign(y=2 * noisy)
    if kind == "binary":
        return frame.assign(y=np.where(noisy > 0, "yes", "no"))
    return frame.assign(y=np.select([noisy < -0.5, noisy > 0.5], ["a", "c"], "b"))


CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
METRICS = {"binary": "auc", "multiclass": "log_loss", "regression": "rmse"}


def fitted(kind: str) -> Model:
    frame = table(kind)
    columns = infer_columns(frame, "y")
    encoder, _ = encode(frame, columns)
    model = Model(
        Task(kind, CLASSES[kind], ""), encoder, [member([Rule(kind)])], "y", {"metric": METRICS[kind]}
    )
    raw = model.raw(frame)
    model.evidence = Evidence(np.arange(len(frame)), model.task.encode(frame.y), raw)
    model.profile = make_profile(frame, columns)
    return model


KINDS = pytest.mark.parametrize("kind", list(CLASSES))


@KINDS
def test_where_nothing_changed_there_is_no_need(kind: str) -> None:
    found = watch(fitted(kind), table(kind, seed=1))
    assert not found.refit
    assert not found.drifted
    assert found.verdict.startswith("No need to refit: ")
    assert found.decay is not None
    assert found.decay.metric == METRICS[kind]
    assert found.decay.now.low <= found.decay.now.value <= found.decay.now.high


@KINDS
def test_where_the_score_fell_it_is_refitted(kind: str) -> None:
    new = table(kind, seed=1)
    new["y"] = np.random.default_rng(3).permutation(new.y)
    found = watch(fitted(kind), new)
    assert found.refit
    assert found.drifted
    assert found.decay is not None
    assert found.decay.worse
    assert found.verdict.startswith("Refit with the new rows: ")


@KINDS
def test_drift_without_a_target(kind: str) -> None:
    new = table(kind, seed=1).drop(columns="y").assign(x=lambda f: f.x + 2)
    found = watch(fitted(kind), new)
    assert found.refit
    assert found.decay is None
    assert found.predictions is not None
    assert found.predictions.level == 2
    assert found.verdict.startswith("Refit once the new rows have their target: x has drifted and the pred")
    assert any("no column 'y'" in note for note in found.notes)


class Memory(Rule):
    """A fold's model that has learned from chance, too: each fold's is another."""

    def __init__(self, kind: str, fold: int) -> None:
        super().__init__(kind)
        self.fold = fold

    def predict(self, table: object) -> np.ndarray:
        x = np.nan_to_num(table.numbers[:, 0])
        return super().predict(SimpleNamespace(numbers=np.c_[x + 2 * np.sin(40 * x + 7 * self.fold**2)]))


@KINDS
@pytest.mark.parametrize("repeats", [1, 2])
def test_predictions_of_many_models_are_compared_with_those_of_as_few(kind: str, repeats: int) -> None:
    model, folds = fitted(kind), 5
    pipelines = [Memory(kind, i) for i in range(folds * repeats)]
    whole = Member(0.5, "rule", [Rule(kind)], {"learner": "rule"})
    model.members = [whole, replace(member(pipelines), weight=0.5)]
    model.notes |= {"folds": folds, "repeats": repeats}
    old = model.encoder.transform(table(kind))
    fold = np.arange(len(old)) % folds
    each = [pipelines[i].predict(old) for i in range(folds * repeats)]
    unseen = [[each[f + folds * r][i] for r in range(repeats)] for i, f in enumerate(fold)]
    assert model.evidence is not None
    model.evidence.prediction = np.mean(unseen, axis=1)
    found = watch(model, table(kind, seed=1).drop(columns="y"))
    assert found.predictions is not None
    assert found.predictions.level == 0
    assert not found.drifted
    moved = watch(model, table(kind, seed=1).assign(x=lambda f: f.x + 2).drop(columns="y")).predictions
    assert moved is not None
    assert moved.level == 2


def test_drift_that_does_not_hurt() -> None:
    new = table("binary", seed=1).assign(colour="red")
    found = watch(fitted("binary"), new)
    assert not found.refit
    assert found.drifted
    assert found.verdict.startswith("No need to refit yet: colour has drifted, but auc is ")


def test_columns_that_drift_together_and_not_by_themselves() -> None:
    old, new = table("binary"), table("binary", seed=1)
    rng = np.random.default_rng(0)
    old["double"], new["double"] = (
        2 * old.x + 0.1 * rng.normal(size=len(old)),
        rng.permutation(2 * new.x),
    )
    model = fitted("binary")
    model.profile = make_profile(old, infer_columns(old, "y"))
    found = watch(model, new.drop(columns="y"))
    assert found.refit
    assert found.verdict.endswith("the columns have drifted together, though none by itself.")


def test_a_better_score_is_no_decay() -> None:
    new = table("regression", seed=1).assign(y=lambda f: 2 * f.x)
    found = watch(fitted("regression"), new)
    assert found.decay is not None
    assert found.decay.change[1] < 0
    assert not found.decay.worse


def test_the_interval_holds_the_score_of_new_rows_about_as_often_as_it_says() -> None:
    from rung.tabular.audit import monitor

    rng = np.random.default_rng(0)
    metric = get_metric("mae", Task("regression", (), ""))
    hits = 0
    for seed in range(60):
        y = rng.normal(size=200)
        scores = monitor._resampled(metric, y, np.zeros(200), None, seed)
        low, high = np.quantile(scores, [0.025, 0.975])
        hits += low <= np.sqrt(2 / np.pi) <= high
    assert hits >= 50


def test_fewer_rows_are_drawn_of_long_tables_and_the_interval_is_as_narrow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rung.tabular.audit import monitor

    metric = get_metric("mae", Task("regression", (), ""))
    y = np.random.default_rng(0).normal(size=4000)
    whole = monitor._resampled(metric, y, np.zeros(4000), None, 0).std()
    monkeypatch.setattr(monitor, "_MOST", 400)
    assert monitor._resampled(metric, y, np.zeros(4000), None, 0).std() == pytest.approx(whole, rel=0.2)


def test_a_model_of_an_earlier_version() -> None:
    model = fitted("binary")
    model.profile = None
    found = watch(model, table("binary", seed=1))
    assert found.drift is None
    assert found.decay is not None
    assert any("no profile" in note for note in found.notes)
    model.evidence = None
    assert watch(model, table("binary", seed=1)).verdict.startswith("Nothing can be told")


def test_few_rows_with_a_target_are_not_scored() -> None:
    new = table("binary", seed=1)
    new.loc[new.index[10:], "y"] = None
    found = watch(fitted("binary"), new)
    assert found.decay is None
    assert any("only 10 rows with a target" in note for note in found.notes)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_a_class_that_the_model_does_not_know_is_a_reason_to_refit(kind: str) -> None:
    new = table(kind, seed=1)
    without = watch(fitted(kind), new.iloc[150:])
    new.loc[new.index[:150], "y"] = "d"
    found = watch(fitted(kind), new)
    assert found.refit
    assert found.drifted
    assert found.verdict.startswith(
        "Refit with the new rows: 150 rows of 1,500 (10.0 %) are of the class 'd', which the model does not "
        "know; the target has drifted (PSI "
    )
    assert found.unknown == (150, 1500, ("d",))
    assert any(
        note.startswith("column 'y' holds 'd' in 150 rows, a class that the model does not")
        for note in found.notes
    )
    assert found.decay == without.decay, "the others are judged as if they were alone"
    assert found.target is not None
    assert found.target.level == 2


def test_a_few_labels_that_the_model_does_not_know_are_said() -> None:
    new = table("binary", seed=1)
    new.loc[new.index[:15], "y"] = ["Yes"] * 8 + ["No"] * 7
    found = watch(fitted("binary"), new)
    assert not found.refit
    assert not found.drifted
    assert found.decay is not None
    assert found.decay.now.rows == 1485
    assert any("holds 'Yes' in 8 rows and 1 other, a class that" in note for note in found.notes)


def test_where_no_label_is_known_there_is_no_score() -> None:
    new = table("binary", seed=1)
    found = watch(fitted("binary"), new.assign(y=new.y.str.upper()))
    assert found.decay is None
    assert "1,500 rows of 1,500 (100 %) are of classes 'NO', 'YES', which" in found.verdict
    assert any(note.startswith("only 0 rows with a class that the model knows") for note in found.notes)


def test_a_class_of_four_rows_cannot_be_learned() -> None:
    new = table("binary", seed=1).head(100)
    new.loc[new.index[:4], "y"] = "maybe"
    found = watch(fitted("binary"), new)
    assert not found.unknown.many
    assert not found.refit
    assert found.decay is not None
    assert found.decay.now.rows == 96


def test_one_class_tells_nothing_of_a_ranking() -> None:
    new = table("binary", seed=2)
    found = watch(fitted("binary"), new[new.y == "no"])
    assert found.decay is None
    assert any("auc tells nothing" in note for note in found.notes)


def test_resamples_of_one_class_are_no_ranking_by_chance() -> None:
    """Two rows of a class: every seventh resample has none of them."""
    new = table("binary", seed=2)
    best = new[new.y == "yes"].nlargest(2, "x")
    found = watch(fitted("binary"), pd.concat([new[new.y == "no"].head(200), best]))
    assert found.decay is not None
    assert found.decay.now.low > 0.9


def test_labels_are_judged_as_the_model_says_them() -> None:
    model = fitted("binary")
    model.notes["metric"] = "accuracy"
    model.factors = np.array([1.0, 1e9])
    new = table("binary", seed=1)
    decay = watch(model, new).decay
    assert decay is not None
    assert decay.now.value == pytest.approx((new.y == "yes").mean())


def test_a_metric_of_the_users_is_replaced_and_it_is_said() -> None:
    model = fitted("binary")
    model.notes["metric"] = "my own"
    found = watch(model, table("binary", seed=1))
    assert found.decay is not None
    assert found.decay.metric == "auc"
    assert any("'my own'" in note for note in found.notes)


@KINDS
def test_the_training_table_itself_tells_nothing(kind: str) -> None:
    """A model's predictions of its own rows differ from those out of fold: that is no drift."""
    model = fitted(kind)
    assert model.evidence is not None
    shifted = model.evidence.prediction * 0.5 + (0.25 if kind == "binary" else 0.0)
    model.evidence = Evidence(model.evidence.rows, model.evidence.y, shifted)
    found = watch(model, table(kind))
    assert found.verdict.startswith("Nothing can be told: the model was fitted on these very rows")
    assert not found.refit
    assert not found.drifted
    assert found.predictions is found.decay is None
    moved = watch(model, table(kind).assign(x=lambda f: f.x + 3))
    assert "x has drifted" in moved.verdict, "the same targets beside other cells are new rows"
