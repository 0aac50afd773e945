"""Generative models of the classes: naive Bayes and discriminant analysis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Float
from rung.tabular.learners.base import CLASSIFICATION, FRAMES, Cost, Learner, Setting, Trained
from rung.tabular.preparation import Needs


def _fit_bayes(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    from sklearn.naive_bayes import GaussianNB

    return Trained(GaussianNB(var_smoothing=config["smoothing"]).fit(X, y, setting.weight))


def _fit_discriminant(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=config["shrinkage"])
    return Trained(model.fit(X[:, :_WIDEST], y) if X.shape[1] <= _WIDEST else _narrowed(model, X, y))


def _fit_quadratic(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    """On components, so that each class's covariance has more rows than columns."""
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline

    rarest = int(np.bincount(y.astype(np.intp)).min())
    components = max(1, min(X.shape[1], rarest - 2, _COMPONENTS))
    model = QuadraticDiscriminantAnalysis(reg_param=config["shrinkage"])
    return Trained(make_pipeline(PCA(components, random_state=0), model).fit(X, y))


_COMPONENTS = 60
_WIDEST = 500  # the covariance's solution is cubic in the columns


def _narrowed(model: Any, X: NDArray[np.float64], y: NDArray[np.float64]) -> Any:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.pipeline import make_pipeline

    components = min(_WIDEST // 5, len(y) - 1, X.shape[1] - 1)
    return make_pipeline(TruncatedSVD(components, random_state=0), model).fit(X, y)


BAYES = Learner(
    name="bayes",
    line="Gaussian naive Bayes.",
    tasks=CLASSIFICATION,
    space={"smoothing": Float(1e-9, 1.0, log=True)},
    defaults=({"smoothing": 0.01},),
    needs=Needs(scaled=True),
    fit=_fit_bayes,
    merit=0.3,
    cost=Cost(0.01, cells=0.2),
    scales=("quantile", "standard"),
    without=FRAMES,
)

DISCRIMINANT = Learner(
    name="discriminant",
    line="Linear discriminant analysis with shrinkage.",
    tasks=CLASSIFICATION,
    space={"shrinkage": Float(1e-4, 1.0, log=True)},
    defaults=({"shrinkage": 0.05},),
    needs=Needs(scaled=True),
    fit=_fit_discriminant,
    merit=0.5,
    cost=Cost(0.02, cells=0.15),
    weights=False,
    without=FRAMES,
)

QUADRATIC = Learner(
    name="quadratic",
    line="Quadratic discriminant analysis with shrinkage.",
    tasks=CLASSIFICATION,
    space={"shrinkage": Float(1e-4, 1.0, log=True)},
    defaults=({"shrinkage": 0.1},),
    needs=Needs(scaled=True),
    fit=_fit_quadratic,
    merit=0.5,
    cost=Cost(0.02, cells=0.2),
    most_classes=30,
    weights=False,
    without=FRAMES,
)
