"""A space of architectures as data: nodes, edges, candidate operations, which cells, and how they stack.

One frozen description serves the supernet, the discrete strategies, mutation, drawing and counting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Literal

from rung.errors import SpaceError
from rung.nas.genotype import CellGenotype, Genotype

Output = Literal["concat", "last", "mean"]
Skeleton = Literal["darts", "nasbench201", "recurrent"]

DARTS_OPERATIONS: Final = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


@dataclass(frozen=True)
class Cell:
    """A cell to be searched: a directed acyclic graph whose edges choose among operations.

    Attributes:
        name: as in genotypes: "normal", "reduce", "recurrent" or your own.
        nodes: how many intermediate nodes; node i reads all inputs and the nodes before it.
        operations: the candidates, in the order of the columns of alphas.
        inputs: how many; they have the indices 0 to inputs - 1.
        keep: how many edges enter a node of the derived cell; None keeps all.
        output: "concat" of all nodes, the "last" node, or the "mean" of all nodes.
        reduction: whether it halves height and width (edges from its inputs have stride 2).
        only: (edge number, operations) for edges that choose among fewer.
    """

    name: str
    nodes: int
    operations: tuple[str, ...]
    inputs: int = 2
    keep: int | None = 2
    output: Output = "concat"
    reduction: bool = False
    only: tuple[tuple[int, tuple[str, ...]], ...] = ()

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.inputs < 1:
            raise SpaceError(f"cell {self.name!r} needs at least one input and one node")
        if len(set(self.operations)) != len(self.operations) or not self.operations:
            raise SpaceError(f"cell {self.name!r}: candidate operations must be named, each once")
        for edge, names in self.only:
            unknown = set(names) - set(self.operations)
            if unknown or not 0 <= edge < len(self.edges):
                raise SpaceError(f"cell {self.name!r}: edge {edge} cannot be limited to {names}")

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(source, target) of each edge, by target, then by source."""
        targets = range(self.inputs, self.inputs + self.nodes)
        return tuple((source, target) for target in targets for source in range(target))

    def candidates(self, edge: int) -> tuple[str, ...]:
        """The operations among which an edge chooses."""
        return dict(self.only).get(edge, self.operations)

    def entering(self, target: int) -> tuple[int, ...]:
        """Numbers of the edges that enter a node, by source."""
        return tuple(number for number, (_, end) in enumerate(self.edges) if end == target)

    @property
    def targets(self) -> range:
        """Indices of the intermediate nodes."""
        return range(self.inputs, self.inputs + self.nodes)

    @property
    def concat(self) -> tuple[int, ...]:
        """Indices of the nodes that make the output."""
        return (self.targets[-1],) if self.output == "last" else tuple(self.targets)


