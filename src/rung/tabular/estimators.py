"""rung as scikit-learn estimators: `AutoClassifier` and `AutoRegressor`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from rung.tabular.handed import (
    Beside,
    Whole,
    checked_words,
    class_labels,
    frame_of,
    learner_names,
    numbers,
    refuse_left_out,
    target_name,
    target_values,
    whole,
)

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.result import FitResult


class _Auto(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share: the search, and what is shown of it.

    Args:
        budget: wall time of `fit`, in seconds or as "5m"; less is used where nothing is left to gain.
        metric: what is optimised; AUC, log loss or RMSE unless given. A name, a scorer object of
            scikit-learn's, or a function of true and predicted values, or labels, where more is better; of an
            error make_scorer(f, greater_is_better=False). Functions that scikit-learn has a scorer of, as of
            mean_absolute_error, have that one's direction. By a name such as "f1" the second of two classes
            is the positive one; a scorer object's is that of its pos_label, 1 unless given, where a class is.
        random_state: seed (an int), a RandomState, or None for another one each time.
        workers: processes; one, in line, for small tables and budgets, else all cores, unless given.
        include, exclude: learners by name (`rung methods` lists them); all that fit the task unless given.
        kinds: of columns whose kind is not to be guessed: number, category, text or date.
        predict_time: seconds that predicting a row, of a thousand at once, may take.
        drift_sample: whether the model keeps a sample of the rows, in bins; `rung check` tells drift by it.
        trials: end after so many configurations, whatever time it takes: the same `random_state` then gives
            the same model. `budget` only lays the search out, and one process evaluates unless `workers`
            says otherwise.
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
        trials: int | None = None,
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
        self.trials = trials

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = False
        return tags

    def _search(self, given: Whole, task: str) -> Self:
        from sklearn.utils import check_random_state

        from rung.study.durations import seconds
        from rung.tabular.fit import fit_table

        began = time.monotonic()
        checked_words(self)
        self.result_: FitResult = fit_table(
            given.frame,
            given.target,
            budget=seconds(self.budget),
            task=task,
            metric=self.metric,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            workers=self.workers,
            started=began,
            include=learner_names(self.include, "include"),
            exclude=learner_names(self.exclude, "exclude"),
            kinds=self.kinds,
            predict_time=self.predict_time,
            drift_sample=self.drift_sample,
            trials=self.trials,
            weights=given.weights,
            split=None if given.groups is None else f"group:{given.groups}",
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
        frame, labels = frame_of(self, X, reset=True), target_values(self, y)
        check_classification_targets(labels)
        self.classes_ = class_labels(labels)
        refuse_left_out(labels, sample_weight)
        task = "binary" if len(self.classes_) == 2 else "multiclass"
        return self._search(whole(frame, (target_name(y), labels), Beside(sample_weight, groups)), task)

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
        trials: int | None = None,
    ) -> None:
        choice = include, exclude, kinds, predict_time, drift_sample, trials
        super().__init__(budget, metric, random_state, workers, *choice)
        self.quantile = quantile

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Search on X (array, or frame of pandas or polars; gaps and categories allowed) with values y.

        Args:
            sample_weight: (n,) of the rows, in training and in every score.
            groups: (n,) rows of one group are held out together.
        """
        frame = frame_of(self, X, reset=True)
        values = numbers(target_values(self, y))
        task = "regression" if self.quantile is None else f"quantile:{self.quantile}"
        return self._search(whole(frame, (target_name(y), values), Beside(sample_weight, groups)), task)

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
    return frame_of(estimator, X, reset=False)
