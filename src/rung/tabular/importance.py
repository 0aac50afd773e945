"""Permutation importance (Breiman 2001): how much worse a model gets when one column's cells are shuffled."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from rung.tabular.evaluate import quietly
from rung.tabular.explain.pace import Pace, measure
from rung.tabular.frames import with_columns
from rung.tabular.metrics import Metric

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from rung.tabular.model import Model
    from rung.tabular.unseen import Unseen

MOST_ROWS: Final = 2_000
FEWEST_ROWS: Final = 100
ENOUGH_ROWS: Final = 500  # where there is time for more, columns are shuffled more often first
MOST_REPEATS: Final = 5
BATCH: Final = 20_000  # rows predicted at once
_USE: Final = 0.6  # of the time left is planned for: predicting may turn out slower


class ColumnImportance(NamedTuple):
    """A column, and by how much the loss rises without its information: mean and deviation over the
    shuffles.
    """

    name: str
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Importance:
    """Of all used columns, the most important first.

    Attributes:
        rows: so many were predicted, each `repeats` times a column.
        note: why there is less than there could be, or nothing; empty if all is there.
        unseen: whether each was predicted by what had not seen it, where they are not rows that nothing saw.
    """

    columns: tuple[ColumnImportance, ...]
    rows: int
    repeats: int
    note: str = ""
    unseen: bool = False


def permutation_importance(
    model: Model | Unseen,
    frame: pd.DataFrame,
    y: npt.NDArray[Any],
    metric: Metric,
    deadline: float,
    pace: Pace | None = None,
    weight: npt.NDArray[np.float64] | None = None,
) -> Importance:
    """Shuffle each column that the model reads, and score: on fewer rows, or not at all, where time is short.

    Args:
        frame: the rows to look at.
        y: their class codes or values, (n,).
        deadline: monotonic time; all is planned to end before it.
        pace: of the model's predictions, measured unless given.
        weight: (n,) of the rows; they count the same unless given.
    """
    with quietly():  # one thread: many short calls, and others may have the cores
        return _measured(model, frame, _Truth(y, weight, metric), _When(deadline, pace))


class _When(NamedTuple):
    deadline: float
    pace: Pace | None


class _Truth(NamedTuple):
    """What predictions are compared with, and by which metric."""

    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float64] | None
    metric: Metric

    def take(self, rows: npt.NDArray[np.intp]) -> _Truth:
        return _Truth(self.y[rows], None if self.weight is None else self.weight[rows], self.metric)

    def loss(self, prediction: npt.NDArray[Any]) -> float:
        return self.metric.loss(self.y, prediction, self.weight)


def _measured(
    model: Model | Unseen,
    frame: pd.DataFrame,
    truth: _Truth,
    when: _When,
) -> Importance:
    deadline = when.deadline
    names = [column.name for column in model.columns if column.used]
    rng = np.random.default_rng([0, 7])
    order = rng.permutation(len(frame))
    if not names or time.monotonic() >= deadline:
        return Importance((), 0, 0, "left out: no time was left for it")
    pace = when.pace or measure(model, frame.iloc[order[:FEWEST_ROWS]])
    affordable = pace.rows(_USE * (deadline - time.monotonic()), calls=2) // len(names)
    repeats = int(np.clip(affordable // ENOUGH_ROWS, 1, MOST_REPEATS))
    rows = min(len(frame), MOST_ROWS, affordable // repeats)
    if rows < min(FEWEST_ROWS, len(frame)):
        return Importance((), 0, 0, "left out: the time left was too short for it")
    sample = order[:rows]
    losses = _losses(model, frame.iloc[sample], truth.take(sample), _Work(names, repeats, deadline, rng))
    return _ranked(names, losses, rows, repeats)


class _Work(NamedTuple):
    names: list[str]
    repeats: int
    deadline: float
    rng: np.random.Generator


def _losses(model: Model | Unseen, frame: pd.DataFrame, truth: _Truth, work: _Work) -> dict[str, list[float]]:
    """How much the loss rises, for each column and shuffle; columns that time did not allow are missing."""
    import pandas as pd

    base = truth.loss(model.weighed(model.raw(frame), truth.metric))
    together = max(1, BATCH // len(frame))
    tasks = [name for name in work.names for _ in range(work.repeats)]
    rises: dict[str, list[float]] = {}
    for start in range(0, len(tasks), together):
        if time.monotonic() >= work.deadline:
            break
        batch = tasks[start : start + together]
        shuffled = [_shuffled(frame, name, work.rng) for name in batch]
        seen = model.weighed(model.raw(pd.concat(shuffled, ignore_index=True)), truth.metric)
        for name, prediction in zip(batch, np.split(seen, len(batch)), strict=True):
            rises.setdefault(name, []).append(truth.loss(prediction) - base)
    return rises


def _shuffled(frame: pd.DataFrame, name: str, rng: np.random.Generator) -> pd.DataFrame:
    cells = frame[name].iloc[rng.permutation(len(frame))].set_axis(frame.index)
    return with_columns(frame, {name: cells})


def _ranked(names: list[str], rises: dict[str, list[float]], rows: int, repeats: int) -> Importance:
    found = [ColumnImportance(n, float(np.mean(r)), _spread(r)) for n, r in rises.items()]
    missing = len(names) - len(found)
    note = f"{missing} columns are missing: the time ended" if missing else ""
    return Importance(tuple(sorted(found, key=lambda c: -c.mean)), rows, repeats, note)


def _spread(values: list[float]) -> float:
    """The sample's standard deviation, 0 of one value; of values near the largest float, too."""
    if len(values) < 2:
        return 0.0
    unit = float(np.abs(values).max()) or 1.0
    return float(np.std(np.asarray(values) / unit, ddof=1)) * unit
