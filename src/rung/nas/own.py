"""Operations of one's own: what is wrong with them is said in a sentence, before a search begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from rung.errors import SpaceError
from rung.nas.genotype import ZERO
from rung.nas.space import Space


def check_own(space: Space) -> None:
    """Refuse operations of a space's own that are none, or whose names cannot be used.

    Raises:
        SpaceError: names the operation, and what it needs.
    """
    if not space.operations:
        return
    from torch import nn

    from rung.nas.operations import Operation

    modules = nn.ModuleDict()
    for name, operation in _named(space).items():
        if not isinstance(operation, Operation):
            raise SpaceError(
                f"space {space.name!r}: operation {name!r} is no rung.nas.Operation but a "
                f"{type(operation).__name__}: give Operation(build), of a build(channels, stride, affine)"
            )
        if not isinstance(name, str) or not name or "." in name or hasattr(modules, name):
            raise SpaceError(
                f"space {space.name!r}: an operation cannot be named {name!r}, since torch could not name a "
                "module so: take a word without a dot that torch.nn.ModuleDict has no attribute of"
            )
        if operation.zero != (name == ZERO):
            what = "gives zeros, so it must be" if operation.zero else "does not give zeros, so it cannot be"
            raise SpaceError(f"space {space.name!r}: operation {name!r} {what} named {ZERO!r}")


def check_shapes(space: Space, widths: Iterable[int], side: int) -> None:
    """Try the operations of a space's own at all sizes that networks for pictures have.

    Args:
        space: whose operations `check_own` lets through.
        widths: channels of a node in the first cells, of each network.
        side: of a picture, in pixels.

    Raises:
        SpaceError: one cannot be built or run, or what it gives has another shape than a cell needs.
    """
    from rung.nas.counting import operation_cost

    own = _named(space)
    for channels in sorted(set(widths)):
        for name, width, stride, pixels in _places(space, own, channels, side):
            try:
                operation_cost(own[name], width, stride, pixels)
            except SpaceError as error:
                raise SpaceError(f"space {space.name!r}: operation {name!r} does not fit: {error}") from error
            except Exception as error:
                raise SpaceError(
                    f"space {space.name!r}: operation {name!r} cannot be used on {width} channels of "
                    f"{pixels} x {pixels} at stride {stride}: {type(error).__name__}: {error}"
                ) from error


def _named(space: Space) -> Mapping[str, Any]:
    """By name.

    Raises:
        SpaceError: they are no pairs.
    """
    try:
        return dict(space.operations)
    except (TypeError, ValueError) as error:
        raise SpaceError(
            f"space {space.name!r}: its own operations are pairs such as (('mine', Operation(build)),)"
        ) from error


def _places(
    space: Space, own: Mapping[str, Any], channels: int, side: int
) -> Iterator[tuple[str, int, int, int]]:
    """(name, channels, stride, side) wherever an operation of one's own may stand in a network."""
    halved = space.skeleton == "nasbench201" or any(cell.reduction for cell in space.cells)
    stages = [(channels, side)]
    for _ in range(2 * halved):
        stages.append((2 * stages[-1][0], -(-stages[-1][1] // 2)))
    found = {  # reductions have the channels of the stage that they begin
        (name, cell.reduction and source < cell.inputs)
        for cell in space.cells
        for edge, (source, _) in enumerate(cell.edges)
        for name in cell.candidates(edge)
        if name in own
    }
    for name, reduces in sorted(found):
        if reduces:
            for (_, pixels), (width, _) in pairwise(stages):
                yield name, width, 2, pixels
        else:
            for width, pixels in stages:
                yield name, width, 1, pixels
