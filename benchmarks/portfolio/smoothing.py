"""Smoothed labels of networks with many classes: `python -m benchmarks.portfolio.smoothing [TABLE ...]`.

For each table and share of a label that the other classes have: the log loss out of fold (three folds, as
the search sees it), the same at its best temperature, and the loss on test rows of the folds' mean, which
predicts in the end. Means over three ways to make the folds; seconds for one of them on one core.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from benchmarks.cash.tables import Table, chosen, split
from rung.tabular.deadline import Deadline
from rung.tabular.decide import fit_temperature, tempered
from rung.tabular.encode import Table as Cells
from rung.tabular.evaluate import quietly
from rung.tabular.learners.real_mlp import REAL_MLP
from rung.tabular.metrics import METRICS
from rung.tabular.pipeline import Order, Part, fit_pipelines

_SHARES: Final = (0.0, 0.05, 0.1, 0.2)
_FOLDS, _SEEDS = 3, (0, 1, 2)
_SECONDS: Final = 60.0  # for the networks of all folds, at most
_LOG_LOSS: Final = METRICS["log_loss"]


class Rows(NamedTuple):
    """Cells and classes (codes) of the training and the test rows."""

    train: Cells
    y: np.ndarray
    test: Cells
    y_test: np.ndarray


def main(names: list[str]) -> None:
    print(f"{'table':14s} {'smoothing':>9s} {'held out':>9s} {'tempered':>9s} {'test':>9s} {'seconds':>8s}")
    for table in chosen(names):
        if table.task != "multiclass":
            print(f"{table.name:14s} has not more than two classes: nothing is smoothed")
            continue
        rows = _rows(table)
        for share in _SHARES:
            found = np.mean([_losses(rows, share, seed) for seed in _SEEDS], axis=0)
            held, sure, test, seconds = found
            line = f"{table.name:14s} {share:9.2f} {held:9.4f} {sure:9.4f} {test:9.4f} {seconds:8.1f}"
            print(line, flush=True)


def _rows(table: Table) -> Rows:
    parts = split(table, 0)
    both = pd.concat([parts.train.drop(columns=table.target), parts.test])
    cells = pd.get_dummies(both.fillna(both.median(numeric_only=True))).to_numpy(float)
    first, second = np.split(cells, [len(parts.train)])
    y, classes = pd.factorize(parts.train[table.target], sort=True)
    return Rows(_cells(first), y, _cells(second), pd.Categorical(parts.y, categories=classes).codes)


def _cells(numbers: np.ndarray) -> Cells:
    return Cells(numbers, np.empty((len(numbers), 0), dtype=np.int32))


def _losses(rows: Rows, share: float, seed: int) -> tuple[float, float, float, float]:
    config: dict[str, Any] = {
        **REAL_MLP.defaults[0],
        "smoothing": share,
        "scale": "smooth",
        "balance": "none",
    }
    classes, y = int(rows.y.max()) + 1, rows.y.astype(float)
    folds = list(StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(y, rows.y))
    order = Order(REAL_MLP, config, [], seed, Deadline.after(_SECONDS), {})
    began = time.monotonic()
    with quietly():
        found = fit_pipelines([Part(order, rows.train.take(some), y[some]) for some, _ in folds], classes)
    seconds = time.monotonic() - began
    held = np.empty((len(y), classes))
    for one, (_, other) in zip(found, folds, strict=True):
        held[other] = one.pipeline.predict(rows.train.take(other))
    test = np.mean([one.pipeline.predict(rows.test) for one in found], axis=0)
    sure = tempered(held, fit_temperature(held, rows.y, _LOG_LOSS))
    losses = _LOG_LOSS.loss(rows.y, held), _LOG_LOSS.loss(rows.y, sure), _LOG_LOSS.loss(rows.y_test, test)
    return *losses, seconds


if __name__ == "__main__":
    main(sys.argv[1:])
