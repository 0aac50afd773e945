"""The network of a genotype, as the DARTS reference builds it: what is retrained, counted and used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from rung.errors import SpaceError
from rung.nas.genotype import CellGenotype, Genotype
from rung.nas.maps import Map
from rung.nas.operations import OPERATIONS, Operation
from rung.nas.skeleton import (
    AuxiliaryHead,
    Place,
    Residual,
    StemName,
    before,
    begin,
    darts_places,
    pooled,
    stems,
)

Table = Mapping[str, Operation]

_INPUTS: Final = 2  # of the cells of a stack as in DARTS


class DerivedCell(nn.Module):
    """One cell of chosen operations.

    Args:
        searched: as on the supernet: normalisations have no weights, pools have a normalisation.
    """

    def __init__(self, cell: CellGenotype, place: Place, table: Table, searched: bool) -> None:
        super().__init__()
        affine = not searched
        self.before = before(place, affine) if cell.inputs == 2 else nn.ModuleList()
        self.edges = cell.nodes
        self.concat = cell.concat
        self.drop_path = 0.0
        self.nodes = nn.ModuleList()
        for edges in cell.nodes:
            modules = nn.ModuleList()
            for name, source in edges:
                stride = 2 if place.reduction and source < cell.inputs else 1
                modules.append(built(table[name], place.channels, stride, affine, searched))
            self.nodes.append(modules)

    def forward(self, *inputs: Tensor | Map) -> Tensor:
        """The cell's output, of what the cells before it gave, the elder first."""
        maps = [x if isinstance(x, Map) else Map(x) for x in inputs]
        if self.before:
            maps = [Map(x.through(module, "")) for module, x in zip(self.before, maps, strict=True)]
        for edges, node in zip(self.edges, self.nodes, strict=True):
            total: Tensor | None = None
            for (name, source), module in zip(edges, cast(nn.ModuleList, node), strict=True):
                total = self._added(total, maps[source].through(module, name), module)
            assert total is not None  # a genotype's node has an edge
            maps.append(Map(total))
        outs = [maps[i].x for i in self.concat]
        return outs[0] if len(outs) == 1 else torch.cat(outs, 1)

    def _added(self, total: Tensor | None, y: Tensor, module: nn.Module) -> Tensor:
        """What a node is so far, and a path more, which is dropped now and then while training."""
        if not self.training or self.drop_path == 0 or isinstance(module, nn.Identity):
            return y if total is None else total + y
        kept = paths_kept(y, self.drop_path)
        return y * kept if total is None else torch.addcmul(total, y, kept)


def built(operation: Operation, channels: int, stride: int, affine: bool, searched: bool) -> nn.Module:
    """An operation's module; while searched, a pool is followed by a normalisation without weights."""
    module = operation.build(channels, stride, affine)
    if searched and operation.pool:
        return nn.Sequential(module, nn.BatchNorm2d(channels, affine=False))
    return module


