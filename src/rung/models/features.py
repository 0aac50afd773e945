"""Configurations as plain columns of numbers for models of distance: no gaps, one column for each category.

A category with m levels becomes m columns of 0 or sqrt(1/2), so that two different levels are at squared
distance 1, as far apart as the ends of a number's range. What is not active is filled in with the centre of
its range (the middle category), so that configurations without it are alike there. Parameters of one value
are left out.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rung.space.axes import make_axis
from rung.space.compiled import CompiledSpace

Floats = NDArray[np.float64]


class Features:
    """How the configurations of one space become columns.

    Attributes:
        groups: (f,) by column, the number of its parameter: columns of one parameter share a length scale.
        parameters: how many parameters can vary.
    """

    def __init__(self, space: CompiledSpace) -> None:
        varies = [j for j, domain in enumerate(space.domains) if make_axis(domain).count != 1]
        self._numbers = np.array([j for j in varies if space.levels[j] == 0], dtype=np.int64)
        self._categories = [(j, int(space.levels[j])) for j in varies if space.levels[j]]
        repeats = [1] * len(self._numbers) + [levels for _, levels in self._categories]
        self.parameters = len(varies)
        self.groups: NDArray[np.int64] = np.repeat(np.arange(len(repeats)), repeats)

    def of(self, matrix: Floats) -> Floats:
        """The columns (n, f) of encoded configurations (n, d), NaN where inactive."""
        filled = np.where(np.isnan(matrix), 0.5, matrix)
        columns = [filled[:, self._numbers]]
        for j, levels in self._categories:
            codes = np.minimum(np.floor(filled[:, j] * levels), levels - 1)
            columns.append((codes[:, None] == np.arange(levels)) * math.sqrt(0.5))
        return np.hstack(columns)
