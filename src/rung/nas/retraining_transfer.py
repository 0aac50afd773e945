"""A cell on other data, beside random cells of its space, of its size where there are such, trained alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import torch

from rung.errors import SpaceError
from rung.nas.choice import allowed, random_choice
from rung.nas.counting import count
from rung.nas.data.keys import seed_of
from rung.nas.data.pictures import Pictures
from rung.nas.genotype import CellGenotype, Genotype
from rung.nas.operations import OPERATIONS
from rung.nas.retraining import Retrained
from rung.nas.retraining_schedule import Schedule
from rung.nas.space import SPACES, Cell, Space
from rung.nas.supernet import table_of

NEAR: Final = 0.1  # of the cell's parameters, within which another is as large
_DRAWS: Final = 300

Train = Callable[[str, Genotype], Retrained]


class Transferred(NamedTuple):
    """A cell's training, and those of the random cells beside it."""

    cell: Retrained
    baselines: tuple[Retrained, ...]


def transfer(
    genotype: Genotype,
    pictures: Pictures,
    schedule: Schedule,
    *,
    baselines: int,
    seed: int,
    train: Train,
    own: Space | None = None,
) -> Transferred:
    """Train a cell and random cells, each from scratch and in the same way; see `random_cells`.

    Args:
        baselines: how many random cells.
        seed: of the random cells.
        train: called with a title and a genotype.
        own: the space of random cells; the smallest shipped one that holds the genotype, unless told.

    Raises:
        SpaceError: it is in no shipped space, or not in its own, or alone there: no random cell can be drawn.
    """
    others = random_cells(genotype, pictures, schedule, baselines, seed, own) if baselines else ()
    found = train("cell", genotype)
    return Transferred(found, tuple(train(f"random {n}", other) for n, other in enumerate(others, 1)))


def random_cells(
    genotype: Genotype,
    pictures: Pictures,
    schedule: Schedule,
    number: int,
    seed: int,
    own: Space | None = None,
) -> tuple[Genotype, ...]:
    """Random architectures of a genotype's space whose networks have within 10 % as many parameters.

    The n-th is a function of (seed, n). Where 300 draws find none so near, the nearest of them is taken.

    Raises:
        SpaceError: the genotype is not of its space, or nothing else is drawn there.
    """
    space = space_of(genotype) if own is None else own
    if not holds(space, genotype):
        raise SpaceError(
            f"this cell is not of space {space.name!r}, so that random cells of it are no match: give --space"
            " the one that it is of, or --baseline 0"
        )
    table = OPERATIONS if own is None else table_of(own)

    def size(each: Genotype) -> int:
        return count(
            each,
            schedule.channels,
            schedule.layers,
            len(pictures.classes),
            image_size=pictures.side,
            pictures=pictures.shape[2],
            stem=schedule.stem,
            table=table,
        ).parameters

    wanted, cells = size(genotype), []
    for which in range(number):
        generator = torch.Generator().manual_seed(seed_of(seed, which, "baseline"))
        best, far = genotype, float("inf")
        for _ in range(_DRAWS):
            drawn = space.genotype(random_choice(space, generator))
            off = abs(size(drawn) - wanted) / wanted
            if drawn != genotype and off < far:
                best, far = drawn, off
            if far <= NEAR:
                break
        if best == genotype:
            raise SpaceError(
                f"{_DRAWS} random cells of space {space.name!r} are all this cell, so that there is none to "
                "train beside it: give --space a larger one that has it, or --baseline 0"
            )
        cells.append(best)
    return tuple(cells)


def space_of(genotype: Genotype) -> Space:
    """The smallest shipped space that holds a genotype: its cells, nodes, inputs and operations.

    Raises:
        SpaceError: there is none.
    """
    fitting = [space for space in SPACES.values() if holds(space, genotype)]
    if not fitting:
        raise SpaceError(
            "no space of rung's holds this cell (its nodes, inputs and operations), so that no random cell "
            "can be drawn beside it: give --baseline 0"
        )
    return min(fitting, key=lambda space: max(len(cell.operations) for cell in space.cells))


def holds(space: Space, genotype: Genotype) -> bool:
    """Whether a genotype is one of a space's: its cells, nodes, inputs, and each edge's operation."""
    names = {name for name, _ in genotype.cells}
    return names == {cell.name for cell in space.cells} and all(
        _fits(space[name], cell) for name, cell in genotype.cells
    )


def _fits(cell: Cell, derived: CellGenotype) -> bool:
    numbers = {edge: number for number, edge in enumerate(cell.edges)}
    return (
        cell.nodes == len(derived.nodes)
        and cell.inputs == derived.inputs
        and all(
            cell.keep is None or len(edges) == min(cell.keep, _enterable(cell, target))
            for target, edges in zip(cell.targets, derived.nodes, strict=True)
        )
        and all(
            name in cell.candidates(numbers[source, target])
            for target, edges in zip(cell.targets, derived.nodes, strict=True)
            for name, source in edges
        )
    )


def _enterable(cell: Cell, target: int) -> int:
    """How many edges into a node have something to derive."""
    return sum(bool(allowed(cell)[edge].any()) for edge in cell.entering(target))
