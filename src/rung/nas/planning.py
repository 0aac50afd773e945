"""From what was asked to what is done: data, space, strategy and recipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from rung.errors import SpaceError, UserError
from rung.nas.devices import device_of
from rung.nas.genotype import ZERO
from rung.nas.loop import Plan
from rung.nas.own import check_own, check_shapes
from rung.nas.recipe import PRESETS, Recipe
from rung.nas.recipe_ranges import checked_recipe, settable
from rung.nas.space import SPACES, Cell, Space
from rung.nas.strategies.base import Strategy

if TYPE_CHECKING:
    from rung.nas.costs import Costs
    from rung.nas.data.pictures import Pictures
    from rung.nas.images import ImageTask
    from rung.nas.recurrent.presets import LanguageRecipe
    from rung.nas.thrift import Size, Thrift

_SMALLEST: Final = 3  # pixels of a side that can be halved twice, a single one cannot be
_INPUTS: Final = {"darts": 2, "nasbench201": 1}  # of the cells of each skeleton for pictures
_OF_SKIPS: Final = ("skip_dropout", "max_skips")  # remedies that a recurrent cell has no use for
_TEXTS: Final = (".txt", ".text", ".tokens")  # how files of text are called


@dataclass(frozen=True)
class Request:
    """What was asked; see `rung.nas.searching.search`."""

    data: Any
    strategy: str = "asap"
    cell: str = "cnn"
    space: Any = None
    preset: str = "tiny"
    budget: float | None = None
    epochs: int | None = None
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    cutout: int = 0
    device: str = "auto"
    retrain: bool = True
    crop: bool = True
    flip: bool | None = None
    size: int | None = None
    classes: Any = None
    networks: int | None = None
    workers: int | None = None


class Prepared(NamedTuple):
    """A plan, and what belongs to it.

    Attributes:
        plan: all that the result depends on.
        data: its name.
        notes: what a reader should know of them, in sentences.
        latencies: by the setting that asked for them; empty where no latency counts.
    """

    plan: Plan
    data: str
    notes: tuple[str, ...]
    latencies: Mapping[str, Costs]


def prepare(request: Request, latencies: Callable[[], Mapping[str, Costs]] = dict) -> Prepared:
    """Read the data and put the plan together.

    Args:
        latencies: those that the search was begun with, empty where it begins; called if they are asked for.

    Raises:
        UserError: something of it cannot be used.
    """
    from rung.nas.thrift import check_thrift, tables_of, thrifty

    recurrent = kind_of_cell(request.cell) == "rnn"
    space = space_for(request)
    recipe, strategy, thrift = strategy_of(request)
    if recurrent:
        from rung.nas.recurrent.task import language_task

        check_of_text(request)
        if strategy.form == "partial":
            raise UserError(
                f"strategy {request.strategy!r} mixes a part of the channels, and a recurrent cell has none: "
                "take another one"
            )
        if thrift.price or thrift.most is not None:
            raise UserError("price and most are of picture cells: recurrent cells of one size cost alike")
        words, data, notes = language_task(
            request.data,
            cast("LanguageRecipe", recipe),
            request.seed,
            request.limit,
            device_of(request.device),
        )
        return Prepared(Plan(words, space, strategy, recipe, request.seed), data, notes, {})
    check_thrift(strategy, thrift)
    task, data, notes = pictures_task(request, recipe, space)
    check_shapes(space, (_searched(recipe, strategy), recipe.retrain_channels), task.pictures.side)
    tables = tables_of(thrift, space, *_sizes(task, recipe), latencies)
    plan = Plan(task, space, thrifty(strategy, thrift, space, tables), recipe, request.seed)
    return Prepared(plan, data, notes, tables if thrift.resource == "latency" else {})


def pictures_task(request: Request, recipe: Recipe, space: Space) -> tuple[ImageTask, str, tuple[str, ...]]:
    """The task of a search for pictures, the data's name, and what a reader should know of it."""
    from rung.nas.data.augment import augmentation_of
    from rung.nas.data.pictures import Pictures
    from rung.nas.data.reading import read_pictures
    from rung.nas.images import ImageTask
    from rung.nas.supernet import table_of

    if isinstance(request.data, str | os.PathLike) and Path(request.data).suffix in _TEXTS:
        raise UserError(
            f"{request.data} is a text, and cell cnn is for pictures: give pictures, or --cell rnn"
        )
    limit = recipe.pictures if request.limit is None else request.limit
    if isinstance(request.data, Pictures):
        pictures = request.data if request.classes is None else request.data.only(request.classes)
        pictures = pictures.with_test(request.seed)
        pictures = pictures if limit is None else pictures.limited(limit, request.seed)
    else:
        pictures = read_pictures(
            request.data,
            limit=limit,
            classes=request.classes,
            seed=request.seed,
            size=request.size,
            test=True,
        )
    _check_sizes(pictures, space, request.cutout)
    task = ImageTask(
        pictures,
        channels=recipe.channels,
        layers=recipe.layers,
        batch=recipe.batch,
        seed=request.seed,
        augmentation=augmentation_of(pictures, crop=request.crop, flip=request.flip, cutout=request.cutout),
        device=device_of(request.device),
        table=table_of(space),
    )
    return task, pictures.name, pictures.notes


