"""The best derivation within limits: a cap on skips, and a limit on what the derived network costs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rung.errors import SpaceError
from rung.nas.choice import Chosen, allowed, choice_of
from rung.nas.costs import Costs
from rung.nas.genotype import Genotype
from rung.nas.plain import Mask, candidates_mask
from rung.nas.space import Cell, Space
from rung.nas.strategies.base import best_edges

SKIP: Final = "skip_connect"

Kept = tuple[tuple[int, int], ...]  # (edge, column)
Values = NDArray[np.float64]  # (E, O)


class Limits(NamedTuple):
    """What a derived architecture may have.

    Attributes:
        max_skips: skips in a cell that keeps its size; None for any number.
        costs, limit: cost of the whole network at most; None for any.
    """

    max_skips: int | None = None
    costs: Costs | None = None
    limit: float | None = None

    def admit(self, space: Space, chosen: Mapping[str, Sequence[tuple[int, int]]]) -> bool:
        """Whether a choice, by cell (edge, column), is within them."""
        if self.costs is not None and self.limit is not None and self.costs.of_chosen(chosen) > self.limit:
            return False
        return self.max_skips is None or all(
            skips_of(cell, chosen[cell.name]) <= self.max_skips for cell in space.cells if not cell.reduction
        )

    def admit_genotype(self, space: Space, genotype: Genotype) -> bool:
        """Whether a genotype is within them."""
        return self.admit(space, choice_of(space, genotype))


class _Option(NamedTuple):
    """A way to choose in some nodes: its cost, its value, the skips in the cell so far, and what is kept."""

    cost: float
    value: float
    skips: int
    kept: tuple[tuple[str, int, int], ...]


def select(space: Space, weights: Mapping[str, Tensor], alive: Mapping[str, Mask], limits: Limits) -> Chosen:
    """What has the greatest sum of weights within the limits, exactly; without any limit, `best_edges`.

    Choices of node after node are combined, and of those of equal skips only such are kept as no other one
    beats in both cost and value.

    Args:
        weights, alive: by cell, (E, O).

    Raises:
        SpaceError: nothing is within the limits; the message says what the least is.
    """
    free = {c.name: best_edges(c, weights[c.name], alive[c.name]) for c in space.cells}
    if limits.admit(space, free):
        return free
    front = [_Option(limits.costs.rest if limits.costs else 0.0, 0.0, 0, ())]
    for cell in space.cells:
        values = weights[cell.name].detach().cpu().double().numpy()
        capped = limits.max_skips is not None and not cell.reduction
        for target in cell.targets:
            choices = _choices(cell, target, values, alive[cell.name], limits, capped)
            front = _best([_joined(before, choice) for before in front for choice in choices])
            if capped:
                front = [option for option in front if option.skips <= (limits.max_skips or 0)]
        front = _best([option._replace(skips=0) for option in front])
    within = [o for o in front if limits.limit is None or o.cost <= limits.limit]
    if not within:
        raise SpaceError(_nothing(front, limits))
    best = max(within, key=lambda option: option.value)
    return {c.name: tuple(sorted((e, o) for name, e, o in best.kept if name == c.name)) for c in space.cells}


def skips_of(cell: Cell, kept: Sequence[tuple[int, int]]) -> int:
    """How many of a cell's kept operations are skips."""
    return sum(cell.operations[column] == SKIP for _, column in kept)


def check_limits(space: Space, limits: Limits) -> None:
    """Refuse limits that no architecture of a space is within.

    Raises:
        SpaceError: the message says what the least is.
    """
    masks = {cell.name: candidates_mask(cell) for cell in space.cells}
    select(space, {name: torch.from_numpy(mask) for name, mask in masks.items()}, masks, limits)


def fewest_skips(space: Space, alive: Mapping[str, Mask]) -> int:
    """The least number of skips that every cell that keeps its size can do with."""
    return max((_fewest(c, alive[c.name] & allowed(c)) for c in space.cells if not c.reduction), default=0)


def _fewest(cell: Cell, mask: Mask) -> int:
    """Inputs that a node must have and that nothing but a skip is left for."""
    others = mask & np.array([name != SKIP for name in cell.operations])[None, :]
    total = 0
    for target in cell.targets:
        edges = [edge for edge in cell.entering(target) if mask[edge].any()]
        needed = len(edges) if cell.keep is None else min(cell.keep, len(edges))
        total += max(needed - sum(bool(others[edge].any()) for edge in edges), 0)
    return total


def _choices(  # one node, all that its choices depend on
    cell: Cell, target: int, values: Values, alive: Mask, limits: Limits, capped: bool
) -> list[_Option]:
    """Every way to choose the inputs of a node and their operations, but for those that others beat."""
    mask = alive & allowed(cell)
    edges = [edge for edge in cell.entering(target) if mask[edge].any()]
    count = len(edges) if cell.keep is None else min(cell.keep, len(edges))
    options = []
    for some in itertools.combinations(edges, count):
        columns = [np.flatnonzero(mask[edge]).tolist() for edge in some]
        for picked in itertools.product(*columns):
            kept = tuple(zip(some, picked, strict=True))
            options.append(_option(cell, kept, values, limits, capped))
    return _best(options)


def _option(cell: Cell, kept: Kept, values: Values, limits: Limits, capped: bool) -> _Option:
    table = None if limits.costs is None else limits.costs.edges[cell.name]
    return _Option(
        0.0 if table is None else float(sum(table[e, o] for e, o in kept)),
        float(sum(values[e, o] for e, o in kept)),
        skips_of(cell, kept) if capped else 0,
        tuple((cell.name, e, o) for e, o in kept),
    )


def _joined(a: _Option, b: _Option) -> _Option:
    return _Option(a.cost + b.cost, a.value + b.value, a.skips + b.skips, a.kept + b.kept)


def _best(options: list[_Option]) -> list[_Option]:
    """Of those with as many skips, each that costs less than all that are worth more; stable in ties."""
    front: list[_Option] = []
    for _, group in itertools.groupby(
        sorted(options, key=lambda o: (o.skips, o.cost, -o.value)), key=lambda o: o.skips
    ):
        worth = -np.inf
        for option in group:
            if option.value > worth:
                front.append(option)
                worth = option.value
    return front


def _nothing(front: list[_Option], limits: Limits) -> str:
    if not front or limits.costs is None:
        return f"every architecture that is left has more than {limits.max_skips} skips: raise max_skips"
    least = min(option.cost for option in front)
    return f"no architecture is within {limits.limit:g} {limits.costs.unit}: the least is {least:g}"