@dataclass(frozen=True)
class Space:
    """Cells and how they stack.

    Attributes:
        name: of the space.
        cells: each kind of cell; those of one kind share their architecture.
        skeleton: "darts" (reductions after a third and two thirds of the layers; each cell reads the two
            before), "nasbench201" (three stages of cells, residual blocks of stride 2 between them), or
            "recurrent".
        operations: your own, beside those of `rung.nas.operations.OPERATIONS`, as (name, Operation) pairs.
    """

    name: str
    cells: tuple[Cell, ...]
    skeleton: Skeleton = "darts"
    operations: tuple[tuple[str, object], ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        names = [cell.name for cell in self.cells]
        if not names or len(set(names)) != len(names):
            raise SpaceError(f"space {self.name!r} needs cells with names of their own")

    def __getitem__(self, name: str) -> Cell:
        for cell in self.cells:
            if cell.name == name:
                return cell
        raise SpaceError(f"space {self.name!r} has no cell {name!r}: {[cell.name for cell in self.cells]}")

    @property
    def normal(self) -> Cell:
        """The cell that keeps the size."""
        return next(cell for cell in self.cells if not cell.reduction)

    @property
    def reduce(self) -> Cell | None:
        """The cell that halves it, if there is one."""
        return next((cell for cell in self.cells if cell.reduction), None)

    def layout(self, layers: int) -> tuple[str, ...]:
        """Names of the cells of a stack: reductions at a third and two thirds (DARTS, section 3.1).

        Raises:
            SpaceError: there are too few layers for both kinds of cells.
        """
        reduce = self.reduce
        if reduce is not None and layers < 3:
            raise SpaceError(f"a stack of {layers} layers has no normal cell: give at least 3 layers")
        if reduce is None:
            return (self.normal.name,) * layers
        at = {layers // 3, 2 * layers // 3}
        return tuple(reduce.name if i in at else self.normal.name for i in range(layers))

    def shortened(self, nodes: int) -> Space:
        """The same with at most so many nodes in a cell."""
        cells = []
        for cell in self.cells:
            kept = replace(cell, nodes=min(nodes, cell.nodes), only=())
            only = tuple((edge, names) for edge, names in cell.only if edge < len(kept.edges))
            cells.append(replace(kept, only=only))
        return replace(self, cells=tuple(cells))

    def genotype(self, chosen: Mapping[str, tuple[tuple[int, int], ...]]) -> Genotype:
        """The genotype of a choice.

        Args:
            chosen: by cell, (edge number, operation's column) of what is kept.
        """
        cells = []
        for cell in self.cells:
            kept = sorted(chosen[cell.name])
            nodes = tuple(
                tuple((cell.operations[op], cell.edges[e][0]) for e, op in kept if cell.edges[e][1] == target)
                for target in cell.targets
            )
            cells.append((cell.name, CellGenotype(nodes, cell.concat, cell.inputs)))
        return Genotype(tuple(cells))


def form_of(space: Space) -> dict[str, Any]:
    """A space as plain data; what its operations compute is left out, since no choice depends on it."""
    cells = [asdict(cell) for cell in space.cells]
    return {"name": space.name, "skeleton": space.skeleton, "cells": cells}


def image_space(name: str, operations: tuple[str, ...], nodes: int = 4) -> Space:
    """A space in the manner of DARTS: a normal and a reduction cell with the same candidates."""
    return Space(
        name,
        (Cell("normal", nodes, operations), Cell("reduce", nodes, operations, reduction=True)),
    )


_RECURRENT: Final = Cell(
    "recurrent", 8, ("none", "tanh", "relu", "sigmoid", "identity"), inputs=1, keep=1, output="mean"
)
_NASBENCH201: Final = Cell(
    "normal",
    3,
    ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"),
    inputs=1,
    keep=None,
    output="last",
)

_S1_OPERATIONS: Final = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
# the two candidates of each edge, a letter a column: m, a, k, s, d (3x3), D (5x5)
_S1: Final = {
    "normal": "kd kD kD ks kd mk ks ks kd ks mk kd dD dD",
    "reduce": "ma md ma ma kD ma ms kd kD ma ma kD kD kD",
}


def _s1() -> Space:
    """RobustDARTS' first space: two candidates an edge, those that an earlier search left."""
    cells = []
    for name, pairs in _S1.items():
        chosen = (tuple(_S1_OPERATIONS["maksdD".index(letter)] for letter in pair) for pair in pairs.split())
        only = tuple(enumerate(chosen))
        cells.append(Cell(name, 4, _S1_OPERATIONS, reduction=name == "reduce", only=only))
    return Space("s1", tuple(cells))


SPACES: Final[Mapping[str, Space]] = MappingProxyType(
    {
        space.name: space
        for space in (
            image_space("darts", DARTS_OPERATIONS),
            _s1(),
            image_space("s2", ("skip_connect", "sep_conv_3x3")),
            image_space("s3", ("none", "skip_connect", "sep_conv_3x3")),
            image_space("s4", ("noise", "sep_conv_3x3")),
            image_space("tiny", ("none", "skip_connect", "sep_conv_3x3", "avg_pool_3x3"), nodes=2),
            Space("recurrent", (_RECURRENT,), "recurrent"),
            Space("nasbench201", (_NASBENCH201,), "nasbench201"),
        )
    }
)
