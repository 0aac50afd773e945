"""rung: one AutoML system for models, hyperparameters and network architectures.

Names are looked up when first used, so that `import rung` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` costs half of what importing this package may
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "AutoClassifier": "rung.tabular",
    "AutoRegressor": "rung.tabular",
    "Categorical": "rung.space.domains",
    "Choice": "rung.space.domains",
    "Client": "rung.service.client",
    "Command": "rung.executors.command",
    "Constant": "rung.space.domains",
    "Float": "rung.space.domains",
    "Infeasible": "rung.errors",
    "Integer": "rung.space.domains",
    "Ordinal": "rung.space.domains",
    "Space": "rung.space.domains",
    "Stopped": "rung.errors",
    "Study": "rung.study",
    "importance": "rung.analysis",
    "load": "rung.tabular",
    "plot": "rung.analysis",
    "report": "rung.executors.reporting",
    "tune": "rung.study",
}

_PACKAGES = ("errors", "nas", "space", "study")  # whose names the documentation gives in full

__all__ = ["__version__", *sorted(_HOMES)]  # the names above, kept in one place

if TYPE_CHECKING:
    from rung.analysis import importance as importance
    from rung.analysis import plot as plot
    from rung.errors import Infeasible as Infeasible
    from rung.errors import Stopped as Stopped
    from rung.executors.command import Command as Command
    from rung.executors.reporting import report as report
    from rung.service.client import Client as Client
    from rung.space.domains import Categorical as Categorical
    from rung.space.domains import Choice as Choice
    from rung.space.domains import Constant as Constant
    from rung.space.domains import Float as Float
    from rung.space.domains import Integer as Integer
    from rung.space.domains import Ordinal as Ordinal
    from rung.space.domains import Space as Space
    from rung.study import Study as Study
    from rung.study import tune as tune
    from rung.tabular import AutoClassifier as AutoClassifier
    from rung.tabular import AutoRegressor as AutoRegressor
    from rung.tabular import load as load


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _PACKAGES:
        return import_module(f"rung.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'rung' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_PACKAGES})
