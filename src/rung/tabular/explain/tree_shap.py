"""SHAP values of a fitted ensemble of trees, for the columns of its matrix.

Boosting libraries compute them themselves; of scikit-learn's forests and boosting they come from the package
`shap`, where it is installed (TreeExplainer; Lundberg et al. 2020, algorithm 2).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Values = Callable[[Any, Floats], Floats | None]
"""Of an estimator and its matrix (n, d): (n, d + 1, m) for m outputs, the base at the end; None where they do
not sum to what the estimator says.
"""

LOADING: Final = 8.0  # seconds that importing shap may take
_CLOSE: Final = 1e-4  # how exactly values must sum; what trees add up to is of the size of 1


def values_of(estimator: Any, seconds: float = float("inf")) -> Values | None:
    """What computes its values within so many seconds, importing included; None where nothing does."""
    name = type(estimator).__name__
    if name in _LIBRARIES:
        return _LIBRARIES[name]
    if name not in SCIKIT_LEARN or getattr(estimator, "is_categorical_", None) is not None:
        return None
    return _explained if available(seconds) else None


def available(seconds: float = float("inf")) -> bool:
    """Whether the package `shap` is there, and loaded or quickly enough so."""
    return "shap" in sys.modules or (seconds >= LOADING and find_spec("shap") is not None)


def load() -> None:
    """Import `shap` beforehand, as it takes seconds; a broken installation is as good as none."""
    with suppress(ImportError):
        import shap  # noqa: F401


def is_vote(estimator: Any) -> bool:
    """Whether its outputs are probabilities, not log odds or scores."""
    return type(estimator).__name__ in ("RandomForestClassifier", "ExtraTreesClassifier")


def _lightgbm(estimator: Any, X: Floats) -> Floats:
    found = np.asarray(estimator.booster.predict(X, pred_contrib=True, num_threads=1), dtype=np.float64)
    outputs = found.shape[1] // (X.shape[1] + 1)
    return found.reshape(len(X), outputs, X.shape[1] + 1).transpose(0, 2, 1)


def _xgboost(estimator: Any, X: Floats) -> Floats:
    import xgboost

    rows = xgboost.DMatrix(X, feature_types=estimator.types, enable_categorical=True, nthread=1)
    found = estimator.booster.predict(rows, pred_contribs=True, iteration_range=(0, estimator.rounds))
    found = np.asarray(found, dtype=np.float64)
    return found[:, :, None] if found.ndim == 2 else found.transpose(0, 2, 1)


def _catboost(estimator: Any, X: Floats) -> Floats:
    """The library has numbers first, then categories."""
    found = np.asarray(estimator.contributions(X), dtype=np.float64)
    found = found[:, :, None] if found.ndim == 2 else found.transpose(0, 2, 1)
    numeric = np.setdiff1d(np.arange(X.shape[1]), estimator.categorical)
    order = np.concatenate([numeric, np.asarray(estimator.categorical, dtype=np.intp)])
    back = np.argsort(order)
    return np.asarray(found[:, np.append(back, X.shape[1])])


def _explained(estimator: Any, X: Floats) -> Floats | None:
    import shap

    explainer = shap.TreeExplainer(estimator, feature_perturbation="tree_path_dependent")
    amounts = np.asarray(explainer.shap_values(X, check_additivity=False), dtype=np.float64)
    amounts = amounts.reshape(len(X), X.shape[1], -1)
    base = np.broadcast_to(np.atleast_1d(explainer.expected_value), (len(X), 1, amounts.shape[2]))
    found = np.concatenate([amounts, base], axis=1)
    told = _output(estimator, X).reshape(len(X), -1)
    total = found.sum(axis=1)
    if total.shape != told.shape or not np.allclose(total, told, rtol=0, atol=_CLOSE):
        return None
    return found[:, :, -1:] if is_vote(estimator) and found.shape[2] == 2 else found


def _output(estimator: Any, X: Floats) -> Floats:
    """What the trees add up to."""
    if is_vote(estimator):
        return np.asarray(estimator.predict_proba(X), dtype=np.float64)
    if hasattr(estimator, "decision_function"):
        return np.asarray(estimator.decision_function(X), dtype=np.float64)
    return np.asarray(estimator.predict(X), dtype=np.float64)


_LIBRARIES: Final[dict[str, Values]] = {
    "LightGBMModel": _lightgbm,
    "XGBoostModel": _xgboost,
    "CatBoostModel": _catboost,
}
SCIKIT_LEARN: Final = (
    "RandomForestClassifier",
    "RandomForestRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
    "HistGradientBoostingClassifier",
    "HistGradientBoostingRegressor",
)
