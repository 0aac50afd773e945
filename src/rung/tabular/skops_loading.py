"""Loading skops, which writes and reads model files, without what it loads by the way.

skops asks scikit-learn for all of its estimators, and that loads every package beside them: of the adapters
to other array libraries the one to PyTorch, which is two seconds and 180 MB wherever it is installed.
A process that is rung's own does without that list: see `only_rung_asks`.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from importlib import import_module
from types import ModuleType
from typing import Final

_ADAPTER: Final = "sklearn.externals.array_api_compat.torch"


class _Process:
    """What this process is."""

    own = False


def only_rung_asks() -> None:
    """Say that nobody but rung uses skops in this process: its commands do.

    skops then trusts no estimator of scikit-learn by itself, and needs not load them all (a second).
    rung says of every file what may be loaded (`rung.tabular.trust`), and takes nothing from that list.
    """
    _Process.own = True


def load_skops() -> ModuleType:
    """`skops.io`; PyTorch is not loaded for it."""
    if "skops.io" in sys.modules or _ADAPTER in sys.modules:
        return import_module("skops.io")
    loaded: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]  # None: not to be found
    loaded[_ADAPTER] = None
    with ExitStack() as undo:
        undo.callback(loaded.pop, _ADAPTER)  # scikit-learn loads it itself where it is given tensors
        if _Process.own:
            from sklearn import utils

            undo.callback(setattr, utils, "all_estimators", utils.all_estimators)
            utils.all_estimators = list
        return import_module("skops.io")
