"""Six tables by formula: what the real ones lack, and what can be had without any file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def _frame(X: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(np.round(X, 6), columns=[f"x{j}" for j in range(X.shape[1])])
    return frame.assign(y=y)


def friedman() -> pd.DataFrame:
    """Friedman (1991), number 1: 1,500 rows, 15 columns of which 5 matter, noise of deviation 1."""
    rng = np.random.default_rng(1)
    X = rng.random((1_500, 15))
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]
    return _frame(X, np.round(y + rng.normal(size=len(X)), 6))


def noisy() -> pd.DataFrame:
    """Two classes, 2,000 rows, 25 columns; a linear and a product term, much noise."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(2_000, 25))
    score = 0.5 * X[:, 0] - 0.4 * X[:, 1] + 0.5 * X[:, 2] * X[:, 3] + 0.3 * np.abs(X[:, 4])
    return _frame(X, _words(score + rng.logistic(scale=1.0, size=len(X)) > 0.25))


def many_classes() -> pd.DataFrame:
    """Thirty classes, 3,000 rows: two round clouds each in 12 dimensions, overlapping."""
    rng = np.random.default_rng(3)
    centers = rng.normal(scale=1.4, size=(60, 12))
    which = rng.integers(60, size=3_000)
    X = centers[which] + rng.normal(size=(3_000, 12))
    return _frame(X, np.array([f"k{k % 30:02d}" for k in which]))


def wide() -> pd.DataFrame:
    """Two classes, 300 rows, 600 columns in correlated groups of ten, of which three groups matter."""
    rng = np.random.default_rng(4)
    causes = rng.normal(size=(300, 60))
    X = np.repeat(causes, 10, axis=1) + rng.normal(size=(300, 600))
    score = causes[:, 0] + causes[:, 1] - causes[:, 2]
    return _frame(X, _words(score + rng.logistic(scale=0.5, size=300) > 0))


def levels() -> pd.DataFrame:
    """Two classes, 8,000 rows: categories of 400 and 60 levels with an effect each, and five numbers."""
    rng = np.random.default_rng(5)
    n = 8_000
    effects, others = rng.normal(size=400), rng.normal(size=60)
    a = np.minimum(rng.zipf(1.4, size=n) - 1, 399)
    b = rng.integers(60, size=n)
    X = rng.normal(size=(n, 5))
    score = effects[a] + others[b] + 0.7 * X[:, 0] * (X[:, 1] > 0)
    frame = _frame(X, _words(score + rng.logistic(scale=0.7, size=n) > 0))
    frame.insert(0, "shop", [f"s{k:03d}" for k in a])
    frame.insert(1, "item", [f"i{k:02d}" for k in b])
    return frame


def tall() -> pd.DataFrame:
    """Regression, 20,000 rows, 12 numbers: steps, a product and a wave, noise of a third of the signal."""
    rng = np.random.default_rng(6)
    X = rng.uniform(-2, 2, size=(20_000, 12))
    signal = (
        2 * (X[:, 0] > 0.3) + X[:, 1] * X[:, 2] + np.sin(3 * X[:, 3]) + 0.5 * np.maximum(X[:, 4], X[:, 5])
    )
    return _frame(X, np.round(signal + rng.normal(scale=signal.std() / 3, size=len(X)), 6))


def _words(positive: np.ndarray) -> np.ndarray:
    return np.where(positive, "yes", "no")


MADE: Final[dict[str, tuple[str, Callable[[], pd.DataFrame]]]] = {
    "friedman": ("regression", friedman),
    "noisy": ("binary", noisy),
    "many_classes": ("multiclass", many_classes),
    "wide": ("binary", wide),
    "levels": ("binary", levels),
    "tall": ("regression", tall),
}
