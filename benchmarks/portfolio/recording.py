"""One cell: a configuration on a table, by cross-validation in three folds; a line of JSON each."""

from __future__ import annotations

import fcntl
import json
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.cash.tables import MOST, Table, labelled
from rung.tabular.dataset import Dataset
from rung.tabular.deadline import Deadline
from rung.tabular.evaluate import evaluate, predicted, quietly
from rung.tabular.learners.table import fitting, learners
from rung.tabular.meta.configurations import for_table

ROWS: Final = Path(__file__).resolve().parents[1] / "data" / "portfolio" / "cells.jsonl"
FOLDS: Final = 3
LIMIT: Final = 90.0  # seconds of a cell, on the clock
HOPELESS: Final = 0.5  # limits that a cell is predicted to take, for it not to be begun
_SEED: Final = 0


class Cell(NamedTuple):
    """One configuration on one table.

    Attributes:
        score: out of fold, in the metric's own sense; None where there is none.
        constant: what the best constant scores.
        seconds: of processor time, all folds together.
        wall: seconds on the clock.
        cut: it was ended by the limit, with what it had.
        failed: why there is no score: "" if there is one, "too dear" if it was not begun.
    """

    table: str
    name: str
    metric: str
    score: float | None
    constant: float
    seconds: float
    wall: float
    cut: bool
    failed: str = ""


def dataset_of(table: Table) -> Dataset:
    """A table as arrays with its three folds, at most `MOST` rows.

    Raises:
        Unavailable: the table's file is not there.
    """
    from rung.tabular.columns import infer_columns
    from rung.tabular.encode import encode
    from rung.tabular.metrics import DEFAULTS
    from rung.tabular.splits import make_split
    from rung.tabular.task import guess_task

    frame = labelled(table, table.load())
    if len(frame) > MOST:
        frame = frame.sample(MOST, random_state=_SEED)
    frame = frame.reset_index(drop=True)
    task = guess_task(frame[table.target], table.task)
    y = task.encode(frame[table.target])
    encoder, arrays = encode(frame, infer_columns(frame, table.target))
    classes = len(task.classes)
    split = make_split(y, classes, FOLDS, 0.0, _SEED)
    return Dataset(arrays, y, classes, encoder.sizes, split, DEFAULTS[table.task], _SEED)


def record(table: Table, dataset: Dataset, name: str, config: Mapping[str, Any]) -> Cell | None:
    """Fill a cell; None where the learner does not do such a task, or is not there."""
    learner = learners().get(config["learner"])
    if learner is None or learner not in fitting(table.task, dataset.classes):
        return None
    missing = bool(np.isnan(dataset.table.numbers).any())
    fitted = for_table(config, learner, categories=bool(dataset.sizes), missing=missing)
    if fitted is None:
        return None
    constant = _short(_constant(dataset))
    empty = Cell(table.name, name, dataset.metric, None, constant, 0.0, 0.0, cut=False)
    if predicted(dataset, fitted, len(dataset)) > HOPELESS * LIMIT and not learner.anytime:
        return empty._replace(failed="too dear")
    began, spent = time.monotonic(), time.process_time()
    try:
        with quietly():
            outcome = evaluate(dataset, fitted, len(dataset), _SEED, Deadline.after(LIMIT))
    except Exception as error:  # noqa: BLE001  # whatever a library raises, the other cells go on
        return empty._replace(failed=f"{type(error).__name__}: {error}"[:200])
    seconds, wall = time.process_time() - spent, time.monotonic() - began
    if not math.isfinite(outcome.score):
        return empty._replace(failed="no finite score")
    return empty._replace(
        score=_short(outcome.score), seconds=round(seconds, 4), wall=round(wall, 4), cut=outcome.cut
    )


def warm_up() -> None:
    """Fit each learner once on a table of no consequence, so that no cell pays for loading a library."""
    from benchmarks.cash.tables import TABLES

    small = dataset_of(TABLES["wine"])
    for learner in fitting("multiclass", small.classes):
        config = for_table(learner.defaults[0], learner, categories=False, missing=False)
        if config is not None:
            with quietly(), suppress(Exception):  # what cannot be fitted says so in its cells
                evaluate(small, config, len(small), _SEED, Deadline.after(3.0))


def _constant(dataset: Dataset) -> float:
    from rung.tabular.baselines import constant_prediction

    return dataset.judge.score(dataset.y, constant_prediction(dataset, len(dataset)))


def _short(value: float) -> float:
    return float(f"{value:.8g}")


def read(path: Path = ROWS) -> dict[tuple[str, str], Cell]:
    """The cells by table and configuration, the last of each; a last line that was cut off is left out."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    cells = [Cell(**json.loads(line)) for line in lines if line.endswith("\n")]
    return {(cell.table, cell.name): cell for cell in cells}


def append(cell: Cell, path: Path = ROWS) -> None:
    """Add a cell; a line that an earlier run left half written is cut away first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        file.seek(0)
        text = file.read()
        file.truncate(text.rfind(b"\n") + 1)
        file.write(json.dumps(cell._asdict()).encode() + b"\n")
