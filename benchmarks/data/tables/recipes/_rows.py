"""Rows of real tables, split into training, validation and test parts, as arrays for learners."""

from __future__ import annotations

import json
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.given import given

Floats = NDArray[np.float32]


class Parts(NamedTuple):
    """One split: inputs (n, f) standardised, targets (n,) class numbers or standardised values."""

    x: Floats
    y: NDArray[np.float32]


class Rows(NamedTuple):
    """A table's three parts; `classes` is 0 for regression."""

    train: Parts
    valid: Parts
    test: Parts
    classes: int


@cache
def rows(name: str, train: int, valid: int, test: int) -> Rows:
    """So many rows of a table of the data folder, drawn without replacement by a fixed seed.

    Categories become one column for each level, missing numbers the median; inputs and numeric targets are
    standardised by the training part.

    Raises:
        Unavailable: the data folder is not named, or has no such table.
    """
    import pandas as pd

    index = json.loads(given("tabular/INDEX.json").read_text())
    about = index[name] if isinstance(index, dict) else next(one for one in index if one["name"] == name)
    frame = pd.read_csv(given(f"tabular/{name}.csv.gz"))
    order = np.random.default_rng(0).permutation(len(frame))[: train + valid + test]
    frame = frame.iloc[order].reset_index(drop=True)
    target = frame.pop(about["target"])
    numbers = frame.select_dtypes("number")
    texts = frame.drop(columns=numbers.columns).astype(str)
    x = numbers.fillna(numbers.median()).to_numpy(float)
    if texts.shape[1]:
        x = np.hstack([x, pd.get_dummies(texts).to_numpy(float)])
    x = (x - x[:train].mean(axis=0)) / np.maximum(x[:train].std(axis=0), 1e-6)
    if about["task"] == "regression":
        y = target.to_numpy(float)
        y, classes = (y - y[:train].mean()) / y[:train].std(), 0
    else:
        codes, levels = pd.factorize(target, sort=True)
        y, classes = codes.astype(float), len(levels)
    edges = np.cumsum([train, valid, test])
    whole = [
        Parts(a, b)
        for a, b in zip(
            np.split(x.astype(np.float32), edges)[:3], np.split(y.astype(np.float32), edges)[:3], strict=True
        )
    ]
    return Rows(*whole, classes)
