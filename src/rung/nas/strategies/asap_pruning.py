"""What ASAP prunes: operations under their threshold, then edges, until everything is decided."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rung.nas.plain import Mask
from rung.nas.space import Cell
from rung.nas.strategies.asap_gates import gates, open_edges
from rung.nas.strategies.base import ranked, softmax

Vector = NDArray[np.float64]


class Pressure(NamedTuple):
    """How hard is pruned at a moment.

    Attributes:
        temperature: of the Gibbs softmax.
        share: an operation goes where its probability is under share / N, N being how many its edge had when
            the search began.
        ratio: and under this part of the edge's largest probability; 1 where that is no condition.
        edge_share: an edge goes where its gate is under edge_share * k / n, n being how many enter its node.
        early: whether an edge may go while several operations are left on it.
    """

    temperature: float
    share: float
    ratio: float
    edge_share: float
    early: bool


def confidence_ratio(steps: int, rate: float, operations: int, delta: float) -> float:
    """exp(-gap): with probability 1 - delta, an operation whose alpha lags the best by more is not the best.

    The alphas have done t = `steps` steps, each a rate times a gradient within -1 and 1. By Hoeffding's
    inequality the mean of so many gradients is farther than sqrt(2 ln(pi^2 N t^2 / (3 delta)) / t) from its
    expectation with a probability of at most 6 delta / (pi^2 N t^2), and these sum to delta over N operations
    and all t; two means that are more than twice as far apart are in the right order. In the manner of the
    paper's theorem 1; to be raised to the power 1 / temperature.
    """
    if steps < 1:
        return 0.0
    far = math.sqrt(2.0 / steps * math.log(math.pi**2 * operations * steps**2 / (3.0 * delta)))
    return math.exp(-2.0 * rate * steps * far)


def falling(cell: Cell, alphas: Tensor, alive: Mask, pressure: Pressure) -> list[tuple[int, int]]:
    """Operations that go: (edge, column), by edge.

    The best of an edge always stays: of all of its operations where all edges stay, and of those but zero
    where the zero operation is what takes an edge away.
    """
    contest = alive if cell.keep is None else alive & ranked(cell)[None, :]
    chances = _gibbs(alphas, contest, pressure.temperature)  # (E, O)
    whole = chances if cell.keep is None else _gibbs(alphas, alive, pressure.temperature)
    fallen = []
    for edge in np.flatnonzero(alive.any(1)):
        count = len(cell.candidates(int(edge)))
        if contest[edge].any():
            fallen += [(int(edge), c) for c in _lagging(chances[edge], contest[edge], count, pressure)]
        rest = np.flatnonzero(alive[edge] & ~contest[edge] & contest[edge].any())
        fallen += [(int(edge), int(c)) for c in rest if _low(whole[edge], count, pressure)[c]]
    return fallen


def _lagging(chances: Vector, there: NDArray[np.bool_], count: int, pressure: Pressure) -> list[int]:
    """Columns of one edge that fall under the threshold; never its best."""
    best = int(np.where(there, chances, -1.0).argmax())
    low = _low(chances, count, pressure)
    low[best] = False
    return [int(column) for column in np.flatnonzero(low & there)]


def _low(chances: Vector, count: int, pressure: Pressure) -> NDArray[np.bool_]:
    ratio = chances <= pressure.ratio * chances.max()
    return np.asarray((chances < pressure.share / count) & ratio)


def leaving(cell: Cell, alphas: Tensor, edges: Tensor, alive: Mask, pressure: Pressure) -> list[int]:
    """Edges that go whole, and those whose zero operation alone is left; never more than k stay short of."""
    assert cell.keep is not None
    there = open_edges(cell, alive)
    values = gates(cell, alphas.detach(), edges.detach(), alive, pressure.temperature).cpu().double().numpy()
    lone = (alive & ranked(cell)[None, :]).sum(1) == 1
    gone = [int(edge) for edge in np.flatnonzero(alive.any(1) & ~there)]
    for target in cell.targets:
        entering = cell.entering(target)
        left = [edge for edge in entering if there[edge]]
        limit = pressure.edge_share * cell.keep / len(entering)
        order = sorted(left, key=lambda edge: (values[edge], -edge))[: max(len(left) - cell.keep, 0)]
        gone += [edge for edge in order if values[edge] < limit and (pressure.early or lone[edge])]
    return gone


def idle_zeros(cell: Cell, alive: Mask) -> list[tuple[int, int]]:
    """Zero operations at nodes that have no edge to spare: (edge, column); nothing depends on them now."""
    assert cell.keep is not None
    there, zero = open_edges(cell, alive), ~ranked(cell)
    idle = []
    for target in cell.targets:
        left = [edge for edge in cell.entering(target) if there[edge]]
        if len(left) <= cell.keep:
            idle += [(edge, int(c)) for edge in left for c in np.flatnonzero(alive[edge] & zero)]
    return idle


def open_questions(cell: Cell, alive: Mask) -> list[str]:
    """What is not decided yet, in words; empty where the derived cell is all that is left."""
    questions = []
    for edge, (source, target) in enumerate(cell.edges):
        if alive[edge].sum() > 1:
            names = [name for name, there in zip(cell.operations, alive[edge], strict=True) if there]
            questions.append(f"{cell.name}, edge {source} to {target}: {', '.join(names)}")
    if cell.keep is not None:
        for target in cell.targets:
            left = [cell.edges[edge][0] for edge in cell.entering(target) if alive[edge].any()]
            if len(left) > cell.keep:
                questions.append(f"{cell.name}, node {target}: {cell.keep} of the inputs {left}")
    return questions


def _gibbs(alphas: Tensor, alive: Mask, temperature: float) -> Vector:
    values: Vector = softmax(alphas.detach().cpu().double() / temperature, alive).numpy()
    return values
