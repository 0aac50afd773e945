"""The supernet: a stack of cells whose edges mix all their candidate operations (DARTS, section 2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from rung.errors import SpaceError
from rung.nas.network import staged, staged_stem
from rung.nas.operations import OPERATIONS, Operation
from rung.nas.plain import Mask, PlainBody
from rung.nas.skeleton import Residual, StemName, before, begin, darts_places, pooled, stems
from rung.nas.space import Space
from rung.nas.task import Mixtures, Net

Form = Literal["plain", "fused", "partial"]
_BODY: Final = "body."


class Body(Protocol):
    """What a form of a cell must do; see `rung.nas.plain.PlainBody`."""

    alive: Mask
    skip_dropout: float

    def __call__(self, inputs: list[Tensor], mixture: Tensor, active: Mask | None = None) -> Tensor: ...

    def prune(self, edge: int, column: int) -> None: ...

    def plain_state(self) -> dict[str, Tensor]: ...

    def load_plain_state(self, state: Mapping[str, Tensor]) -> None: ...


class SearchCell(nn.Module):
    """What comes before a cell, and its body."""

    def __init__(self, name: str, ahead: nn.ModuleList, body: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.before = ahead
        self.body = body

    def forward(self, inputs: list[Tensor], mixtures: Mixtures, active: Mapping[str, Mask] | None) -> Tensor:
        states = [module(x) for module, x in zip(self.before, inputs, strict=True)] if self.before else inputs
        mask = None if active is None else active[self.name]
        return cast(Tensor, self.body(states, mixtures[self.name], mask))


class Supernet(Net):
    """All architectures of a space at once, sharing weights.

    Args:
        space: of image cells.
        channels: of a node in the first cells.
        layers: cells in the stack.
        classes: of the pictures.
        pictures: channels of a picture.
        form: "plain" has a module for each candidate of each edge; "fused" computes the same at less cost,
            all edges that leave a node together; "partial" lets a part of the channels through operations.

    Raises:
        SpaceError: the space is not one of image cells, or names an operation that the table lacks.
    """

    def __init__(  # one network, all that describes it
        self,
        space: Space,
        channels: int,
        layers: int,
        classes: int,
        *,
        pictures: int = 3,
        stem: StemName = "cifar",
        form: Form = "plain",
    ) -> None:
        super().__init__()
        self.space = space
        self.table = table_of(space)
        self.channels, self.layers, self.classes = channels, layers, classes
        self.pictures, self.stem_name = pictures, stem
        make = body_of(form)
        self.cells = nn.ModuleList()
        if space.skeleton == "nasbench201":
            self.stem = nn.ModuleList([staged_stem(pictures, channels)])
            for name, width in staged(layers, channels):
                self.cells.append(
                    SearchCell(name, nn.ModuleList(), make(space[name], width, False, self.table))
                    if name
                    else Residual(width // 2, width, affine=False)
                )
            out = 4 * channels
            self.last: nn.Module = nn.Sequential(nn.BatchNorm2d(out), nn.ReLU())
        elif space.skeleton == "darts":
            self.stem = stems(stem, pictures, channels)
            widths = {cell.name: len(cell.concat) for cell in space.cells}
            reductions = frozenset(cell.name for cell in space.cells if cell.reduction)
            places = darts_places(space.layout(layers), widths, reductions, channels, stem)
            for place in places:
                body = make(space[place.cell], place.channels, place.reduction, self.table)
                self.cells.append(SearchCell(place.cell, before(place, affine=False), body))
            out, self.last = places[-1].width, nn.Identity()
        else:
            raise SpaceError(f"space {space.name!r} is one of recurrent cells: search it with --cell rnn")
        self.classifier = nn.Linear(out, classes)

    def forward(self, x: Tensor, mixtures: Mixtures, active: Mapping[str, Mask] | None = None) -> Tensor:
        """Scores (n, classes).

        Args:
            x: pictures (n, c, h, w).
            mixtures: by cell, (E, O) weights of its operations.
            active: by cell, (E, O) operations to compute; the others count as absent.
        """
        mixtures = {name: mixture.to(x) for name, mixture in mixtures.items()}  # alphas may be elsewhere
        if self.space.skeleton == "nasbench201":
            x = self.stem[0](x)
            for cell in self.cells:
                x = cell([x], mixtures, active) if isinstance(cell, SearchCell) else cell(x)
            return cast(Tensor, self.classifier(pooled(self.last(x))))
        elder, younger = begin(self.stem, x)
        for cell in self.cells:
            elder, younger = younger, cell([elder, younger], mixtures, active)
        return cast(Tensor, self.classifier(pooled(younger)))

    @property
    def bodies(self) -> list[tuple[str, Body]]:
        """(kind, body) of each cell, in order."""
        return [(cell.name, cast(Body, cell.body)) for cell in self.cells if isinstance(cell, SearchCell)]

    @property
    def alive(self) -> dict[str, Mask]:
        """By cell, (E, O): the operations that have not been pruned."""
        return {name: body.alive for name, body in reversed(self.bodies)}

    def prune(self, cell: str, edge: int, column: int) -> None:
        """Remove an operation from an edge of every cell of this kind, for good.

        The optimiser's state of its weights is the caller's to drop (`rung.nas.training.forget`).
        """
        for name, body in self.bodies:
            if name == cell:
                body.prune(edge, column)

    def plain_state(self) -> dict[str, Tensor]:
        """All weights and statistics under the plain form's names."""
        state = {name: value for name, value in self.state_dict().items() if f".{_BODY}" not in name}
        for index, cell in enumerate(self.cells):
            if isinstance(cell, SearchCell):
                part = cast(Body, cell.body).plain_state()
                state |= {f"cells.{index}.{_BODY}{name}": value for name, value in part.items()}
        return state

    def load_plain_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `plain_state` gave, of either form, pruned alike."""
        rest = {name: value for name, value in state.items() if f".{_BODY}" not in name}
        missing, unexpected = self.load_state_dict(rest, strict=False)
        missing = [name for name in missing if f".{_BODY}" not in name]
        if missing or unexpected:
            raise SpaceError(f"these are the weights of another supernet: {[*missing, *unexpected][:3]}")
        for index, cell in enumerate(self.cells):
            start = f"cells.{index}.{_BODY}"
            if isinstance(cell, SearchCell):
                part = {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
                cast(Body, cell.body).load_plain_state(part)


def table_of(space: Space) -> dict[str, Operation]:
    """Operations by name: the shipped ones and the space's own.

    Raises:
        SpaceError: a cell names one that is in neither.
    """
    own = cast(Mapping[str, Operation], dict(space.operations))
    table = {**OPERATIONS, **own}
    for cell in space.cells:
        for name in cell.operations:
            if name not in table:
                raise SpaceError(
                    f"cell {cell.name!r}: unknown operation {name!r}: known are {', '.join(table)}"
                )
    return table


def body_of(form: Form) -> type[PlainBody]:
    """The class of a form's cells."""
    if form == "plain":
        return PlainBody
    if form == "partial":
        from rung.nas.partial import PartialBody

        return PartialBody
    from rung.nas.fused import FusedBody

    return cast(type[PlainBody], FusedBody)


@contextmanager
def frozen_statistics(net: nn.Module) -> Iterator[None]:
    """Normalise by the batch without touching the running statistics: for virtual and architecture passes."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d)]
    before_ = [norm.track_running_stats for norm in norms]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm, tracked in zip(norms, before_, strict=True):
            norm.track_running_stats = tracked


@contextmanager
def constant_weights(net: nn.Module) -> Iterator[None]:
    """A forward pass whose weights are constants: a gradient of the alphas alone then costs less."""
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def uniform_mixtures(space: Space) -> dict[str, Tensor]:
    """All candidates of an edge alike."""
    from rung.nas.plain import candidates_mask

    masks = {cell.name: torch.from_numpy(candidates_mask(cell)) for cell in space.cells}
    return {name: mask / mask.sum(1, keepdim=True) for name, mask in masks.items()}
