"""From what was asked to what is done: data, space, strategy, recipe, and how many epochs fit a budget."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import torch

from rung.errors import UserError
from rung.nas.devices import average, device_of
from rung.nas.loop import Plan, start
from rung.nas.moment import Moment
from rung.nas.recipe import PRESETS, Recipe
from rung.nas.recipe_ranges import checked_recipe, settable
from rung.nas.space import SPACES, Space
from rung.nas.strategies.base import Strategy, Turn
from rung.nas.training import weight_step

if TYPE_CHECKING:
    from rung.nas.data.pictures import Pictures
    from rung.nas.images import ImageTask
    from rung.nas.recurrent.presets import LanguageRecipe
    from rung.nas.thrift import Size, Thrift

SEARCHING: Final = 0.75  # of a budget; the rest is for deriving and for the short training
_PROBES: Final = 3  # steps that are timed, after one that is not
_SMALLEST: Final = 3  # pixels of a side that can be halved twice, a single one cannot be
_TEXTS: Final = (".txt", ".text", ".tokens")  # how files of text are called
_WORTH: Final = 1.15  # times as long as with all threads is what a step may take with one
_HOPELESS: Final = 3.0  # times as long as with one thread: threads wait for each other, and probing ends


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
    """A plan, the data's name, and what a reader should know of them, in sentences."""

    plan: Plan
    data: str
    notes: tuple[str, ...]


def prepare(request: Request) -> Prepared:
    """Read the data and put the plan together.

    Raises:
        UserError: something of it cannot be used.
    """
    from rung.nas.thrift import thrifty

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
        return Prepared(Plan(words, space, strategy, recipe, request.seed), data, notes)
    task, data, notes = pictures_task(request, recipe, space)
    strategy = thrifty(strategy, thrift, space, *_sizes(task, recipe))
    return Prepared(Plan(task, space, strategy, recipe, request.seed), data, notes)


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
    limit = request.limit or recipe.pictures
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
    """Refuse pictures of which the network, or a cutout, would leave nothing.

    Raises:
        UserError: it would.
    """
    height, width, _ = pictures.shape
    side = min(height, width)
    halved = any(cell.reduction for cell in space.cells) or space.cells[0].inputs == 1
    if halved and side < _SMALLEST:
        raise UserError(
            f"pictures of {height} x {width} pixels are too small, since networks halve them twice: take "
            "larger ones, or scale them by --size"
        )
    if cutout >= side:
        raise UserError(
            f"a cutout of {cutout} pixels would blank pictures of {height} x {width}: give --cutout "
            f"{side // 2}"
        )


def _sizes(task: ImageTask, recipe: Recipe) -> tuple[Size, Size]:
    """Of the supernet, and of the network that is retrained."""
    from rung.nas.thrift import Size

    height, _, channels = task.pictures.shape
    searched = Size(recipe.channels, recipe.layers, len(task.pictures.classes), height, channels)
    return searched, searched._replace(channels=recipe.retrain_channels, layers=recipe.retrain_layers)


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
    if given not in SPACES:
        raise UserError(f"unknown space {given!r}: there are {', '.join(SPACES)}")
    return SPACES[given]


def space_for(request: Request) -> Space:
    """The space that was asked for, or the usual one.

    Raises:
        UserError: it is of the other kind of cells.
    """
    recurrent = request.cell == "rnn"
    space = space_of(request.space or ("recurrent" if recurrent else "darts"))
    if (space.skeleton == "recurrent") != recurrent:
        own = "recurrent cells" if space.skeleton == "recurrent" else "cells for pictures"
        raise UserError(
            f"space {space.name!r} is of {own}, and the cell asked for is {request.cell}: give --cell "
            f"{'cnn' if recurrent else 'rnn'}, or leave --space out"
        )
    return space


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
    return recipe, make(request.strategy, settings, recipe.epochs), thrift


def _presets(cell: str) -> Mapping[str, Recipe]:
    if cell == "rnn":
        from rung.nas.recurrent.presets import LANGUAGE_PRESETS

        return LANGUAGE_PRESETS
    return PRESETS


