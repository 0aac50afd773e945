"""What a fit found, as values that a report and a command can show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.tabular.columns import Column
from rung.tabular.metrics import Metric
from rung.tabular.model import Model
from rung.tabular.task import Task
from rung.tabular.unseen import Folds


class Row(NamedTuple):
    """One configuration of the leaderboard; `score` is the metric on validation rows, in its own sense."""

    rank: int
    trial: int
    learner: str
    score: float
    rows: int
    seconds: float
    weight: float
    config: dict[str, Any]


class Progress(NamedTuple):
    """The best score known after `seconds`."""

    seconds: float
    score: float


class Held(NamedTuple):
    """Rows that no search saw: where they stood in the frame, and what was predicted for them."""

    rows: NDArray[np.intp]
    y: NDArray[Any]
    prediction: NDArray[np.float64]
    score: float
    constant: float
    lightgbm: float | None
    weight: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class FitResult:
    """The outcome of `fit_table`.

    Attributes:
        score: the ensemble's on the validation rows (optimistic by a little: its weights were chosen there).
        constant: a constant predictor's score on the same rows.
        y, prediction: the validation rows' target (codes or values), and the ensemble's predictions for them.
        valid: where these rows stood in the frame.
        folds: of the cross-validation; 1 is a holdout.
        trials, failed: configurations tried, and those among them without a value.
        held: rows held out from the very start, if any.
        seconds: from the start until the model was there.
        notes: sentences about what was done otherwise than asked.
        failures: why trials have no value, and how many each.
        weight: (n,) of the validation rows, None where they count the same.
        limit: the number of configurations that was asked for, None where the budget ended the search.
        optimism: by how much `score` is expected to be too good, in its own units; None if not looked at.
        interrupted: whether Ctrl-C ended the search, or hurried what comes after it.
        unseen: what had not seen the validation rows; None where there is nothing.
    """

    model: Model
    leaderboard: list[Row]
    task: Task
    metric: Metric
    columns: tuple[Column, ...]
    study: str
    score: float
    constant: float
    y: NDArray[Any]
    prediction: NDArray[np.float64]
    valid: NDArray[np.intp]
    rows: int
    folds: int
    trials: int
    failed: int
    progress: list[Progress]
    held: Held | None
    seconds: float
    budget: float
    notes: list[str] = field(default_factory=list)
    optimism: float | None = None
    failures: dict[str, int] = field(default_factory=dict)
    weight: NDArray[np.float64] | None = None
    limit: int | None = None
    unseen: Folds | None = None
    interrupted: bool = False

    @property
    def validation(self) -> str:
        """How the validation rows were held out, in words."""
        way = str(self.model.notes.get("split", "random")).partition(":")[0]
        if way == "time":
            later = "rows later than those trained on"
            return f"the last rows, {later}" if self.folds == 1 else f"{self.folds} times {later}"
        how = "a holdout" if self.folds == 1 else f"{self.folds}-fold cross-validation"
        return f"{how} of whole groups" if way == "group" else how
