"""What a metric is: a function of truth and prediction, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from rung.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]
    Score: TypeAlias = Callable[[Array, Array, Array], float]

CLASSES: Final = ("binary", "multiclass")
NUMBERS: Final = ("regression", "quantile")
_LOGARITHM: Final = ("above -1", np.nextafter(-1.0, 0.0))
_LEAST: Final = {
    "rmsle": _LOGARITHM,
    "mean_squared_log_error": _LOGARITHM,
    "root_mean_squared_log_error": _LOGARITHM,
    "mean_poisson_deviance": ("of 0 or more", 0.0),
    "mean_gamma_deviance": ("above 0", np.nextafter(0.0, 1.0)),
}
"""What a metric's true values must be, in words and as the least one; all others take any."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        needs: "probabilities", "labels" or "values".
        tasks: kinds of tasks that it can judge.
        best: the value that no model exceeds, None if there is none.
    """

    name: str
    greater_is_better: bool
    needs: str
    tasks: tuple[str, ...]
    function: Score
    best: float | None

    @property
    def weighted(self) -> bool:
        """Whether weights of rows say something to it: to a function of the user's they may not."""
        return bool(getattr(self.function, "weighted", True))

    def score(self, y: Array, prediction: Array, sample_weight: Array | None = None) -> float:
        """The metric in its own sense.

        Args:
            y: class codes or values, (n,).
            prediction: probabilities (n, k); codes (n,) do for a metric of labels; values (n,).
            sample_weight: (n,), ones by default.
        """
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        prediction = np.asarray(prediction)
        if self.needs == "labels" and prediction.ndim == 2:
            prediction = prediction.argmax(axis=1)
        return float(self.function(np.asarray(y), prediction, weight))

    def loss(self, y: Array, prediction: Array, sample_weight: Array | None = None) -> float:
        """The same, turned so that less is better and, where there is a best value, 0 is best.

        Infinite where the metric is undefined, as a correlation with a constant is.
        """
        value = self.score(y, prediction, sample_weight)
        if np.isnan(value):
            return float(np.inf)
        return (self.best or 0.0) - value if self.greater_is_better else value

    def takes(self, y: Array) -> bool:
        """Whether the metric is defined of these true values."""
        return self.name not in _LEAST or bool((np.asarray(y) >= _LEAST[self.name][1]).all())

    def check(self, y: Array, target: str) -> None:
        """Refuse true values that the metric is not defined of.

        Raises:
            DataError: names one of them.
        """
        if self.takes(y):
            return
        words, least = _LEAST[self.name]
        raise DataError(
            f"metric {self.name} is for numbers {words}, and column {target!r} holds {y[y < least][0]:g}; "
            "choose another, such as rmse or mae, or leave such rows out"
        )
