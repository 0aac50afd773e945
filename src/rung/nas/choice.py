"""A choice in a space: which edges of each cell are kept, and with which operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch

from rung.errors import SpaceError
from rung.nas.genotype import ZERO, Genotype
from rung.nas.plain import Mask, candidates_mask
from rung.nas.space import Cell, Space
from rung.nas.task import Mixed

Chosen = Mapping[str, tuple[tuple[int, int], ...]]  # by cell: (edge, column of the operation), by edge


@lru_cache(maxsize=64)
def allowed(cell: Cell) -> Mask:
    """(E, O), read only: the candidates that a derived cell may have, all but the zero operation."""
    mask: Mask = candidates_mask(cell) & np.array([name != ZERO for name in cell.operations])[None, :]
    mask.setflags(write=False)
    return mask


def random_choice(
    space: Space, generator: torch.Generator, alive: Mapping[str, Mask] | None = None
) -> Chosen:
    """Inputs of each node and their operations, each choice alike.

    Args:
        alive: by cell, (E, O): what there is to choose from.
    """
    chosen = {}
    for cell in space.cells:
        mask = allowed(cell) if alive is None else allowed(cell) & alive[cell.name]
        kept: list[tuple[int, int]] = []
        for target in cell.targets:
            edges = [edge for edge in cell.entering(target) if mask[edge].any()]
            order = torch.randperm(len(edges), generator=generator).tolist()
            count = len(edges) if cell.keep is None else cell.keep
            for edge in sorted(edges[at] for at in order[:count]):
                columns = np.flatnonzero(mask[edge])
                kept.append((edge, int(columns[_below(len(columns), generator)])))
        chosen[cell.name] = tuple(kept)
    return chosen


def mutated(space: Space, chosen: Chosen, generator: torch.Generator) -> Chosen:
    """The same but for one operation or one input, another than before (Real et al. 2019, section 3.2).

    Which of the two is a matter of a fair coin, where both can change.

    Raises:
        SpaceError: nothing can change in this space.
    """
    moves = [(cell, "operation", at) for cell in space.cells for at in _operations_free(cell, chosen)]
    inputs = [(cell, "input", at) for cell in space.cells for at in _inputs_free(cell, chosen)]
    if inputs and (not moves or _below(2, generator)):
        moves = inputs
    if not moves:
        raise SpaceError(f"space {space.name!r} has one architecture: there is nothing to search")
    cell, what, at = moves[_below(len(moves), generator)]
    kept = list(chosen[cell.name])
    edge, column = kept[at]
    if what == "operation":
        others = [c for c in np.flatnonzero(allowed(cell)[edge]) if c != column]
        kept[at] = (edge, int(others[_below(len(others), generator)]))
    else:
        free = _other_edges(cell, chosen, at)
        new = free[_below(len(free), generator)]
        columns = np.flatnonzero(allowed(cell)[new])
        stays = allowed(cell)[new, column]
        kept[at] = (new, column if stays else int(columns[_below(len(columns), generator)]))
    return {**chosen, cell.name: tuple(sorted(kept))}


def choice_of(space: Space, genotype: Genotype) -> Chosen:
    """The inverse of `Space.genotype`.

    Raises:
        SpaceError: the genotype is not of this space.
    """
    chosen = {}
    for cell in space.cells:
        numbers = {edge: number for number, edge in enumerate(cell.edges)}
        kept = []
        if cell.name not in genotype:
            raise SpaceError(f"this genotype has no cell {cell.name!r}, which space {space.name!r} has")
        for target, edges in zip(cell.targets, genotype[cell.name].nodes, strict=False):
            for operation, source in edges:
                if operation not in cell.operations or (source, target) not in numbers:
                    raise SpaceError(
                        f"{operation!r} from {source} to {target} is not in space {space.name!r}"
                    )
                kept.append((numbers[source, target], cell.operations.index(operation)))
        chosen[cell.name] = tuple(sorted(kept))
    return chosen


def one_hot(space: Space, chosen: Chosen, dtype: torch.dtype = torch.float32) -> Mixed:
    """The supernet as this one architecture: weights of one on what is kept, and nothing else computed."""
    mixtures, active = {}, {}
    for cell in space.cells:
        mask = mask_of(cell, chosen[cell.name])
        mixtures[cell.name], active[cell.name] = torch.from_numpy(mask).to(dtype), mask
    return Mixed(mixtures, active)


def mask_of(cell: Cell, kept: Sequence[tuple[int, int]]) -> Mask:
    """(E, O): true on what is kept."""
    mask = np.zeros((len(cell.edges), len(cell.operations)), dtype=np.bool_)
    for edge, column in kept:
        mask[edge, column] = True
    return mask


def _operations_free(cell: Cell, chosen: Chosen) -> list[int]:
    return [at for at, (edge, _) in enumerate(chosen[cell.name]) if allowed(cell)[edge].sum() > 1]


def _inputs_free(cell: Cell, chosen: Chosen) -> list[int]:
    return [at for at in range(len(chosen[cell.name])) if _other_edges(cell, chosen, at)]


def _other_edges(cell: Cell, chosen: Chosen, at: int) -> list[int]:
    """Edges into the same node that are not kept and have candidates."""
    taken = {edge for edge, _ in chosen[cell.name]}
    target = cell.edges[chosen[cell.name][at][0]][1]
    return [edge for edge in cell.entering(target) if edge not in taken and allowed(cell)[edge].any()]


def _below(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (1,), generator=generator))
