"""A cheap predictor of scores: an ensemble of ridge regressions on paths and edges of a genotype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rung.nas.discrete.history import History
from rung.nas.genotype import CellGenotype, Genotype

Vector = NDArray[np.float64]

MEMBERS: Final = 5
_RIDGE: Final = 1.0
_LONGEST: Final = 3  # operations of a path that is told from others


class Prediction(NamedTuple):
    """Of each architecture (n,): mean and deviation over the ensemble."""

    mean: Vector
    deviation: Vector


def features(genotype: Genotype) -> frozenset[str]:
    """Edges with their operations, and paths as sequences of operations (BANANAS: White et al. 2021, s. 3).

    Paths are told apart by their first operations: longer ones are rare (the paper's truncation).
    """
    found = set()
    for name, cell in genotype.cells:
        for number, edges in enumerate(cell.nodes):
            for operation, source in edges:
                found.add(f"{name}/{source}-{cell.inputs + number}/{operation}")
                found.add(f"{name}/{cell.inputs + number}/{operation}")
        found |= {f"{name}/path/{path}" for path in _paths(cell)}
    return frozenset(found)


def _paths(cell: CellGenotype) -> set[str]:
    into: list[set[str]] = [{f"{source}"} for source in range(cell.inputs)]
    for edges in cell.nodes:
        into.append(
            {f"{path}>{operation}" for operation, source in edges for path in into[source] if _short(path)}
        )
    return set().union(*into[cell.inputs :])


def _short(path: str) -> bool:
    return path.count(">") < _LONGEST


def predict(history: History, genotypes: Sequence[Genotype], generator: torch.Generator) -> Prediction:
    """Scores of genotypes by an ensemble, each member fitted to a bootstrap sample of the history.

    Args:
        history: of at least two.
    """
    known = [features(scored.genotype) for scored in history]
    names = {name: at for at, name in enumerate(sorted(frozenset().union(*known)))}
    x = _matrix(known, names)  # (m, d)
    y = np.array([scored.score for scored in history])
    queries = _matrix([features(genotype) for genotype in genotypes], names)  # (n, d)
    found = []
    for _ in range(MEMBERS):
        rows = torch.randint(len(y), (len(y),), generator=generator).numpy()
        mean = y[rows].mean()
        inner = x[rows] @ x[rows].T + _RIDGE * np.eye(len(rows))  # the dual form: m < d
        dual = np.linalg.solve(inner, y[rows] - mean)
        found.append(queries @ (x[rows].T @ dual) + mean)
    stacked = np.stack(found)
    return Prediction(stacked.mean(0), stacked.std(0))


def _matrix(sets: Sequence[frozenset[str]], names: dict[str, int]) -> Vector:
    matrix = np.zeros((len(sets), len(names)))
    for row, each in enumerate(sets):
        matrix[row, [names[name] for name in each if name in names]] = 1.0
    return matrix