def fit_budget(prepared: Prepared, budget: float, began: float | None = None) -> Prepared:
    """The plan with as many of its epochs as the budget has time for, after timing a few steps.

    Args:
        began: the monotonic time from which the budget counts; now, unless told.

    Raises:
        UserError: not even one fits.
    """
    plan = prepared.plan
    each = epoch_seconds(plan)
    spent = 0.0 if began is None else average(time.monotonic() - began)
    left = SEARCHING * budget - spent
    if left < each:
        before = f", with {spent:.0f} s that have gone before," if spent >= 0.5 else ""
        enough = (each + spent) / SEARCHING + 1
        raise UserError(
            f"a budget of {budget:g} s is under one epoch, which takes about {each:.1f} s here{before} and "
            f"may have {SEARCHING:.0%} of it: give --budget {enough:.0f}s, or fewer samples (--limit)"
        )
    each *= getattr(plan.strategy, "mean_cost", 1.0)  # of one that prunes, and gets cheaper by it
    possible = int(left / each)
    if possible >= plan.recipe.epochs:
        return prepared
    note = f"{possible} of {plan.recipe.epochs} epochs are planned, {each:.1f} s each, to fit {budget:g} s"
    return prepared._replace(plan=with_epochs(plan, possible), notes=(*prepared.notes, note))


def with_epochs(plan: Plan, epochs: int) -> Plan:
    """The same with another number of epochs: schedules are scaled to it."""
    from rung.nas.strategies.table import rescaled

    strategy = rescaled(plan.strategy, epochs)
    return plan._replace(recipe=replace(plan.recipe, epochs=epochs), strategy=strategy)


def epoch_seconds(plan: Plan) -> float:
    """What an epoch takes here, by timing a few steps of a search that is thrown away; for all processes."""
    return 1.25 * plan.task.steps * average(step_seconds(plan, _PROBES))  # and a look at the held-out samples


def step_seconds(plan: Plan, probes: int) -> float:
    """What a step of alphas and weights takes, the least of a few after one that is not counted."""
    state, task = start(plan), plan.task
    state.net.train()
    spent = []
    for step, (first, second) in zip(range(probes + 1), task.pairs(0), strict=False):
        began = time.perf_counter()
        moment = Moment(plan.seed, plan.recipe.epochs - 1, plan.recipe.epochs, step, task.steps)
        rate, clip = plan.recipe.rate, plan.recipe.clip
        turn = Turn(
            task, plan.space, state.net, state.alphas, first, second, state.weights, rate, moment, clip
        )
        if plan.strategy.step(turn).loss is None:
            with torch.no_grad():
                mixed = plan.strategy.mixed(plan.space, state.alphas, state.net.alive, moment)
            weight_step(task, state.net, mixed, first, state.weights, clip)
        spent.append(time.perf_counter() - began)
    return min(spent[1:] or spent)


def best_threads(plan: Plan) -> int:
    """How many threads of torch's are worth having on this machine, as busy as it is: one, or all of them.

    Networks of few channels gain little from a second thread, and where other programs are busy threads that
    wait for each other can take ten times as long as one. Results may differ in the last bits with the
    number, so that a search keeps the one that it began with.
    """
    if next(iter(start(plan).net.parameters())).device.type != "cpu":
        return torch.get_num_threads()
    return threads_worth(lambda probes: step_seconds(plan, probes))


def threads_worth(seconds: Callable[[int], float]) -> int:
    """One thread, or all of them, by what steps take on a CPU with either.

    Args:
        seconds: of a step, the least of so many after one that is not counted; of that one if none is.
    """
    most = torch.get_num_threads()
    if most == 1:
        return most
    try:
        torch.set_num_threads(1)
        alone = seconds(2)
        torch.set_num_threads(most)
        if seconds(0) > _HOPELESS * alone:
            return 1
        return 1 if alone <= _WORTH * seconds(2) else most
    finally:
        torch.set_num_threads(most)
