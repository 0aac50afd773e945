"""Writing and reading model files loads no PyTorch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rung.tabular.fit import fit_table
from rung.tabular.model_file import save_model

CODE = """
import sys
from rung.tabular.skops_loading import load_skops
io = load_skops()
assert io is sys.modules["skops.io"] is load_skops()
assert "torch" not in sys.modules, "PyTorch was loaded"
from skops.io._trusted_types import SKLEARN_ESTIMATOR_TYPE_NAMES as names
assert "sklearn.ensemble._forest.RandomForestClassifier" in names, names
assert "sklearn.externals.array_api_compat.torch" not in sys.modules
"""


def test_skops_is_loaded_without_pytorch() -> None:
    pytest.importorskip("torch")

    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


OWN = """
import sys
from rung.tabular.skops_loading import load_skops, only_rung_asks
only_rung_asks()
load_skops()
import sklearn.utils
assert "sklearn.datasets" not in sys.modules, "all of scikit-learn was loaded"
assert "sklearn.linear_model._base.LinearRegression" in {
    f"{kind.__module__}.{kind.__name__}" for _, kind in sklearn.utils.all_estimators()
}, "scikit-learn's own list is another afterwards"
from rung.tabular import load
load(sys.argv[1]).predict
"""


def test_a_process_of_its_own_loads_no_list_of_estimators(tmp_path: Path) -> None:
    """And reads model files all the same."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60), "y": rng.normal(size=60)})
    model = fit_table(frame, "y", budget=1.0, workers=1, include=["forest", "hist_boosting"]).model
    save_model(model, tmp_path / "model.rung")

    done = subprocess.run(
        [sys.executable, "-c", OWN, tmp_path / "model.rung"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