def paths_kept(x: Tensor, probability: float) -> Tensor:
    """Factors (n, 1, 1, 1) that zero whole samples with this probability, and scale the rest so that the mean
    stays (Larsson et al. 2017).
    """
    keep = 1.0 - probability
    return torch.empty(len(x), 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(keep).div_(keep)


class CellNetwork(nn.Module):
    """A stack of derived cells.

    Args:
        genotype: with the cells "normal" and, if the stack reduces, "reduce".
        channels: of a node in the first cells.
        layers: cells in the stack.
        classes: of the pictures.
        pictures: channels of a picture.
        stem: "cifar" keeps the size, "imagenet" divides it by eight.
        auxiliary: whether a second head is trained after two thirds of the cells; `forward` then gives
            (scores, auxiliary scores) while training.
        searched: with the normalisations of the supernet, so that it may take over its weights.
        table: operations by name.

    Raises:
        SpaceError: an operation is not in the table, or a cell is missing or has not two inputs.
    """

    def __init__(  # noqa: PLR0913  # one network, all that describes it
        self,
        genotype: Genotype,
        channels: int,
        layers: int,
        classes: int,
        *,
        pictures: int = 3,
        stem: StemName = "cifar",
        auxiliary: bool = False,
        searched: bool = False,
        table: Table = OPERATIONS,
    ) -> None:
        super().__init__()
        genotype.check(table)
        places = network_places(genotype, channels, layers, stem)
        self.stem = stems(stem, pictures, channels)
        self.cells = nn.ModuleList(DerivedCell(genotype[p.cell], p, table, searched) for p in places)
        self.tap = 2 * layers // 3
        self.auxiliary = AuxiliaryHead(places[self.tap].width, classes, stem) if auxiliary else None
        self.classifier = nn.Linear(places[-1].width, classes)

    def set_drop_path(self, probability: float) -> None:
        """Of each path while training."""
        for cell in self.cells:
            cast(DerivedCell, cell).drop_path = probability

    def forward(self, x: Tensor) -> Any:
        """Scores (n, classes); with an auxiliary head, while training, also its scores."""
        first, last = begin(self.stem, x)
        elder = Map(first)
        younger = elder if last is first else Map(last)
        second = None
        for index, cell in enumerate(self.cells):
            elder, younger = younger, Map(cell(elder, younger))
            if index == self.tap and self.auxiliary is not None and self.training:
                second = self.auxiliary(younger.x)
        scores = self.classifier(pooled(younger.x))
        return scores if second is None else (scores, second)


class StagedNetwork(nn.Module):
    """Three stages of a cell with one input and residual blocks between them, as in NAS-Bench-201.

    Args:
        layers: cells in all, a third in each stage.
    """

    def __init__(  # one network, all that describes it
        self,
        genotype: Genotype,
        channels: int,
        layers: int,
        classes: int,
        *,
        pictures: int = 3,
        searched: bool = False,
        table: Table = OPERATIONS,
    ) -> None:
        super().__init__()
        cell, affine = staged_cell(genotype.check(table)), not searched
        self.stem, self.cells = staged_stem(pictures, channels), nn.ModuleList()
        for name, width in staged(layers, channels):
            place = Place(name, width, (width,), False, False, width)
            self.cells.append(
                DerivedCell(cell, place, table, searched) if name else Residual(width // 2, width, affine)
            )
        self.last = nn.Sequential(nn.BatchNorm2d(4 * channels), nn.ReLU())
        self.classifier = nn.Linear(4 * channels, classes)

    def forward(self, x: Tensor) -> Any:
        """Scores (n, classes)."""
        x = self.stem(x)
        for cell in self.cells:
            x = cell(x)
        return self.classifier(pooled(self.last(x)))


def staged_cell(genotype: Genotype) -> CellGenotype:
    """The cell of a stack in three stages.

    Raises:
        SpaceError: there are other cells beside it, or its output is made of several nodes, so that it would
            be wider than the next cell's input.
    """
    name, cell = genotype.cells[0]
    if len(genotype.cells) > 1:
        others = ", ".join(repr(other) for other, _ in genotype.cells[1:])
        raise SpaceError(
            f"cell {name!r} has one input, and is stacked alone, as in NAS-Bench-201: leave {others} out, or "
            f"give each cell {_INPUTS} inputs"
        )
    if len(cell.concat) != 1:
        raise SpaceError(
            "a cell with one input is stacked as in NAS-Bench-201, where its output is one node, not "
            f"{len(cell.concat)}: name one in its concat"
        )
    return cell


def staged_stem(pictures: int, channels: int) -> nn.Module:
    """Convolution and normalisation in front of the first stage."""
    return nn.Sequential(nn.Conv2d(pictures, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))


def staged(layers: int, channels: int) -> list[tuple[str, int]]:
    """(cell's name, channels) of a stack in three stages; "" is a residual block."""
    each, stack = max(layers // 3, 1), []
    for stage in range(3):
        width = channels * 2**stage
        stack += [("", width)] * (stage > 0) + [("normal", width)] * each
    return stack


def network_places(genotype: Genotype, channels: int, layers: int, stem: StemName) -> list[Place]:
    """Where the cells of a derived network stand.

    Raises:
        SpaceError: a cell is missing or has not two inputs, or there are too few layers or channels.
    """
    if stem == "imagenet" and channels == 1:
        raise SpaceError("the stem imagenet begins with half of the channels: give at least 2, not 1")
    if layers < 1 or channels < 1:
        raise SpaceError(f"a network has at least one layer and one channel, not {layers} and {channels}")
    if "normal" not in genotype:
        raise SpaceError("a genotype of an image network names its cells normal and reduce")
    at = {layers // 3, 2 * layers // 3} if "reduce" in genotype else set()
    layout = ["reduce" if index in at else "normal" for index in range(layers)]
    widths = {name: len(cell.concat) for name, cell in genotype.cells}
    for name, cell in genotype.cells:
        if cell.inputs != _INPUTS:
            raise SpaceError(
                f"cell {name!r} has {cell.inputs} input{'s' * (cell.inputs > 1)}, and is stacked where each "
                f"cell reads the {_INPUTS} before it: give it {_INPUTS}, or, of a cell that is alone, 1"
            )
        if name == "reduce" and any(node < cell.inputs for node in cell.concat):
            raise SpaceError(
                "a reduction cell's output is made of its nodes: its inputs are larger than they"
            )
    return darts_places(layout, widths, frozenset({"reduce"}), channels, stem)


def network(  # noqa: PLR0913  # one network, all that describes it
    genotype: Genotype,
    channels: int,
    layers: int,
    classes: int,
    *,
    pictures: int = 3,
    stem: StemName = "cifar",
    auxiliary: bool = False,
    searched: bool = False,
    table: Table = OPERATIONS,
) -> nn.Module:
    """The network of a genotype: as in NAS-Bench-201 where its first cell has one input, else as in DARTS.

    Raises:
        SpaceError: it cannot be built.
    """
    if genotype.cells[0][1].inputs == 1:
        return StagedNetwork(
            genotype, channels, layers, classes, pictures=pictures, searched=searched, table=table
        )
    return CellNetwork(
        genotype,
        channels,
        layers,
        classes,
        pictures=pictures,
        stem=stem,
        auxiliary=auxiliary,
        searched=searched,
        table=table,
    )
