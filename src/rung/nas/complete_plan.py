"""What a search over complete networks is made of: each network is trained on its own, and scored."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from rung.errors import UserError
from rung.nas.choice import choice_of
from rung.nas.costs import Costs
from rung.nas.discrete.architectures import Architectures, Limit
from rung.nas.discrete.configurations import form_of
from rung.nas.discrete.table import fitted, make
from rung.nas.genotype import Genotype
from rung.nas.images import ImageTask
from rung.nas.planning import Request, pictures_task, recipe_of, space_of
from rung.nas.recipe import Recipe
from rung.nas.space import Space
from rung.nas.strategies.described import COMPLETE
from rung.nas.strategies.selection import Limits, check_limits
from rung.nas.thrift import Size, Thrift, costs_of, thrift_of
from rung.storage import open_storage
from rung.study.opening import stored_identity


class Scale(NamedTuple):
    """How much of a preset's time goes where: a supernet is trained once, here each network is.

    Attributes:
        text: what comes of it, in a sentence.
        networks: how many are trained.
        channels, epochs: of each, in place of the short training's after a supernet.
    """

    text: str
    networks: int
    channels: int
    epochs: int


SCALES: Final[Mapping[str, Scale]] = MappingProxyType(
    {
        "tiny": Scale(
            "about three minutes, with two workers half of it: twelve networks and the best once more, of a "
            "third of the multiply-adds and for half of the epochs of the training after a supernet",
            networks=12,
            channels=4,
            epochs=3,
        ),
        "small": Scale(
            "about an hour, with two workers half of it: twenty networks and the best once more, of half of "
            "the multiply-adds and for a third of the epochs of the training after a supernet",
            networks=20,
            channels=8,
            epochs=6,
        ),
        "paper": Scale(
            "200 networks, each as the paper's cells are judged, on a GPU",
            networks=200,
            channels=36,
            epochs=100,
        ),
    }
)
"""By preset, unless told: multiply-adds of all trainings are what its time allows (docs/search.md)."""

_SETTINGS: Final = (
    *("pictures", "rate"),
    *("retrain_channels", "retrain_layers", "retrain_epochs", "retrain_batch", "retrain_drop_path"),
)
"""Of a recipe, those that a network trained from scratch knows."""


class CompletePlan(NamedTuple):
    """All that the result depends on.

    Attributes:
        networks: how many are trained.
        settings: of the strategy; what was not given is fitted to the number of networks.
        thrift: what of the cost counts.
        costs: by operation, of a network as it is trained; None where nothing asks for them.
        workers: how many are trained at a time.
    """

    task: ImageTask
    space: Space
    strategy: str
    settings: Mapping[str, Any]
    recipe: Recipe
    seed: int
    networks: int
    thrift: Thrift
    costs: Costs | None
    workers: int = 1

    @property
    def sampler(self) -> Architectures:
        """What suggests the next architecture."""
        limit = None
        if self.costs is not None and self.thrift.most is not None:
            edges = {name: tuple(map(tuple, table.tolist())) for name, table in self.costs.edges.items()}
            limit = Limit(self.thrift.most, float(self.costs.rest), edges)
        return Architectures(form_of(self.space), self.strategy, dict(self.settings), limit)

    def price(self, genotype: Genotype) -> float:
        """What is added to a network's error for its cost."""
        if self.costs is None or not self.thrift.price:
            return 0.0
        return self.thrift.price * self.costs.of_chosen(choice_of(self.space, genotype)) / self.costs.whole


class CompletePrepared(NamedTuple):
    """A plan, the data's name, and what a reader should know of them, in sentences."""

    plan: CompletePlan
    data: str
    notes: tuple[str, ...]


def is_complete(strategy: str) -> bool:
    """Whether it trains each network on its own."""
    return strategy in COMPLETE


def prepare_complete(request: Request, latencies: Callable[[], Costs | None]) -> CompletePrepared:
    """Read the data and put the plan together.

    Args:
        latencies: those that the study was begun with, None where it begins; called if they are asked for.

    Raises:
        UserError: something of it cannot be used.
    """
    recipe, thrift, settings = checked(request)
    space = space_of(request.space or "darts")
    task, data, notes = pictures_task(request, recipe, space)
    height, _, channels = task.pictures.shape
    size = Size(recipe.retrain_channels, recipe.retrain_layers, len(task.pictures.classes), height, channels)
    costs = None
    if thrift.price or thrift.most is not None:
        before = latencies() if thrift.resource == "latency" else None
        known = before is not None and before.belongs(space)
        costs = before if known else costs_of(thrift.resource, space, size, derived=True)
    if costs is not None and thrift.most is not None:
        check_limits(space, Limits(None, costs, thrift.most))
    networks = request.networks or SCALES[request.preset].networks
    settings = fitted(request.strategy, settings, networks, max(cell.nodes for cell in space.cells))
    plan = CompletePlan(
        task,
        space,
        request.strategy,
        settings,
        recipe,
        request.seed,
        networks,
        thrift,
        costs,
        request.workers or 1,
    )
    return CompletePrepared(plan, data, notes)


def latency_record(plan: CompletePlan) -> dict[str, Any]:
    """For the log: measured anew they would be others, and the search would not go on as it began."""
    if plan.costs is None or plan.thrift.resource != "latency":
        return {}
    return {"latency": plan.costs.to_dict()}


def latencies_of(storage: Any, study: str | None) -> Costs | None:
    """What `latency_record` gave when a study was begun; None if there is no such study, or it has none."""
    if study is None:
        return None
    store = open_storage(storage) if isinstance(storage, str | os.PathLike) else storage
    try:
        task = stored_identity(store, study).task if store.find(study) is not None else {}
    finally:
        if store is not storage:
            store.close()
    return Costs.from_dict(task["latency"]) if "latency" in task else None


def checked(request: Request) -> tuple[Recipe, Thrift, dict[str, Any]]:
    """The recipe with `epochs` as those of each network, what is asked of the cost, the strategy's settings.

    Raises:
        UserError: something is not known, of the wrong kind, or without effect here.
    """
    if request.cell != "cnn":
        raise UserError(
            f"strategy {request.strategy!r} trains complete networks for pictures: for --cell rnn take one "
            "that trains a supernet, such as asap or darts1"
        )
    recipe, rest = recipe_of(replace(request, epochs=None))
    of_supernets = set(request.settings) - set(rest) - set(_SETTINGS)
    if of_supernets:
        raise UserError(
            f"{min(of_supernets)} is of supernets, and strategy {request.strategy!r} trains none: of its "
            f"networks {', '.join(_SETTINGS)} can be set"
        )
    scale, told = SCALES[request.preset], request.settings
    if "retrain_channels" not in told:
        recipe = replace(recipe, retrain_channels=scale.channels)
    if request.epochs is not None or "retrain_epochs" not in told:
        recipe = replace(recipe, retrain_epochs=request.epochs or scale.epochs)
    thrift, settings = thrift_of(rest)
    make(request.strategy, settings)
    return recipe, thrift, settings
