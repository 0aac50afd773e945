"""What a metric is: a function of truth and prediction, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]
    Score: TypeAlias = Callable[[Array, Array, Array], float]

CLASSES: Final = ("binary", "multiclass")
NUMBERS: Final = ("regression", "quantile")


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
        """The same, turned so that less is better and, where there is a best value, 0 is best."""
        value = self.score(y, prediction, sample_weight)
        return (self.best or 0.0) - value if self.greater_is_better else value
