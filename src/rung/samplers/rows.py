"""The configurations of a history as columns for models: no gaps, categories as codes, only what can vary.

A parameter that is not active is filled in with the centre of its range, the middle category, so that
configurations without it are alike there, and a row depends on its own configuration only. (BOHB's authors
fill in values of other rows at random. Values of earlier trials in the centre's place, tried on five
conditional problems, found neither better nor worse configurations.)
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
            self._data[:, known:wanted] = self._coded(matrix[known:, self.columns].T)
            self._count = wanted
        return self._data[:, :wanted]

    def _coded(self, encoded: Floats) -> Floats:
        """Without gaps, categories as codes; (k, n) both."""
        filled = np.where(np.isnan(encoded), 0.5, encoded)
        levels = self.levels[:, None]
        return np.where(levels > 0, np.floor(filled * levels), filled)

    def decoded(self, point: Floats) -> Floats:
        """A point (k,) of these columns as a point (1, d) of the unit cube, 0.5 in what cannot vary."""
        full = np.full((1, self.space.size), 0.5)
        full[0, self.columns] = np.where(self.levels > 0, (point + 0.5) / np.maximum(self.levels, 1), point)
        return full


_kept: WeakKeyDictionary[History, Rows] = WeakKeyDictionary()  # a cache: it follows from the history


def rows_of(history: History, space: CompiledSpace) -> tuple[Rows, Floats]:
    """The columns of all trials of `history`, and their values (k, trials)."""
    rows = _kept.get(history)
    if rows is None or rows.space is not space:
        rows = _kept[history] = Rows(space)
    return rows, rows.extend(history.matrix(space))
