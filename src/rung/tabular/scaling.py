"""Scales of columns, for learners that want one: learned on a fold's training rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class SmoothScaler:
    """Median and quartiles, and large values drawn in smoothly: x / sqrt(1 + (x / 3)^2).

    RealMLP's (Holzmueller, Grinsztajn, Steinwart 2024, section 3): where the quartiles are equal, the range
    stands for their distance; a constant column becomes 0.
    """

    center: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    factor: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def fit(self, matrix: NDArray[np.float64]) -> SmoothScaler:
        """Learn median and distances of each column."""
        low, self.center, high = np.quantile(matrix, (0.25, 0.5, 0.75), axis=0)
        quartiles, span = high - low, np.ptp(matrix, axis=0)
        distance = np.where(quartiles > 0, quartiles, span / 2)
        self.factor = np.where(distance > 0, 1.0 / np.where(distance > 0, distance, 1.0), 0.0)
        return self

    def transform(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, d), each value between -3 and 3."""
        x = (matrix - self.center) * self.factor
        return np.asarray(x / np.sqrt(1 + (x / 3) ** 2))


@dataclass
class MixedScaler:
    """A scaler for columns of many values; those of two values, such as one-hot ones, become 0 and 1.

    By ranks such a column would be drawn to the ends of the normal distribution, and its computing would take
    most of the time of a prediction.

    Attributes:
        inner: the scaler.
        varied, flat: the columns of many values, and the others.
        low, span: of the others.
    """

    inner: Any
    varied: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    flat: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    low: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    span: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def fit(self, matrix: NDArray[np.float64]) -> MixedScaler:
        """Find the columns of two values, and learn the scales of the others."""
        low, high = matrix.min(axis=0), matrix.max(axis=0)
        few = ((matrix == low) | (matrix == high)).all(axis=0)
        self.flat, self.varied = np.flatnonzero(few), np.flatnonzero(~few)
        self.low = low[few]
        self.span = np.where(high > low, high - low, 1.0)[few]
        if len(self.varied):
            self.inner.fit(matrix[:, self.varied])
        return self

    def transform(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, d)."""
        out = np.empty_like(matrix)
        out[:, self.flat] = (matrix[:, self.flat] - self.low) / self.span
        if len(self.varied):
            out[:, self.varied] = self.inner.transform(matrix[:, self.varied])
        return out


def make_scaler(scale: str, rows: int, seed: int) -> Any:
    from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler

    if scale == "smooth":
        return MixedScaler(SmoothScaler())
    if scale == "quantile":
        points = max(2, min(rows, 500))
        ranks = QuantileTransformer(
            n_quantiles=points, output_distribution="normal", random_state=seed % 2**31
        )
        return MixedScaler(ranks)
    return RobustScaler() if scale == "robust" else StandardScaler()
