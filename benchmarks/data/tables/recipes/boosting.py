"""LightGBM on rows of a real table: six parameters, trees as the fidelity."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.data.tables.recipes import Axis, Curves, Recipe
from benchmarks.data.tables.recipes._tables import Split, split

STEPS: Final = tuple(range(10, 271, 10))  # trees
SIZES: Final = (4000, 4000, 4000)  # rows to train, to validate, to test


def boost(data: Split, config: Mapping[str, Any], steps: Sequence[int], seed: int) -> list[list[float]]:
    """One training: mean squared errors on the validation and on the test part and seconds, at each step."""
    import lightgbm as lgb

    settings = {
        **config,
        "objective": "regression",
        "metric": "l2",
        "bagging_freq": 1,
        "num_threads": 1,
        "seed": seed,
        "verbose": -1,
    }
    train = lgb.Dataset(data.train.x, data.train.y, params=settings)
    parts = [train.create_valid(part.x, part.y) for part in (data.valid, data.test)]
    seen: dict[str, dict[str, list[float]]] = {}
    began, ends = time.perf_counter(), []
    lgb.train(
        settings,
        train,
        steps[-1],
        parts,
        ["valid", "test"],
        callbacks=[lgb.record_evaluation(seen), lambda _: ends.append(time.perf_counter() - began)],
    )
    at = np.asarray(steps) - 1
    seconds = np.diff(np.asarray(ends)[at], prepend=0.0)
    return [np.asarray(seen[part]["l2"])[at].tolist() for part in ("valid", "test")] + [seconds.tolist()]


def train(configs: Sequence[Mapping[str, Any]], seed: int) -> Curves:
    """One after another; a training is the same whatever it is grouped with."""
    data = split("cal_housing", True, SIZES)
    found = np.array([boost(data, config, STEPS, seed) for config in configs])  # (configs, 3, steps)
    return Curves(found[:, 0], found[:, 1], found[:, 2])


ENTRIES: Final = {
    "lightgbm": Recipe(
        axes={
            "num_leaves": Axis((4, 12, 36, 108), "whole"),
            "learning_rate": Axis((0.01, 0.03, 0.1, 0.3), "log"),
            "min_data_in_leaf": Axis((2, 10, 50), "whole"),
            "feature_fraction": Axis((0.4, 0.7, 1.0), "linear"),
            "bagging_fraction": Axis((0.4, 0.7, 1.0), "linear"),
            "lambda_l2": Axis((0.01, 1.0, 100.0), "log"),
        },
        resource="trees",
        steps=STEPS,
        train=train,
        group=27,
        what="LightGBM on 4,000 rows of California housing (StatLib; Pace and Barry 1997), 4,000 others each "
        "to validate and to test; mean squared error over the variance of the target",
    )
}
