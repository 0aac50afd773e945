"""Small tables with every kind of column, and fitted models and results for them, made without a search."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rung.tabular.columns import infer_columns
from rung.tabular.deadline import Deadline
from rung.tabular.encode import encode
from rung.tabular.evaluate import quietly
from rung.tabular.learners.table import defaults, learners
from rung.tabular.metrics import get_metric
from rung.tabular.model import Member, Model
from rung.tabular.pipeline import Order, fit_pipeline
from rung.tabular.result import FitResult, Held, Progress, Row
from rung.tabular.task import Task, guess_task

KINDS = ("binary", "multiclass", "regression")


def table(kind: str, rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """Numbers, words, text, dates and missing cells; the target is `y`, mostly made by `a` and `b`."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=rows), rng.choice(["red", "green", "blue"], rows)
    signal = a + (b == "red") + 0.3 * rng.normal(size=rows)
    y = {
        "binary": np.where(signal > 0.3, "yes", "no"),
        "multiclass": np.digitize(signal, [-0.3, 0.7]) + 1,
        "regression": signal,
    }[kind]
    return pd.DataFrame(
        {
            "a": np.where(rng.random(rows) < 0.1, np.nan, a),
            "b": pd.Series(np.where(rng.random(rows) < 0.1, None, b), dtype=object),
            "noise": rng.normal(size=rows),
            "note": [f"row {i} of secret words {rng.integers(1000)}" for i in range(rows)],
            "day": [f"{i % 28 + 1:02d}.03.2024" for i in range(rows)],
            "same": 1,
            "y": y,
        }
    )


def fitted(
    kind: str, *names: str, seed: int = 0, ways: Mapping[str, str] | None = None
) -> tuple[Model, pd.DataFrame]:
    """A model with one member of each named learner's defaults, and the table that it was fitted on.

    `ways` of preprocessing are put over the defaults'.
    """
    frame = table(kind, seed=seed)
    task = guess_task(frame["y"])
    columns = infer_columns(frame, "y")
    encoder, encoded = encode(frame, columns)
    y = task.encode(frame["y"])
    members = []
    with quietly():
        for name in names or ("linear",):
            config = {**defaults(learners()[name], categories=True, missing=True)[0], **(ways or {})}
            order = Order(learners()[name], config, encoder.sizes, seed, Deadline.after(60))
            pipeline = fit_pipeline(order, encoded, y.astype(float), len(task.classes)).pipeline
            members.append(Member(1 / len(names or (1,)), name, [pipeline], config))
    return Model(task, encoder, members, "y", {"metric": "log_loss"}), frame


def result(kind: str, *, held: bool = True, trials: int = 15) -> tuple[FitResult, pd.DataFrame]:
    """What a fit of `table(kind)` could have come to, with the linear model as its only member."""
    model, frame = fitted(kind)
    y, raw = model.task.encode(frame["y"]), model.raw(frame)
    metric = get_metric(None, model.task)
    out, inside = np.arange(0, 120, 3), np.setdiff1d(np.arange(120), np.arange(0, 120, 3))
    score = metric.score(y[out], raw[out])
    constant = metric.score(y[out], _constant(model.task, y, len(out)))
    board = [
        Row(i + 1, i, "linear", score - i / 100, 80, 0.1, float(i == 0), {"learner": "linear", "C": 0.123456})
        for i in range(trials)
    ]
    return FitResult(
        model=model,
        leaderboard=board,
        task=model.task,
        metric=metric,
        columns=model.columns,
        study="brave-otter",
        score=metric.score(y[inside], raw[inside]),
        constant=constant,
        y=y[inside],
        prediction=raw[inside],
        valid=inside,
        rows=120,
        folds=5,
        trials=trials,
        failed=0,
        progress=[Progress(0.5, score - 0.1), Progress(1.5, score)] if trials else [],
        held=Held(out, y[out], raw[out], score, constant, score - 0.05) if held else None,
        seconds=2.5,
        budget=3.0,
        notes=[model.task.why],
    ), frame


def _constant(task: Task, y: np.ndarray, rows: int) -> np.ndarray:
    if not task.is_classification:
        return np.full(rows, y.mean())
    return np.tile(np.bincount(y) / len(y), (rows, 1))
