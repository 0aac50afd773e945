"""The configurations of a history as columns for models: no gaps, categories as codes, only what can vary.

A parameter that is not active in a trial takes the value that it had in the latest earlier trial in which it
was active, and the centre of its range before the first one. So a filled-in value comes from what was
tried, whatever the trial's result; it never changes as trials are added; and a log gives the same ones again.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rung.space.axes import make_axis
from rung.space.compiled import CompiledSpace
from rung.trials.history import History

Floats = NDArray[np.float64]


class Rows:
    """One history's filled-in columns, extended as it grows.

    Attributes:
        columns: (k,) the dimensions that can vary, numbers first, then categories; constants are left out.
        levels: (k,) number of categories, 0 for a numeric or ordinal dimension.
    """

    def __init__(self, space: CompiledSpace) -> None:
        varies = np.array([make_axis(domain).count != 1 for domain in space.domains])
        categories = space.levels > 0
        self.space = space
        self.columns: NDArray[np.intp] = np.concatenate(
            [np.flatnonzero(varies & ~categories), np.flatnonzero(varies & categories)]
        )
        self.levels: NDArray[np.int64] = space.levels[self.columns]
        self._last: Floats = np.where(self.levels > 0, self.levels // 2, 0.5)  # (k,)
        self._data: Floats = np.empty((len(self.columns), 64))  # (k, capacity)
        self._count = 0

    def extend(self, matrix: Floats) -> Floats:
        """Take in the rows of `matrix` (trials, d) that are new.

        Returns:
            (k, trials): numbers in [0, 1], or a category's code 0, 1, ...; a view, not to be changed.
        """
        known, wanted = self._count, len(matrix)
        if wanted > self._data.shape[1]:
            grown = np.empty((len(self.columns), 2 * wanted))
            grown[:, :known] = self._data[:, :known]
            self._data = grown
        if known < wanted:
            block = self._data[:, known:wanted]
            block[:] = _filled(self._coded(matrix[known:, self.columns].T), self._last)
            self._last = block[:, -1].copy()
            self._count = wanted
        return self._data[:, :wanted]

    def _coded(self, encoded: Floats) -> Floats:
        """Categories as codes, all else as encoded, NaN kept; (k, n) both."""
        levels = self.levels[:, None]
        return np.where(levels > 0, np.floor(encoded * levels), encoded)

    def decoded(self, point: Floats) -> Floats:
        """A point (k,) of these columns as a point (1, d) of the unit cube, 0.5 in what cannot vary."""
        full = np.full((1, self.space.size), 0.5)
        full[0, self.columns] = np.where(self.levels > 0, (point + 0.5) / np.maximum(self.levels, 1), point)
        return full


def _filled(new: Floats, last: Floats) -> Floats:
    """`new` (k, n) with each NaN replaced by the value before it in its row, `last` (k,) before the first."""
    gaps = np.isnan(new)
    if not gaps.any():
        return new
    padded = np.concatenate([last[:, None], new], axis=1)  # (k, 1 + n)
    source = np.where(gaps, 0, np.arange(1, padded.shape[1]))
    np.maximum.accumulate(source, axis=1, out=source)
    return np.take_along_axis(padded, source, axis=1)


_kept: WeakKeyDictionary[History, Rows] = WeakKeyDictionary()  # a cache: it follows from the history


def rows_of(history: History, space: CompiledSpace) -> tuple[Rows, Floats]:
    """The columns of all trials of `history`, and their values (k, trials)."""
    rows = _kept.get(history)
    if rows is None or rows.space is not space:
        rows = _kept[history] = Rows(space)
    return rows, rows.extend(history.matrix(space))
