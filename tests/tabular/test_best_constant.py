"""The best constant by each metric, against all others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rung.tabular.best_constant import Known, best_constant
from rung.tabular.fit import fit_table
from rung.tabular.metrics import FURTHER, METRICS, named_metric

OF_NUMBERS = [m.name for m in METRICS.values() if "regression" in m.tasks]
BY_NAME = ["mean_squared_log_error", "max_error", "d2_absolute_error_score", "pinball_0.2"]


@pytest.mark.parametrize("name", [*OF_NUMBERS, *BY_NAME])
@pytest.mark.parametrize("weighted", [False, True])
def test_no_other_value_scores_better(name: str, weighted: bool) -> None:
    rng = np.random.default_rng(3)
    y = np.exp(1.5 * rng.normal(size=301))
    weight = rng.integers(1, 4, 301).astype(float) if weighted else None
    metric = named_metric(name)
    best = best_constant(metric, Known(y, weight=weight))
    assert best.shape == ()
    others = np.concatenate([np.linspace(0, 12, 400), np.quantile(y, np.linspace(0, 1, 200))])
    losses = [metric.loss(y, np.full(len(y), other), weight) for other in others]
    assert metric.loss(y, np.full(len(y), float(best)), weight) <= min(losses) + 1e-9


def test_relative_errors_of_a_zero_count_more_than_all_others() -> None:
    assert best_constant(METRICS["mape"], Known(np.array([0.0, 3.0, 4.0, 5.0]))) == 0


def test_a_metric_that_is_not_defined_of_the_rows_has_their_mean() -> None:
    y = np.array([-3.0, 1.0, 2.0])
    assert best_constant(METRICS["rmsle"], Known(y)) == pytest.approx(0)


def test_of_a_quantiles_task_it_is_the_quantile() -> None:
    y = np.arange(101.0)
    for name in ("pinball_0.9", "mae", "rmse"):
        assert best_constant(named_metric(name), Known(y, quantile=0.9)) == pytest.approx(90)


@pytest.mark.parametrize("name", [m.name for m in (METRICS | FURTHER).values() if "binary" in m.tasks])
def test_of_two_classes_neither_scores_better(name: str) -> None:
    metric, y = named_metric(name), np.repeat([0, 1], [70, 30])
    best = np.tile(best_constant(metric, Known(y.astype(float), 2)), (100, 1))
    for said in np.eye(2):
        assert metric.loss(y, best) <= metric.loss(y, np.tile(said, (100, 1))) + 1e-12


def test_several_classes_have_their_shares() -> None:
    y = np.repeat([0.0, 1.0, 2.0], [50, 30, 20])
    best = best_constant(METRICS["f1_macro"], Known(y, 3))
    assert best.argmax() == 0
    assert best.sum() == pytest.approx(1)


def test_a_fit_is_judged_beside_the_median_by_absolute_errors() -> None:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.normal(size=200), "y": np.exp(2 * rng.normal(size=200))})
    found = fit_table(frame, "y", metric="mae", trials=1, include=["linear"], holdout=0.3)
    assert found.held is not None
    train = np.delete(frame["y"].to_numpy(), found.held.rows)
    truth = frame["y"].to_numpy()[found.held.rows]
    assert found.held.constant == pytest.approx(np.abs(truth - np.median(train)).mean())
