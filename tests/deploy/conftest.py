"""Models on a table that every export can take: no text in it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rung.tabular.columns import infer_columns
from rung.tabular.deadline import Deadline
from rung.tabular.encode import encode
from rung.tabular.evaluate import quietly
from rung.tabular.learners.table import defaults, learners
from rung.tabular.model import Member, Model
from rung.tabular.pipeline import Order, fit_pipeline
from rung.tabular.task import guess_task
from support.tables import table

Fit = Callable[..., tuple[Model, pd.DataFrame]]


def plain_table(kind: str, rows: int) -> pd.DataFrame:
    """Numbers, a date, and categories of few and of many levels, with missing cells."""
    frame = table(kind, rows=rows).drop(columns="note")
    frame["city"] = np.random.default_rng(1).choice([f"city {i}" for i in range(50)], rows)
    return frame


@pytest.fixture(scope="session")
def fit() -> Fit:
    """A model with a member for each name, whose configuration differs from the default by `extra`."""

    def made(
        kind: str, *names: str, rows: int = 160, frame: pd.DataFrame | None = None, **extra: Any
    ) -> tuple[Model, pd.DataFrame]:
        frame = plain_table(kind, rows) if frame is None else frame
        task = guess_task(frame["y"])
        encoder, encoded = encode(frame, infer_columns(frame, "y"))
        y = task.encode(frame["y"]).astype(float)
        members = []
        with quietly():
            for name in names:
                learner = learners()[name]
                config = {**defaults(learner, categories=True, missing=True)[0], **extra}
                order = Order(learner, config, encoder.sizes, 0, Deadline.after(60))
                pipeline = fit_pipeline(order, encoded, y, len(task.classes)).pipeline
                members.append(Member(1 / len(names), name, [pipeline], config))
        return Model(
            task, encoder, members, "y", {"metric": "rmse" if kind == "regression" else "log_loss"}
        ), frame

    return made
