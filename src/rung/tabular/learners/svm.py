"""A support vector machine with an RBF kernel, for tables of a few thousand rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Float
from rung.tabular.learners.base import ALL_TASKS, FRAMES, Cost, Learner, Setting, Trained
from rung.tabular.preparation import Needs
from rung.tabular.splits import make_split

_CACHE = 200  # MB of kernel
_STEPS = 200_000  # of the solver, at most


@dataclass
class Scaled:
    """A machine, and a logistic regression from its decisions to probabilities (Platt 1999)."""

    machine: Any
    platt: Any

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n, k)."""
        return np.asarray(self.platt.predict_proba(_decisions(self.machine, X)))


def _decisions(machine: Any, X: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 1) for two classes, by one product of matrices, where the library goes row by row; else (n, k)."""
    if len(machine.dual_coef_) == 1:
        from sklearn.metrics.pairwise import rbf_kernel

        near = rbf_kernel(X, machine.support_vectors_, gamma=machine.gamma)
        return np.asarray(near @ machine.dual_coef_.T + machine.intercept_)
    found = np.asarray(machine.decision_function(X), dtype=np.float64)
    return found[:, None] if found.ndim == 1 else found


def _fit(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC, SVR

    shared = {
        "C": config["C"],
        "gamma": config["gamma"] / X.shape[1],
        "cache_size": _CACHE,
        "max_iter": _STEPS,
    }
    if not setting.classes:
        return Trained(SVR(epsilon=0.05, **shared).fit(X, y, setting.weight))
    folds = make_split(y, setting.classes, 3, 0.0, setting.seed).folds
    machine = SVC(**shared).fit(X, y, setting.weight)
    decisions, known = _decisions(machine, X), np.zeros(len(y), dtype=bool)
    for fold in range(3):  # decisions for the rows that a machine was trained on are too sure of themselves
        test = folds == fold
        some = None if setting.weight is None else setting.weight[~test]
        if not test.any() or len(np.unique(y[~test])) < setting.classes:
            continue
        decisions[test] = _decisions(SVC(**shared).fit(X[~test], y[~test], some), X[test])
        known |= test
    known = known if len(np.unique(y[known])) == setting.classes else np.ones(len(y), dtype=bool)
    weight = None if setting.weight is None else setting.weight[known]
    platt = LogisticRegression(C=10.0, max_iter=200).fit(decisions[known], y[known], weight)
    return Trained(Scaled(machine, platt))


SVM = Learner(
    name="svm",
    line="Support vector machine with an RBF kernel (Cortes, Vapnik 1995).",
    tasks=ALL_TASKS,
    space={"C": Float(1e-2, 1e3, log=True), "gamma": Float(0.02, 5.0, log=True)},
    defaults=({"C": 3.0, "gamma": 0.5}, {"C": 30.0, "gamma": 0.2}),
    needs=Needs(scaled=True),
    reduces=("none", "select", "pca"),
    fit=_fit,
    merit=2.0,
    whole=1.0,
    cost=Cost(0.02, rows=2.0, cells=8.0, power=2.0),
    up_to=6_000,
    most_classes=12,
    without=FRAMES,
)
