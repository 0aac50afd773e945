"""Architectures as a study's log has them: a space as plain data, a genotype as a configuration.

Loads no torch, so that a log is read in no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rung.nas.genotype import ZERO, Genotype
from rung.nas.space import Cell, Space


def space_of_form(form: Mapping[str, Any]) -> Space:
    """The inverse of `rung.nas.space.form_of`."""
    return msgspec.convert(dict(form), Space)


def parameter_of(cell: Cell, edge: int) -> str:
    """The name of the parameter that is an edge's operation, such as `normal_0_2`.

    Args:
        edge: its number.
    """
    source, target = cell.edges[edge]
    return f"{cell.name}_{source}_{target}"


def genotype_of(space: Space, config: Mapping[str, Any]) -> Genotype:
    """Of a configuration; of cells that have not yet grown to the whole space, with the nodes they have."""
    chosen = {
        cell.name: tuple(
            (edge, cell.operations.index(operation))
            for edge in range(len(cell.edges))
            if (operation := config.get(parameter_of(cell, edge), ZERO)) != ZERO
        )
        for cell in space.cells
    }
    nodes = max(
        space[name].edges[edge][1] - space[name].inputs + 1
        for name, kept in chosen.items()
        for edge, _ in kept
    )
    return space.shortened(nodes).genotype(chosen)


def whole(space: Space, genotype: Genotype) -> bool:
    """Whether its cells have all nodes of the space."""
    return all(len(genotype[cell.name].nodes) == cell.nodes for cell in space.cells)
