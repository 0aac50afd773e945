"""Tabular foundation models, where the user has the package and its weights in a local folder.

A variable names the weights: RUNG_TABPFN for TabPFN (Hollmann et al. 2025), RUNG_TABICL for TabICL (Qu et
al. 2025). It is a file, or a folder in which the file whose name holds "classifier" or "regressor" is taken;
nothing is ever fetched. Such a model has no training: its file keeps the rows, and finds the weights by the
variable where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.space.domains import Integer
from rung.tabular.learners.base import ALL_TASKS, CLASSIFICATION, Cost, Learner, Setting, Trained
from rung.tabular.preparation import Needs

VARIABLES = {"tabpfn": "RUNG_TABPFN", "tabicl": "RUNG_TABICL"}
_ENDINGS = (".ckpt", ".pt", ".safetensors")


@dataclass
class Foundation:
    """The rows that it was given; the package's object is made when first used, and never saved."""

    package: str
    X: NDArray[np.float32]
    y: NDArray[np.float64]
    classes: int
    members: int
    seed: int

    def __post_init__(self) -> None:
        self._estimator: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_estimator"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._estimator = None

    @property
    def estimator(self) -> Any:
        """The package's estimator, with the rows."""
        if self._estimator is None:
            path = weights_of(self.package, self.classes)
            if path is None:
                raise DataError(
                    f"this model needs the weights of {self.package}: set {VARIABLES[self.package]} to their "
                    "file or folder"
                )
            y = self.y.astype(np.int64) if self.classes else self.y
            self._estimator = _make(self, path).fit(self.X, y)
        return self._estimator

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (n,)."""
        return np.asarray(self.estimator.predict(X.astype(np.float32)), dtype=np.float64)

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n, k)."""
        return np.asarray(self.estimator.predict_proba(X.astype(np.float32)), dtype=np.float64)


def weights_of(package: str, classes: int) -> Path | None:
    """The file of the weights for classes, or for values where `classes` is 0; None if there is none."""
    given = os.environ.get(VARIABLES[package])
    if not given:
        return None
    place = Path(given)
    if place.is_file():
        return place
    kind = "classifier" if classes else "regressor"
    found = sorted(x for x in place.glob("*") if kind in x.name and x.suffix in _ENDINGS)
    return found[-1] if found else None


def _make(wanted: Foundation, path: Path) -> Any:
    if wanted.package == "tabicl":
        from tabicl import TabICLClassifier

        return TabICLClassifier(
            n_estimators=wanted.members,
            model_path=str(path),
            allow_auto_download=False,
            device="cpu",
            random_state=wanted.seed,
        )
    import tabpfn

    kind = tabpfn.TabPFNClassifier if wanted.classes else tabpfn.TabPFNRegressor
    return kind(
        n_estimators=wanted.members,
        model_path=str(path),
        device="cpu",
        random_state=wanted.seed,
        ignore_pretraining_limits=True,
    )


def _fit(
    package: str,
    config: Mapping[str, Any],
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    setting: Setting,
) -> Trained:
    return Trained(
        Foundation(package, X.astype(np.float32), y, setting.classes, config["members"], setting.seed)
    )


def _there(package: str) -> bool:
    return any(weights_of(package, classes) is not None for classes in (0, 2))


def _learner(package: str, line: str, tasks: frozenset[str]) -> Learner:
    return Learner(
        name=package,
        line=line,
        tasks=tasks,
        space={"members": Integer(1, 16, log=True)},
        defaults=({"members": 4},),
        needs=Needs(missing=True),
        fit=partial(_fit, package),
        merit=12.0,
        whole=1.0,
        cost=Cost(3.0, rows=60.0, cells=20.0),
        encodings=("ordinal", "onehot"),
        up_to=10_000,
        most_classes=10,
        requires=(package,),
        weights=False,
        there=partial(_there, package),
    )


TABPFN = _learner("tabpfn", "TabPFN, with weights in the folder of RUNG_TABPFN.", ALL_TASKS)
TABICL = _learner("tabicl", "TabICL, with weights in the folder of RUNG_TABICL.", CLASSIFICATION)
