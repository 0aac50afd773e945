"""The loop, `tune()`, named methods, when to stop, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rung.study.optuna_studies import from_optuna as from_optuna
    from rung.study.result import Result as Result
    from rung.study.study import Study as Study
    from rung.study.tuning import tune as tune

_HOMES = {
    "Result": "rung.study.result",
    "Study": "rung.study.study",
    "from_optuna": "rung.study.optuna_studies",
    "tune": "rung.study.tuning",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'rung.study' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
