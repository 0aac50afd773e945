from __future__ import annotations

import pickle
import sys
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest

from rung.errors import DataError
from rung.tabular.learners import table
from rung.tabular.learners.base import Setting
from rung.tabular.learners.foundation import TABICL, TABPFN, weights_of
from rung.tabular.learners.table import Wanted, fitting


class _Nearest:
    """Stands for a package's estimator: the same arguments and methods, one nearest neighbour inside."""

    made: ClassVar[list[dict]] = []

    def __init__(self, *, n_estimators, model_path, device, random_state, **more):
        self.made.append({"members": n_estimators, "path": model_path, "device": device, **more})

    def fit(self, X, y):
        self.X, self.y = X, y
        return self

    def predict(self, X):
        return self.y[((X[:, None] - self.X) ** 2).sum(axis=2).argmin(axis=1)]

    def predict_proba(self, X):
        return np.eye(int(self.y.max()) + 1)[self.predict(X)]


@pytest.fixture
def _packages(monkeypatch, tmp_path):
    for name in ("tabpfn", "tabicl"):
        module = ModuleType(name)
        module.TabPFNClassifier = module.TabPFNRegressor = module.TabICLClassifier = _Nearest
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setenv(f"RUNG_{name.upper()}", str(tmp_path))
    (tmp_path / "model-classifier.ckpt").touch()
    (tmp_path / "model-regressor.ckpt").touch()
    monkeypatch.setattr(table, "_installed", lambda package: True)
    _Nearest.made = []


@pytest.mark.usefixtures("_packages")
@pytest.mark.parametrize(("learner", "classes"), [(TABPFN, 2), (TABPFN, 0), (TABICL, 3)])
def test_rows_are_kept_and_weights_come_from_the_folder(learner, classes, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    y = np.arange(30.0) % classes if classes else X[:, 0]
    model = learner.fit({"members": 2}, X, y, Setting(classes)).estimator
    again = pickle.loads(pickle.dumps(model))
    found = again.predict_proba(X).argmax(axis=1) if classes else again.predict(X)
    assert np.allclose(found, y)
    made = _Nearest.made[-1]
    assert made["path"] == str(tmp_path / f"model-{'classifier' if classes else 'regressor'}.ckpt")
    assert (made["members"], made["device"]) == (2, "cpu")
    if learner is TABICL:
        assert made["allow_auto_download"] is False


@pytest.mark.usefixtures("_packages")
def test_they_are_there_only_with_weights(monkeypatch):
    assert {"tabpfn", "tabicl"} <= {x.name for x in fitting("binary", 2, 500)}
    assert not {"tabpfn", "tabicl"} & {x.name for x in fitting("binary", 2, 50_000)}
    monkeypatch.delenv("RUNG_TABPFN")
    assert "tabpfn" not in {x.name for x in fitting("binary", 2, 500)}
    with pytest.raises(DataError, match=r"'tabpfn' is not ready: .*RUNG_TABPFN"):
        fitting("binary", 2, 500, Wanted(include=("tabpfn",)))


@pytest.mark.usefixtures("_packages")
def test_a_model_without_its_weights_says_so(monkeypatch):
    model = TABPFN.fit({"members": 1}, np.zeros((4, 1)), np.array([0.0, 1, 0, 1]), Setting(2)).estimator
    monkeypatch.delenv("RUNG_TABPFN")
    with pytest.raises(DataError, match="needs the weights of tabpfn: set RUNG_TABPFN"):
        model.predict_proba(np.zeros((1, 1)))


def test_one_file_serves_all_tasks(monkeypatch, tmp_path):
    file = tmp_path / "weights.ckpt"
    file.touch()
    monkeypatch.setenv("RUNG_TABICL", str(file))
    assert weights_of("tabicl", 2) == file
    monkeypatch.setenv("RUNG_TABICL", str(tmp_path / "nowhere"))
    assert weights_of("tabicl", 2) is None
