"""Architecture search: cells, supernets, relaxations, derivation, retraining and drawing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

_HOMES: Final = {
    "Cell": "rung.nas.space",
    "CellGenotype": "rung.nas.genotype",
    "Genotype": "rung.nas.genotype",
    "OPERATIONS": "rung.nas.operations",
    "Operation": "rung.nas.operations",
    "Retrained": "rung.nas.retraining",
    "SPACES": "rung.nas.space",
    "STRATEGIES": "rung.nas.strategies.table",
    "SearchResult": "rung.nas.result",
    "Schedule": "rung.nas.retraining_schedule",
    "Space": "rung.nas.space",
    "count": "rung.nas.counting",
    "draw": "rung.nas.drawing",
    "load_network": "rung.nas.retraining_files",
    "retrain": "rung.nas.retraining",
    "search": "rung.nas.searching",
    "svg": "rung.nas.drawing",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from rung.nas.counting import count as count
    from rung.nas.drawing import draw as draw
    from rung.nas.drawing import svg as svg
    from rung.nas.genotype import CellGenotype as CellGenotype
    from rung.nas.genotype import Genotype as Genotype
    from rung.nas.operations import OPERATIONS as OPERATIONS
    from rung.nas.operations import Operation as Operation
    from rung.nas.result import SearchResult as SearchResult
    from rung.nas.retraining import Retrained as Retrained
    from rung.nas.retraining import retrain as retrain
    from rung.nas.retraining_files import load_network as load_network
    from rung.nas.retraining_schedule import Schedule as Schedule
    from rung.nas.searching import search as search
    from rung.nas.space import SPACES as SPACES
    from rung.nas.space import Cell as Cell
    from rung.nas.space import Space as Space
    from rung.nas.strategies.table import STRATEGIES as STRATEGIES


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rung.nas' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
