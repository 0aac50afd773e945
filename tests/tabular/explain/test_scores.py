"""Scores with intervals: against resampling rows one by one, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from rung.errors import DataError
from rung.tabular.explain.scores import bootstrap, chosen_metrics, determined, judge, scores
from rung.tabular.fit import fit_table
from rung.tabular.metrics import METRICS, get_metric, named_metric
from rung.tabular.model import Evidence
from rung.tabular.scoring import metric_of
from rung.tabular.task import Task
from support.tables import KINDS, fitted, table


def _drawn(kind: str, rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    if kind == "regression":
        y = rng.normal(size=rows)
        return y, y + 0.5 * rng.normal(size=rows)
    k = 2 if kind == "binary" else 4
    y = rng.integers(0, k, rows)
    p = rng.dirichlet(np.ones(k), rows) + 0.8 * np.eye(k)[y] * rng.random((rows, 1))
    return y, p / p.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    "metric", [m for m in METRICS.values() if m.name not in ("rmsle",)], ids=lambda m: m.name
)
def test_the_interval_is_that_of_drawn_rows(metric) -> None:
    """Multinomial weights, cells of the confusion matrix: as wide as 400 resamples of the rows themselves."""
    y, p = _drawn(next(kind for kind in ("multiclass", "binary", "regression") if kind in metric.tasks))
    found = bootstrap(metric, y, p, seed=1, resamples=400)
    rng = np.random.default_rng(9)
    drawn = [metric.score(y[rows], p[rows]) for rows in rng.integers(0, len(y), (400, len(y)))]
    low, high = np.quantile(drawn, [0.025, 0.975])
    width = high - low
    assert found.value == pytest.approx(metric.score(y, p))
    assert found.low <= found.value <= found.high
    assert abs(found.low - low) < 0.3 * width
    assert abs(found.high - high) < 0.3 * width


def _rare(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Few positive rows, the first one of them; a class of three rows."""
    if name == "average_precision":
        rng = np.random.default_rng(0)
        y = (rng.random(60) < 0.15).astype(int)
        p = np.clip(0.2 + 0.25 * y + rng.normal(0, 0.2, 60), 0.001, 0.999)
        y[p.argmax()] = 1
        return y, np.column_stack([1 - p, p])
    y = np.repeat([0, 1, 2], [60, 37, 3])
    said = np.where(np.arange(100) < 6, 1, y)
    return y, np.eye(3)[said]


@pytest.mark.parametrize("name", ["average_precision", "f1_macro", "auc_ovr"])
@pytest.mark.parametrize("weighted", [False, True])
def test_what_was_not_drawn_is_not_of_the_resample(name: str, weighted: bool) -> None:
    """Precision ahead of the first row drawn is none, and a class that was not drawn is not missed."""
    y, p = _rare(name)
    metric, rng = METRICS[name], np.random.default_rng(9)
    found = bootstrap(metric, y, p, resamples=400, weight=np.ones(len(y)) if weighted else None)
    draws = [rows for rows in rng.integers(0, len(y), (400, len(y))) if determined(metric, y[rows])]
    low, high = np.quantile([metric.score(y[rows], p[rows]) for rows in draws], [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))


def _own_f1(true: np.ndarray, said: np.ndarray) -> float:
    return float(f1_score(true, said))


def _own_brier(true: np.ndarray, p: np.ndarray) -> float:
    return float(((p[:, 1] - true) ** 2).mean())


_own_brier.needs = "probabilities"


@pytest.mark.parametrize(("own", "name"), [(_own_f1, "f1"), (_own_brier, "brier")])
def test_a_function_that_takes_no_weights_has_the_interval_of_rungs_own(own, name: str) -> None:
    y, p = _drawn("binary")
    found, same = bootstrap(metric_of(own, "binary"), y, p), bootstrap(METRICS[name], y, p)
    assert found.value == pytest.approx(same.value)
    width = same.high - same.low
    assert (found.low, found.high) == pytest.approx((same.low, same.high), abs=0.2 * width)


