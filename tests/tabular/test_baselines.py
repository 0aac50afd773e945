"""The reference beside a fit's score: LightGBM as it comes, of the same task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rung.tabular.baselines import lightgbm_prediction
from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.encode import Table
from rung.tabular.splits import make_split


def _dataset(metric: str, **more: object) -> Dataset:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(600, 2))
    y = 2 * numbers[:, 0] + rng.exponential(2, size=600)
    table = Table(numbers, np.empty((600, 0), np.int32))
    return Dataset(table, y, 0, [], make_split(y, 0, 3, 0.2, 0), metric, 0, **more)


def test_of_a_quantile_it_predicts_the_quantile() -> None:
    dataset = _dataset("pinball_0.9", quantile=0.9)
    found = lightgbm_prediction(dataset, dataset.table, Deadline())
    assert found is not None
    assert (dataset.y < found).mean() == pytest.approx(0.9, abs=0.03)


def test_rows_without_weight_are_not_learned_from() -> None:
    weight = np.where(np.arange(600) < 300, 2.0, 0.0)
    dataset = _dataset("rmse", weight=weight)
    other = replace(dataset, y=np.where(weight > 0, dataset.y, -dataset.y))
    found, same = (lightgbm_prediction(one, dataset.table, Deadline()) for one in (dataset, other))
    assert found == pytest.approx(same, abs=1e-4)