def _check_sizes(pictures: Pictures, space: Space, cutout: int) -> None:
    """Refuse pictures of which the network, or a cutout, would leave nothing, and those that are no squares.

    Raises:
        UserError: it would, or they are none.
    """
    side = pictures.side
    halved = any(cell.reduction for cell in space.cells) or space.cells[0].inputs == 1
    if halved and side < _SMALLEST:
        raise UserError(
            f"pictures of {side} x {side} pixels are too small, since networks halve them twice: take "
            "larger ones, or scale them by --size"
        )
    if cutout >= side:
        raise UserError(
            f"a cutout of {cutout} pixels would blank pictures of {side} x {side}: give --cutout {side // 2}"
        )


def _sizes(task: ImageTask, recipe: Recipe) -> tuple[Size, Size]:
    """Of the supernet, and of the network that is retrained."""
    from rung.nas.thrift import Size

    pictures = task.pictures
    searched = Size(recipe.channels, recipe.layers, len(pictures.classes), pictures.side, pictures.shape[2])
    return searched, searched._replace(channels=recipe.retrain_channels, layers=recipe.retrain_layers)


def _searched(recipe: Recipe, strategy: Strategy) -> int:
    """Channels that operations of the supernet's first cells have."""
    from rung.nas.partial import PARTS

    return recipe.channels // PARTS if strategy.form == "partial" else recipe.channels


def check_of_text(request: Request) -> None:
    """Refuse what a search for text has no use for.

    Raises:
        UserError: something of it was asked.
    """
    given = {
        "cutout": request.cutout != 0,
        "no-crop": not request.crop,
        "flip": request.flip is not None,
        "size": request.size is not None,
        "classes": request.classes is not None,
    }
    for name in (name for name, there in given.items() if there):
        raise UserError(f"--{name} is for pictures, and cell rnn is for text: leave it out")
    for name in (name for name in _OF_SKIPS if name in request.settings):
        raise UserError(f"{name} is of skips in cells for pictures, and cell rnn is for text: leave it out")


def kind_of_cell(name: str) -> str:
    """The name, if there is such a kind of cell.

    Raises:
        UserError: there is none.
    """
    if name not in ("cnn", "rnn"):
        raise UserError(f"unknown cell {name!r}: it is cnn (pictures) or rnn (text)")
    return name


def space_of(given: Any) -> Space:
    """A space by name, or the given one.

    Raises:
        UserError: there is none of this name.
    """
    if isinstance(given, Space):
        return given
    if not isinstance(given, str) or given not in SPACES:
        raise UserError(f"unknown space {given!r}: there are {', '.join(SPACES)}")
    return SPACES[given]


def space_for(request: Request) -> Space:
    """The space that was asked for, or the usual one.

    Raises:
        UserError: it is of the other kind of cells, or they cannot be stacked or derived.
    """
    recurrent = request.cell == "rnn"
    usual = "recurrent" if recurrent else "darts"
    space = space_of(usual if request.space is None else request.space)
    if (space.skeleton == "recurrent") != recurrent:
        own = "recurrent cells" if space.skeleton == "recurrent" else "cells for pictures"
        raise UserError(
            f"space {space.name!r} is of {own}, and the cell asked for is {request.cell}: give --cell "
            f"{'cnn' if recurrent else 'rnn'}, or leave --space out"
        )
    _check_cells(space)
    return space


def _check_cells(space: Space) -> None:
    """Refuse cells that cannot be stacked or derived: of a search that would be known at its end.

    Raises:
        SpaceError: names the cell or the operation, and what it needs.
    """
    check_own(space)
    for cell in space.cells:
        faults = _faults_of_any(cell)
        if space.skeleton != "recurrent":
            faults |= _faults_of_pictures(cell, space)
        for fault in (fault for fault, there in faults.items() if there):
            raise SpaceError(f"space {space.name!r}: cell {cell.name!r} {fault}")


def _faults_of_any(cell: Cell) -> dict[str, bool]:
    """What is wrong with a cell, in words, and whether it is."""
    bare = [
        target
        for target in cell.targets
        if not any(set(cell.candidates(edge)) - {ZERO} for edge in cell.entering(target))
    ]
    return {
        f"keeps {cell.keep} edges of a node: keep at least one, or None for all": (
            cell.keep is not None and cell.keep < 1
        ),
        f"has no candidate but {ZERO!r} on the edges of node {bare and bare[0]}: give it another": bool(bare),
    }


