"""Levels of categories as the target's mean among their rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SMOOTHING = 10.0  # rows that the overall mean counts in the encoding by the target
TARGET_FOLDS = 5


class Target(NamedTuple):
    """A fold's target: (n,) codes 0 ... k - 1, or values where `classes` is 0."""

    y: NDArray[np.float64]
    classes: int


def target_folds(target: Target) -> int:
    """How many folds the encoding by the target can have, at most five: one class has a row for each."""
    rows = np.bincount(target.y.astype(np.intp)) if target.classes else [len(target.y)]
    return int(min(TARGET_FOLDS, max(rows, default=0)))


def target_encoder(target: Target, folds: int, seed: int) -> Any:
    """Levels become the smoothed mean of the target, of each class if there are three or more (Micci-Barreca
    2001); `fit_transform` encodes each row by the other folds, else it would see its own target.

    The code -1 is a level like the others, and stands for the overall mean where no row had it.
    """
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    kind = {0: "continuous", 2: "binary"}.get(target.classes, "multiclass")
    seed %= 2**31
    if TargetEncoder().get_params().get("random_state", "deprecated") != "deprecated":  # before 1.9
        return TargetEncoder(smooth=SMOOTHING, target_type=kind, cv=folds, random_state=seed)
    splitter = StratifiedKFold if target.classes else KFold
    cv = splitter(folds, shuffle=True, random_state=seed)
    return TargetEncoder(smooth=SMOOTHING, target_type=kind, cv=cv)
