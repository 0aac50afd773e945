"""A support vector machine with a radial basis function: two parameters, the share of the data as fidelity.

The space of Klein et al. (2017, Fabolas, 5.1) and of BOHB (Falkner et al. 2018, 5.2.1): C and gamma
from exp(-10) to exp(10), on a grid. The rows of a share are the first of one permutation, so that a larger
share holds the smaller ones; the seed makes the permutation. The smallest shares are 2 rows of the digits
and 4 of the others, too few for all classes: a machine knows only those that it has seen, and of rows of a
single class it says that class. A machine fitted on more rows begins anew.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any, Final

import numpy as np

from benchmarks.data.tables.recipes import Axis, Curves, Recipe
from benchmarks.data.tables.recipes._tables import Part, Split, split

STEPS: Final = tuple(2**k for k in range(10))  # of 512ths of the training rows
_POINTS: Final = 15


def train(configs: Sequence[Mapping[str, Any]], seed: int, table: str, sizes: tuple[int, int, int]) -> Curves:
    """One machine after another, at every share."""
    data = _digits(sizes) if table == "digits" else split(table, False, sizes)
    order = np.random.default_rng(seed).permutation(sizes[0])
    found = np.array([[_fit(data, config, order, step) for step in STEPS] for config in configs])
    return Curves(found[:, :, 0], found[:, :, 1], found[:, :, 2])


def _fit(data: Split, config: Mapping[str, Any], order: Any, step: int) -> tuple[float, float, float]:
    """Errors on the validation and on the test part, and the seconds of fitting and the first of these."""
    from sklearn.svm import SVC

    began = time.perf_counter()
    rows = order[: max(2, math.ceil(len(order) * step / STEPS[-1]))]
    x, y = data.train.x[rows], data.train.y[rows]
    if len(np.unique(y)) == 1:  # too few rows for two classes
        wrong = [float(np.mean(part.y != y[0])) for part in (data.valid, data.test)]
        return wrong[0], wrong[1], time.perf_counter() - began
    machine = SVC(C=config["C"], gamma=config["gamma"], cache_size=500)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes")  # of so few rows it is
        machine.fit(x, y)
    valid = 1.0 - machine.score(data.valid.x, data.valid.y)
    seconds = time.perf_counter() - began
    return float(valid), float(1.0 - machine.score(data.test.x, data.test.y)), seconds


@cache
def _digits(sizes: tuple[int, int, int]) -> Split:
    """scikit-learn's 8 x 8 digits, values from 0 to 1."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[: sum(sizes)]
    x, y = (x[order] / 16.0).astype(np.float32), y[order]
    ends = np.cumsum(sizes)[:-1]
    train, valid, test = (Part(*pair) for pair in zip(np.split(x, ends), np.split(y, ends), strict=True))
    return Split(train, valid, test, 10)


def _recipe(table: str, sizes: tuple[int, int, int], source: str, points: int = _POINTS) -> Recipe:
    axis = Axis(tuple(float(f"{math.exp(power):.6g}") for power in np.linspace(-10.0, 10.0, points)), "log")
    return Recipe(
        {"C": axis, "gamma": axis},
        "512ths",
        STEPS,
        partial(train, table=table, sizes=sizes),
        points,
        f"support vector machines on {source}: {sizes[0]:,} rows for training, {sizes[1]:,} for validation, "
        f"{sizes[2]:,} for testing; error rate",
        continues=False,
    )


ENTRIES: Final = {
    "svm-digits": _recipe("digits", (1000, 400, 397), "scikit-learn's digits"),
    "svm-optdigits": _recipe("optdigits", (2048, 800, 800), "optdigits (UCI)"),
    "svm-letter": _recipe("letter", (2048, 800, 800), "letter (UCI)"),
}