def _faults_of_pictures(cell: Cell, space: Space) -> dict[str, bool]:
    """As above, of what the networks for pictures ask."""
    inputs, name = _INPUTS.get(space.skeleton), "reduce" if cell.reduction else "normal"
    alone = space.skeleton == "nasbench201" and (len(space.cells) > 1 or len(cell.concat) > 1)
    return {
        f"is of an unknown skeleton, {space.skeleton!r}: there are {', '.join(_INPUTS)}": inputs is None,
        f"has inputs={cell.inputs}, and skeleton {space.skeleton!r} stacks cells of {inputs}": (
            cell.inputs != inputs
        ),
        "gives out the mean of its nodes, and cells for pictures do not: take 'concat' or 'last'": (
            cell.output == "mean"
        ),
        f"{'halves' if cell.reduction else 'keeps'} the size, and must be named {name!r}": cell.name != name,
        "is alone in skeleton 'nasbench201', and gives out its 'last' node": alone,
        "halves the size, and no cell keeps it: add one": all(each.reduction for each in space.cells),
    }


def preset_of(request: Request) -> Recipe:
    """The preset as it is for most strategies.

    Raises:
        UserError: there is none of this name.
    """
    presets = _presets(request.cell)
    if request.preset not in presets:
        raise UserError(f"unknown preset {request.preset!r}: there are {', '.join(presets)}")
    return presets[request.preset]


def recipe_of(request: Request) -> tuple[Recipe, dict[str, Any]]:
    """The preset with what was set otherwise, and the settings that are the strategy's.

    Raises:
        UserError: there is no such preset, or a value is of the wrong kind.
    """
    _check_numbers(request)
    asked = request.settings.get("epochs", request.epochs)
    told = request.limit is not None or "pictures" in request.settings
    stopping = request.settings.get("early_stop") is True
    recipe = preset_of(request).of(request.strategy, fewer=asked is None, sample=not told, stopping=stopping)
    known = settable(recipe)
    own = checked_recipe(recipe, {n: value for n, value in request.settings.items() if n in known})
    if request.epochs is not None:
        own["epochs"] = request.epochs
    recipe = replace(recipe, **own)
    if recipe.epochs < 1:
        raise UserError(f"a search has at least one epoch, not {recipe.epochs}")
    return recipe, {name: value for name, value in request.settings.items() if name not in known}


def _check_numbers(request: Request) -> None:
    """Refuse, from Python, what the command line refuses by itself.

    Raises:
        UserError: names what is no whole number, or too small.
    """
    least_of = {"epochs": 1, "seed": 0, "limit": 1, "cutout": 0, "size": 1, "networks": 1, "workers": 1}
    for name, least in least_of.items():
        value = getattr(request, name)
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if value is not None and (not whole or value < least):
            raise UserError(f"{name} is a whole number from {least} up, not {value!r}")


def strategy_of(request: Request) -> tuple[Recipe, Strategy, Thrift]:
    """The recipe, the strategy with its settings, and what is asked of the cost of what it finds.

    Raises:
        UserError: something of it is not known, or of the wrong kind.
    """
    from rung.nas.strategies.table import make
    from rung.nas.thrift import thrift_of

    if request.networks is not None:
        raise UserError(
            f"strategy {request.strategy!r} trains one supernet, so it takes no number of networks: leave "
            "--networks out, or take one such as evolution that trains each on its own"
        )
    if request.workers is not None:
        raise UserError(
            f"strategy {request.strategy!r} trains one supernet, in one process: leave --workers out, start "
            "with torchrun for several devices, or take one such as evolution that trains many networks"
        )
    recipe, rest = recipe_of(request)
    thrift, settings = thrift_of({**recipe.settings(request.strategy), **rest})
    strategy = make(request.strategy, settings, recipe.epochs)
    if request.cell != "rnn":
        _check_stack(space_for(request), recipe, strategy)
    return recipe, strategy, thrift


def _check_stack(space: Space, recipe: Recipe, strategy: Strategy) -> None:
    """Refuse, before any data is read, a network that cannot be built.

    Raises:
        SpaceError: too few layers, or channels that cannot be divided.
    """
    from rung.nas.partial import check_parts

    for layers in (recipe.layers, recipe.retrain_layers):
        space.layout(layers)
    if strategy.form == "partial":
        check_parts(recipe.channels)


def _presets(cell: str) -> Mapping[str, Recipe]:
    if cell == "rnn":
        from rung.nas.recurrent.presets import LANGUAGE_PRESETS

        return LANGUAGE_PRESETS
    return PRESETS
