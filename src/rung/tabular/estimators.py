"""rung as scikit-learn estimators: `AutoClassifier` and `AutoRegressor`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_feature_names, _check_n_features, check_is_fitted, column_or_1d

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.result import FitResult

_TARGET = "target of the fit"  # a name that no column of the caller's has


class _Auto(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share: the search, and what is shown of it.

    Args:
        budget: wall time of `fit`, in seconds or as "5m"; less is used where nothing is left to gain.
        metric: what is optimised; AUC, log loss or RMSE unless given.
        random_state: seed (an int), a RandomState, or None for another one each time.
        workers: processes; one, in line, for small tables and budgets, else all cores, unless given.
    """

    def __init__(
        self,
        budget: float | str = 60,
        metric: str | None = None,
        random_state: Any = None,
        workers: int | None = None,
    ) -> None:
        self.budget = budget
        self.metric = metric
        self.random_state = random_state
        self.workers = workers

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = False
        return tags

    def _search(self, frame: pd.DataFrame, y: NDArray[Any], task: str) -> Self:
        from sklearn.utils import check_random_state

        from rung.study.durations import seconds
        from rung.tabular.fit import fit_table

        began = time.monotonic()
        if len(frame) != len(y):
            raise ValueError(f"X has {len(frame)} rows and y has {len(y)}: they must be as many")
        frame = frame.assign(**{_TARGET: y})
        self.result_: FitResult = fit_table(
            frame,
            _TARGET,
            budget=seconds(self.budget),
            task=task,
            metric=self.metric,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            workers=self.workers,
            started=began,
        )
        self.model_ = self.result_.model
        return self

    @property
    def leaderboard_(self) -> pd.DataFrame:
        """All configurations that were tried, the best first."""
        import pandas as pd

        check_is_fitted(self, "result_")
        return pd.DataFrame(self.result_.leaderboard, columns=list(self.result_.leaderboard[0]._fields))

    @property
    def report_(self) -> str:
        """The report, as the text of one HTML file."""
        from rung.tabular.report import Subject, render_report

        check_is_fitted(self, "result_")
        return render_report(self.result_, Subject("a table"))

    def save(self, path: str | Path) -> Path:
        """Write the model to a file that `rung.load` and `rung predict` read."""
        from rung.tabular.model_file import save_model

        check_is_fitted(self, "model_")
        return save_model(self.model_, path)


class AutoClassifier(ClassifierMixin, _Auto):  # type: ignore[misc]
    """A classifier that searches for the best model within a budget.

    Attributes after `fit`: `classes_`, `model_`, `result_`, `leaderboard_`, `report_`, `n_features_in_`, and
    `feature_names_in_` where X has names.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Search on X (array or frame, missing cells and categories allowed) with labels y."""
        frame, y = _frame(self, X, reset=True), _target(self, y)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class only, {self.classes_[0]!r}: a classifier needs at least two classes"
            )
        return self._search(frame, y, "binary" if len(self.classes_) == 2 else "multiclass")

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of the classes in the order of `classes_`: (n, k)."""
        frame = _table(self, X)
        return self.model_.predict_proba(frame)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable classes: (n,)."""
        check_is_fitted(self, "model_")
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class AutoRegressor(RegressorMixin, _Auto):  # type: ignore[misc]
    """A regressor that searches for the best model within a budget.

    Attributes after `fit`: `model_`, `result_`, `leaderboard_`, `report_`, `n_features_in_`, and
    `feature_names_in_` where X has names.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Search on X (array or frame, missing cells and categories allowed) with values y."""
        frame = _frame(self, X, reset=True)
        return self._search(frame, np.asarray(_target(self, y), dtype=np.float64), "regression")

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Values: (n,)."""
        frame = _table(self, X)
        return self.model_.predict(frame)


def _table(estimator: Any, X: Any) -> pd.DataFrame:
    check_is_fitted(estimator, "model_")
    return _frame(estimator, X, reset=False)


def _target(estimator: Any, y: Any) -> NDArray[Any]:
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
    y = column_or_1d(y, warn=True)
    type_of_target(y, input_name="y", raise_unknown=True)
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("y contains NaN or infinity: leave such rows out")
    return np.asarray(y)


def _frame(estimator: Any, X: Any, *, reset: bool) -> pd.DataFrame:
    """X as a frame, checked as scikit-learn checks it; columns without names are called x0, x1, ..."""
    import pandas as pd

    _check_feature_names(estimator, X, reset=reset)
    if isinstance(X, pd.DataFrame):
        if 0 in X.shape:
            raise ValueError(
                f"Found a frame with {X.shape[0]} rows and {X.shape[1]} columns: give one of each at least"
            )
        frame = X.reset_index(drop=True)
    else:
        array = check_array(X, dtype=None, ensure_all_finite="allow-nan", ensure_min_features=1)
        frame = pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])])
    _check_n_features(estimator, frame, reset=reset)
    return frame