def test_a_scorer_that_takes_no_weights_has_an_interval() -> None:
    y, v = _drawn("regression")
    found = bootstrap(get_metric("max_error", Task("regression", (), "")), y, v)
    assert found.low < found.value == found.high


def test_values_are_scikit_learns() -> None:
    y, p = _drawn("binary")
    said = p.argmax(axis=1)
    assert bootstrap(METRICS["auc"], y, p).value == pytest.approx(roc_auc_score(y, p[:, 1]))
    assert bootstrap(METRICS["accuracy"], y, p).value == pytest.approx(accuracy_score(y, said))
    assert bootstrap(METRICS["f1"], y, p).value == pytest.approx(f1_score(y, said))


def test_intervals_cover_the_truth() -> None:
    """An accuracy of 0.8 known beforehand, 150 samples of 200 rows: at most a few intervals miss it."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(150):
        y = rng.integers(0, 2, 200)
        said = np.where(rng.random(200) < 0.8, y, 1 - y)
        found = bootstrap(METRICS["accuracy"], y, np.eye(2)[said])
        held += found.low <= 0.8 <= found.high
    assert held >= 132  # binomial: 0.95 of 150, and less than this by chance once in 3,000


def test_the_seed_decides() -> None:
    y, p = _drawn("binary")
    assert bootstrap(METRICS["auc"], y, p, 3) == bootstrap(METRICS["auc"], y, p, 3)
    assert bootstrap(METRICS["auc"], y, p, 3) != bootstrap(METRICS["auc"], y, p, 4)


def test_one_class_has_no_auc() -> None:
    found = bootstrap(METRICS["auc"], np.ones(5, dtype=int), np.full((5, 2), 0.5))
    assert np.isnan(found).all()
    assert not determined(METRICS["accuracy"], np.empty(0))
    assert determined(METRICS["rmsle"], np.array([-0.5, 3.0]))
    assert not determined(METRICS["rmsle"], np.array([-2.0, 3.0]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_metric_of_the_task_beside_a_constant(kind: str) -> None:
    model, _ = fitted(kind)
    judged = judge(model, table(kind, 200, seed=5))
    found = {s.metric.name: s for s in scores(judged, chosen_metrics(model.task, first="accuracy"))}
    twice = {"auc_ovr"} if kind == "binary" else set()  # the AUC of two classes
    assert set(found) == {m.name for m in METRICS.values() if kind in m.tasks} - twice
    best = found["r2" if kind == "regression" else "log_loss"]
    assert best.metric.greater_is_better is (best.model.value > best.constant), "better than a constant"
    if kind == "regression":
        assert best.constant == pytest.approx(0, abs=1e-9)


def test_metrics_are_chosen_by_name_or_sorted() -> None:
    model, _ = fitted("binary")
    names = [m.name for m in chosen_metrics(model.task, ["roc_auc", "logloss", "auc"])]
    assert names == ["auc", "log_loss"]
    assert chosen_metrics(model.task, first="mcc")[0].name == "mcc"
    with pytest.raises(DataError, match="is for regression"):
        chosen_metrics(model.task, ["rmse"])


def test_rows_with_an_empty_target_are_left_out() -> None:
    model, frame = fitted("binary")
    y = frame["y"].astype(object)
    y[:7] = None
    judged = judge(model, frame.assign(y=y))
    assert (len(judged.y), judged.empty) == (113, 7)
    assert judged.rows[0] == 7
    assert judged.prediction == pytest.approx(model.raw(frame.iloc[7:]))


def test_an_unknown_class_is_one_clear_sentence() -> None:
    model, frame = fitted("binary")
    odd = frame.assign(y=["perhaps"] * 3 + ["never"] + frame["y"].tolist()[4:])
    with pytest.raises(DataError) as caught:
        judge(model, odd)
    assert str(caught.value).startswith(
        "column 'y' holds 'perhaps' in 3 rows and 1 other, a class that the model does not know (it knows "
        "'no' and 'yes'): leave such rows out"
    )


def test_a_row_in_a_hundred_of_an_unknown_class_is_left_out() -> None:
    model, frame = fitted("binary")
    judged = judge(model, frame.assign(y=["perhaps", *frame["y"].tolist()[1:]]))
    assert (len(judged.y), judged.empty, judged.unknown) == (119, 0, 1)
    assert judged.rows[0] == 1
    assert judge(model, frame).unknown == 0


def test_what_cannot_be_judged_is_one_sentence() -> None:
    model, frame = fitted("regression")
    with pytest.raises(DataError, match="no column 'y', which holds the truth"):
        judge(model, frame.drop(columns="y"))
    with pytest.raises(DataError, match="'y' is empty in all 120 rows"):
        judge(model, frame.assign(y=np.nan))
    with pytest.raises(DataError, match="'many', which is no number"):
        judge(model, frame.assign(y=["many"] * 120))


def test_training_rows_are_recognised() -> None:
    model, frame = fitted("binary")
    y = model.task.encode(frame["y"])
    assert not judge(model, frame).trained
    model.evidence = Evidence(np.arange(120), y, model.raw(frame))
    assert judge(model, frame).trained
    assert judge(model, frame).learned
    assert not judge(model, frame.iloc[::-1]).trained
    assert not judge(model, table("binary", 300, seed=8)).trained
    assert judge(model, pd.concat([frame, frame])).trained


def test_factors_of_the_classes_count_for_labels_only() -> None:
    model, _ = fitted("binary")
    new = table("binary", 200, seed=5)
    model.factors = np.array([1.0, 9.0])
    judged = judge(model, new)
    found = {s.metric.name: s.model.value for s in scores(judged, chosen_metrics(model.task))}
    y = model.task.encode(new["y"])
    assert found["recall"] == pytest.approx((model.codes(model.raw(new))[y == 1] == 1).mean())
    assert found["recall"] > (model.raw(new).argmax(axis=1)[y == 1] == 1).mean()
    assert found["auc"] == pytest.approx(roc_auc_score(y, model.raw(new)[:, 1]))


@pytest.mark.parametrize(("kind", "name"), [("binary", "auc"), ("binary", "accuracy"), ("regression", "mae")])
def test_a_weight_of_three_is_three_rows(kind: str, name: str) -> None:
    model, _ = fitted(kind)
    new = table(kind, 200, seed=5)
    times = np.random.default_rng(3).integers(0, 4, len(new))
    weighted = judge(model, new, times / times.mean())
    repeated = judge(model, new.loc[new.index.repeat(times)].reset_index(drop=True))
    (one,), (other,) = (scores(judged, [METRICS[name]]) for judged in (weighted, repeated))
    assert one.model.value == pytest.approx(other.model.value)
    assert one.constant == pytest.approx(other.constant)
    assert one.model.low < one.model.value < one.model.high
    even = bootstrap(METRICS[name], weighted.y, weighted.prediction)
    assert one.model.value != pytest.approx(even.value)
    assert one.model.high - one.model.low > even.high - even.low, "uneven weights are worth fewer rows"


def test_rows_without_weight_say_nothing() -> None:
    y, p = _drawn("binary")
    found = bootstrap(METRICS["auc"], y, p, weight=(y == 1).astype(float))
    assert np.isnan(found).all(), "the other class has no weight"


def test_a_quantiles_constant_is_the_quantile() -> None:
    """The mean made a model of the quantile .9 look four times as good as it was."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=400)})
    frame["y"] = frame.x + rng.exponential(size=400)
    model = fit_table(frame, "y", task="quantile:0.9", trials=1, include=["lightgbm"]).model
    for name in ("pinball_0.9", "mae"):
        constant = judge(model, frame).constant(named_metric(name))
        assert constant == pytest.approx(np.full(400, np.quantile(model.evidence.y, 0.9)))


def test_each_metric_has_its_own_constant() -> None:
    model, frame = fitted("regression")
    found = {s.metric.name: s.constant for s in scores(judge(model, frame), chosen_metrics(model.task))}
    y = frame["y"].to_numpy()
    assert found["rmse"] == pytest.approx(y.std())
    assert found["mae"] == pytest.approx(np.abs(y - np.median(y)).mean())
