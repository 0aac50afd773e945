"""How the prediction moves with one column: partial dependence (Friedman 2001, section 8.2).

Every row gets the column's cell replaced by each point of a grid, and the predictions are averaged; how far
the single rows' curves lie apart (Goldstein et al. 2015) is said by two of their quantiles, each curve moved
to the same mean, so that an interaction shows as a wide band and a mere shift of level does not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.columns import Column, Kind, prepare
from rung.tabular.explain.pace import Pace, measure

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.model import Model

MOST_ROWS: Final = 500
FEWEST_ROWS: Final = 30
POINTS: Final = 20
LEVELS: Final = 8
FEWEST_OF_LEVEL: Final = 10  # rows, so that no level that names a single row is shown
SERIES: Final = 4
_USE: Final = 0.8  # of the time left is planned for


@dataclass(frozen=True, slots=True)
class Dependence:
    """The mean prediction over one column's values.

    Attributes:
        grid: numbers, or names of levels: (g,).
        series: what is predicted: the target, or "P(label)" each: (m,).
        mean, low, high: (g, m), low and high of the single rows' curves, 10 % of them below and above.
        rows: that were averaged.
    """

    column: str
    grid: tuple[float | str, ...]
    series: tuple[str, ...]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    rows: int

    @property
    def numeric(self) -> bool:
        """Whether the grid is of numbers."""
        return not isinstance(self.grid[0], str)


def partial_dependence(
    model: Model,
    frame: pd.DataFrame,
    names: Sequence[str],
    deadline: float,
    seed: int = 0,
    pace: Pace | None = None,
    weight: NDArray[np.float64] | None = None,
) -> list[Dependence]:
    """Of the first of these columns as far as the time goes; numbers and categories only, others are skipped.

    Args:
        frame: rows to average over, 500 of them at most.
        deadline: monotonic; on fewer rows where time is short, nothing where it is shorter still.
        pace: of the model's predictions, measured unless given.
        weight: (n,) of the rows, from 0; they count the same unless given.
    """
    from rung.tabular.evaluate import quietly

    if weight is not None:
        frame, weight = frame[weight > 0], weight[weight > 0]

    by_name = {column.name: column for column in model.columns if column.used}
    with quietly():
        everything = prepare(frame, model.columns)
        grids = {name: _grid(everything[name], by_name[name]) for name in names if name in by_name}
        grids = {name: grid for name, grid in grids.items() if len(grid) > 1}
        order = np.random.default_rng([seed, 61]).permutation(len(frame))
        if not grids or time.monotonic() >= deadline:
            return []
        pace = pace or measure(model, everything.iloc[order[:100]])
        grids, rows = _affordable(grids, pace, deadline - time.monotonic(), len(frame))
        cells = everything.iloc[order[:rows]].reset_index(drop=True)
        some = None if weight is None else weight[order[:rows]]
        found = []
        for name, grid in grids.items():
            if time.monotonic() >= deadline:
                break
            found.append(_dependence(model, cells, name, grid, some))
    return found


def _affordable(
    grids: dict[str, list[float] | list[str]], pace: Pace, seconds: float, most: int
) -> tuple[dict[str, list[float] | list[str]], int]:
    """As many of the first columns as can be had on enough rows, and these rows."""
    for count in range(len(grids), 0, -1):
        kept = dict(list(grids.items())[:count])
        points = sum(map(len, kept.values()))
        rows = min(most, MOST_ROWS, pace.rows(_USE * seconds, calls=count) // points)
        if rows >= min(FEWEST_ROWS, most):
            return kept, rows
    return {}, 0


def _grid(values: pd.Series[Any], column: Column) -> list[float] | list[str]:
    """Points of a number from its 5 % to its 95 % quantile, or its few values; a category's usual levels."""
    if column.kind == Kind.CATEGORY:
        counts = values.value_counts()
        return [str(level) for level, count in counts.items() if count >= FEWEST_OF_LEVEL][:LEVELS]
    if column.kind != Kind.NUMBER:
        return []
    numbers = values.dropna().to_numpy(dtype=np.float64)
    distinct = np.unique(numbers)
    if len(distinct) < 2:
        return []
    if len(distinct) <= 10:
        return [float(x) for x in distinct]
    low, high = np.quantile(numbers, [0.05, 0.95])
    if not low < high:  # nearly all cells are the same
        return [float(x) for x in np.unique(np.quantile(distinct, np.linspace(0, 0.95, 10)))]
    return [float(x) for x in np.linspace(low, high, POINTS)]


def _dependence(
    model: Model,
    cells: pd.DataFrame,
    name: str,
    grid: list[float] | list[str],
    weight: NDArray[np.float64] | None,
) -> Dependence:
    import pandas as pd

    rows, points = len(cells), len(grid)
    repeated = cells.iloc[np.tile(np.arange(rows), points)].reset_index(drop=True)
    kind = object if isinstance(grid[0], str) else np.float64
    repeated[name] = pd.Series(np.repeat(np.asarray(grid, dtype=kind), rows), dtype=kind)
    series, curves = _curves(model, model.raw(repeated).reshape(points, rows, -1))
    mean = np.average(curves, axis=1, weights=weight)  # (g, m)
    level = curves.mean(axis=0, keepdims=True)  # each row's own
    centred = curves - level + mean.mean(axis=0)
    low, high = _quantiles(centred, [0.1, 0.9], weight)
    if model.task.is_classification:
        low, high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
    return Dependence(name, tuple(grid), series, mean, low, high, rows)


def _quantiles(
    curves: NDArray[np.float64], levels: list[float], weight: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Of (g, n, m) curves over their rows: (levels, g, m)."""
    if weight is None:
        return np.quantile(curves, levels, axis=1)
    order = np.argsort(curves, axis=1, kind="stable")
    share = np.cumsum(weight[order], axis=1) / weight.sum()
    places = [np.argmax(share >= level - 1e-12, axis=1, keepdims=True) for level in levels]
    ordered = np.take_along_axis(curves, order, axis=1)
    return np.stack([np.take_along_axis(ordered, place, axis=1)[:, 0] for place in places])


def _curves(model: Model, raw: NDArray[np.float64]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """(m,) names and (g, n, m) curves: the value, the positive class, or the most probable classes."""
    classes = model.task.classes
    if not classes:
        return (model.target,), raw
    if len(classes) == 2:
        return (f"P({classes[1]})",), raw[:, :, 1:]
    usual = np.sort(np.argsort(-raw.mean(axis=(0, 1)), kind="stable")[:SERIES])
    return tuple(f"P({classes[k]})" for k in usual), raw[:, :, usual]
