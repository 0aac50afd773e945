"""Writing and reading model files loads no PyTorch."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
