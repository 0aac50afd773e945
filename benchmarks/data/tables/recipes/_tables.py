"""Real tables as arrays in three parts, for the recipes: the same rows whatever the seed of training."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.given import given


class Part(NamedTuple):
    """Rows of a table: `x` (rows, columns) float32; `y` (rows,) class numbers, or a target in float32."""

    x: NDArray[np.float32]
    y: NDArray[np.generic]


class Split(NamedTuple):
    """A table in parts; columns have mean 0 and variance 1 on the training part, as a number to predict has.

    Attributes:
        classes: how many; 0 for regression.
    """

    train: Part
    valid: Part
    test: Part
    classes: int


@cache
def split(name: str, regression: bool, sizes: tuple[int, int, int]) -> Split:
    """So many rows of a table for each part, drawn once for all; the last column is what to predict.

    Texts become one column for each value (an empty cell is a value of its own).

    Raises:
        Unavailable: the table is not there.
    """
    import pandas as pd

    table = pd.read_csv(given(f"tabular/{name}.csv.gz"))
    table = table.sample(sum(sizes), random_state=0, ignore_index=True)
    target = table.pop(table.columns[-1])
    x = pd.get_dummies(table, dummy_na=bool(table.isna().any().any())).to_numpy(np.float32)
    y, names = (target.to_numpy(np.float32), ()) if regression else pd.factorize(target, sort=True)
    x = _standard(x, sizes[0])
    if regression:
        y = _standard(y, sizes[0])
    ends = np.cumsum(sizes)[:-1]
    train, valid, test = (Part(*pair) for pair in zip(np.split(x, ends), np.split(y, ends), strict=True))
    return Split(train, valid, test, len(names))


def _standard(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    spread = values[:count].std(axis=0)
    scaled: NDArray[np.float32] = (values - values[:count].mean(axis=0)) / np.where(spread > 0, spread, 1)
    return scaled
