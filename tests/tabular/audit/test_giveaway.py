from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rung.tabular.audit.giveaway import giveaway_notes, nearly_perfect
from rung.tabular.columns import infer_columns
from rung.tabular.deadline import Deadline
from rung.tabular.metrics import METRICS
from rung.tabular.task import guess_task

N = 400


def _notes(frame: pd.DataFrame, end: float = np.inf) -> list[str]:
    task = guess_task(frame["y"], None, None)
    classes = np.asarray(task.classes)
    y = np.searchsorted(classes, frame["y"]) if task.is_classification else frame["y"].to_numpy(float)
    return giveaway_notes(frame, infer_columns(frame, "y"), y, task, Deadline(end))


def _table(y: np.ndarray) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"x": y + rng.normal(size=len(y)), "word": rng.choice(list("abc"), len(y)), "y": y})


def test_one_column_is_named():
    frame = _table(np.arange(N) % 2).assign(closed=lambda t: np.where(t.y == 1, "yes", "no"))
    assert _notes(frame) == [
        "column 'closed' tells the target almost perfectly alone: what is not known yet when a prediction is "
        "made must be left out (--drop closed), or the score deceives"
    ]


def test_several_columns_of_a_number():
    frame = _table(np.random.default_rng(1).normal(size=N)).assign(
        double=lambda t: 2 * t.y, cube=lambda t: t.y**3
    )
    assert _notes(frame)[0].startswith("columns 'double' and 'cube' each tell")


def test_a_good_column_is_no_suspect_and_no_time_is_none_spent():
    frame = _table(np.arange(N) % 2)
    assert _notes(frame) == []
    frame["leak"] = frame["y"]
    assert _notes(frame, 0.0) == []


@pytest.mark.parametrize(
    ("name", "score", "constant", "near"),
    [
        ("auc", 0.99, 0.5, True),
        ("auc", 0.9, 0.5, False),
        ("log_loss", 0.01, 0.69, True),
        ("log_loss", 0.3, 0.69, False),
        ("rmse", 5.0, 100.0, True),
        ("rmse", float("nan"), 100.0, False),
        ("rmse", 0.0, 0.0, False),
    ],
)
def test_nearly_perfect(name, score, constant, near):
    assert nearly_perfect(METRICS[name], score, constant) == near
