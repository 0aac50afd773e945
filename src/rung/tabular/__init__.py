"""CASH: the best model that a table and a time budget can give."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

_HOMES: Final = {
    "AutoClassifier": "rung.tabular.estimators",
    "AutoRegressor": "rung.tabular.estimators",
    "FitResult": "rung.tabular.result",
    "fit_table": "rung.tabular.fit",
    "fit_targets": "rung.tabular.several",
    "load": "rung.tabular.several",
}
_NAMES: Final = {"load": "load_any"}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from rung.tabular.estimators import AutoClassifier as AutoClassifier
    from rung.tabular.estimators import AutoRegressor as AutoRegressor
    from rung.tabular.fit import fit_table as fit_table
    from rung.tabular.result import FitResult as FitResult
    from rung.tabular.several import fit_targets as fit_targets
    from rung.tabular.several import load_any

    load = load_any


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rung.tabular' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), _NAMES.get(name, name))
    globals()[name] = value
    return value
