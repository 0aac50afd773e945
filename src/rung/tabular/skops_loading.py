"""Loading skops, which writes and reads model files, without what it loads by the way.

skops asks scikit-learn for all of its estimators, and that loads every package beside them: of the adapters
to other array libraries the one to PyTorch, which is two seconds and 180 MB wherever it is installed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Final

_ADAPTER: Final = "sklearn.externals.array_api_compat.torch"


def load_skops() -> ModuleType:
    """`skops.io`; PyTorch is not loaded for it."""
    if "skops.io" in sys.modules or _ADAPTER in sys.modules:
        return import_module("skops.io")
    loaded: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]  # None: not to be found
    loaded[_ADAPTER] = None
    try:
        return import_module("skops.io")
    finally:
        del loaded[_ADAPTER]  # scikit-learn loads it itself where it is given tensors
