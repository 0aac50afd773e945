"""rung as scikit-learn estimators: `AutoClassifier` and `AutoRegressor`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_feature_names, _check_n_features, check_is_fitted, column_or_1d

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.result import FitResult

_DENSE = 0.25  # of the free memory a sparse matrix may take as an array
_TARGET = "target of the fit"  # names that no column of the caller's has
_WEIGHT = "weight of the fit"
_GROUP = "group of the fit"


class _Beside(NamedTuple):
    """What comes with the rows of a fit: (n,) each, or None."""

    weight: Any
    groups: Any

    def columns(self, rows: int) -> dict[str, NDArray[Any]]:
        """As columns of the frame.

        Raises:
            ValueError: they are not as many as the rows, or weights cannot be used.
        """
        found = {}
        for name, values in ((_WEIGHT, self.weight), (_GROUP, self.groups)):
            if values is None:
                continue
            array = np.asarray(values)
            if name == _WEIGHT and array.dtype.kind not in "biuf":
                raise ValueError(f"Invalid sample_weight: numbers are needed, and not {array.dtype}.")
            if array.shape != (rows,):
                what = "sample_weight" if name == _WEIGHT else "groups"
                raise ValueError(f"{what}.shape == {array.shape}, expected {(rows,)}!")
            if name == _WEIGHT and not (np.isfinite(array).all() and (array >= 0).all() and array.any()):
                raise ValueError("Invalid sample_weight: numbers from 0 up are needed, not all of them zero.")
            found[name] = array
        return found


class _Auto(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share: the search, and what is shown of it.

    Args:
        budget: wall time of `fit`, in seconds or as "5m"; less is used where nothing is left to gain.
        metric: what is optimised; AUC, log loss or RMSE unless given.
        random_state: seed (an int), a RandomState, or None for another one each time.
        workers: processes; one, in line, for small tables and budgets, else all cores, unless given.
        include, exclude: learners by name (`rung methods` lists them); all that fit the task unless given.
        kinds: of columns whose kind is not to be guessed: number, category, text or date.
        predict_time: seconds that predicting a row, of a thousand at once, may take.
        drift_sample: whether the model keeps a sample of the rows, in bins; `rung check` tells drift by it.
    """

    def __init__(  # noqa: PLR0913  # a door
        self,
        budget: float | str = 60,
        metric: Any = None,
        random_state: Any = None,
        workers: int | None = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
        kinds: Mapping[str, str] | None = None,
        predict_time: float | None = None,
        drift_sample: bool = True,
    ) -> None:
        self.budget = budget
        self.metric = metric
        self.random_state = random_state
        self.workers = workers
        self.include = include
        self.exclude = exclude
        self.kinds = kinds
        self.predict_time = predict_time
        self.drift_sample = drift_sample

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = False
        return tags

    def _search(self, frame: pd.DataFrame, y: NDArray[Any], task: str, beside: _Beside) -> Self:
        from sklearn.utils import check_random_state

        from rung.study.durations import seconds
        from rung.tabular.fit import fit_table

        began = time.monotonic()
        if len(frame) != len(y):
            raise ValueError(f"X has {len(frame)} rows and y has {len(y)}: they must be as many")
        if isinstance(self.predict_time, str):
            raise ValueError(
                f"predict_time is seconds as a number, 0.001 for a millisecond, and not {self.predict_time!r}"
            )
        frame = frame.assign(**{_TARGET: y}, **beside.columns(len(y)))
        self.result_: FitResult = fit_table(
            frame,
            _TARGET,
            budget=seconds(self.budget),
            task=task,
            metric=self.metric,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            workers=self.workers,
            started=began,
            include=_names(self.include),
            exclude=_names(self.exclude),
            kinds=self.kinds,
            predict_time=self.predict_time,
            drift_sample=self.drift_sample,
            weights=None if beside.weight is None else _WEIGHT,
            split=None if beside.groups is None else f"group:{_GROUP}",
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Search on X (array, or frame of pandas or polars; gaps and categories allowed) with labels y.

        Args:
            sample_weight: (n,) of the rows, in training and in every score.
            groups: (n,) rows of one group are held out together.
        """
        frame, y = _frame(self, X, reset=True), _target(self, y)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class only, {self.classes_[0]!r}: a classifier needs at least two classes"
            )
        task = "binary" if len(self.classes_) == 2 else "multiclass"
        return self._search(frame, y, task, _Beside(sample_weight, groups))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of the classes in the order of `classes_`: (n, k)."""
        frame = _table(self, X)
        return self.model_.predict_proba(frame)

    def predict(self, X: Any) -> NDArray[Any]:
        """The classes: (n,); the most probable ones, but where the metric asks for another threshold."""
        check_is_fitted(self, "model_")
        return np.asarray(self.classes_[self.model_.codes(self.predict_proba(X))])

    def predict_set(self, X: Any, coverage: float = 0.9) -> list[list[Any]]:
        """For each row the classes of which one is right with this probability: conformal sets."""
        from rung.tabular import conformal

        return conformal.predict_set(self.model_, _table(self, X), coverage).labels()


class AutoRegressor(RegressorMixin, _Auto):  # type: ignore[misc]
    """A regressor that searches for the best model within a budget.

    Its parameters are `AutoClassifier`'s and `quantile`: predict this quantile, not the mean.

    Attributes after `fit`: `model_`, `result_`, `leaderboard_`, `report_`, `n_features_in_`, and
    `feature_names_in_` where X has names.
    """

    def __init__(  # noqa: PLR0913  # a door
        self,
        budget: float | str = 60,
        metric: Any = None,
        random_state: Any = None,
        workers: int | None = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
        kinds: Mapping[str, str] | None = None,
        predict_time: float | None = None,
        quantile: float | None = None,
        drift_sample: bool = True,
    ) -> None:
        super().__init__(
            budget, metric, random_state, workers, include, exclude, kinds, predict_time, drift_sample
        )
        self.quantile = quantile

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Search on X (array, or frame of pandas or polars; gaps and categories allowed) with values y.

        Args:
            sample_weight: (n,) of the rows, in training and in every score.
            groups: (n,) rows of one group are held out together.
        """
        frame = _frame(self, X, reset=True)
        values = np.asarray(_target(self, y), dtype=np.float64)
        task = "regression" if self.quantile is None else f"quantile:{self.quantile!r}"
        return self._search(frame, values, task, _Beside(sample_weight, groups))

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Values: (n,)."""
        frame = _table(self, X)
        return self.model_.predict(frame)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> NDArray[np.float64]:
        """For each row the bounds that hold its value with this probability, (n, 2): conformal intervals."""
        from rung.tabular import conformal

        found = conformal.predict_interval(self.model_, _table(self, X), coverage)
        return np.column_stack([found.low, found.high])


def _table(estimator: Any, X: Any) -> pd.DataFrame:
    check_is_fitted(estimator, "model_")
    return _frame(estimator, X, reset=False)


def _names(given: Sequence[str] | None) -> tuple[str, ...]:
    """Names of learners; a word is one name, and not a sequence of letters."""
    return (given,) if isinstance(given, str) else tuple(given or ())


def _target(estimator: Any, y: Any) -> NDArray[Any]:
    import pandas as pd

    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("y contains NaN or infinity: leave such rows out")
    if y.dtype.kind == "O" and pd.isna(y).any():
        raise ValueError("y contains NaN or other missing values: leave such rows out")
    type_of_target(y, input_name="y", raise_unknown=True)
    return np.asarray(y)


def _dense(X: Any) -> Any:
    """SciPy's sparse matrices as arrays, for that is what learners are given; all else as it is."""
    from scipy import sparse

    from rung.tabular.room import free_bytes

    if not sparse.issparse(X):
        return X
    matrix: Any = X
    rows, width = matrix.shape
    size = 8 * rows * width
    if size > _DENSE * free_bytes():
        raise ValueError(
            f"a sparse X of {rows:,} rows and {width:,} columns would take {size / 1e9:.1f} GB as "
            "an array, which is what learners read: choose or combine columns before, as with TruncatedSVD"
        )
    return matrix.toarray()


def _frame(estimator: Any, X: Any, *, reset: bool) -> pd.DataFrame:
    """X as pandas' frame, checked as scikit-learn checks it; columns without names are called x0, x1, ...

    Where only the rows of the fit or only these have names, scikit-learn warns and goes by position: then the
    columns are called as in the fit.
    """
    import pandas as pd

    from rung.tabular.frames import as_pandas

    if hasattr(X, "to_pandas"):  # a frame of polars, a pyarrow.Table
        X = as_pandas(X)
    _check_feature_names(estimator, X, reset=reset)
    if isinstance(X, pd.DataFrame):
        if 0 in X.shape:
            raise ValueError(
                f"Found a frame with {X.shape[0]} rows and {X.shape[1]} columns: give one of each at least"
            )
        frame = X.reset_index(drop=True)
    else:
        X = _dense(X)
        array = check_array(X, dtype=None, ensure_all_finite="allow-nan", ensure_min_features=1)
        frame = pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])])
    _check_n_features(estimator, frame, reset=reset)
    if reset:
        estimator._columns = frame.columns
    return frame.set_axis(estimator._columns, axis=1)
