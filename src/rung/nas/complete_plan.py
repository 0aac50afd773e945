"""What a search over complete networks is made of: each network is trained on its own, and scored."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from rung.errors import UserError
from rung.nas import complete_pictures, complete_text
from rung.nas.choice import choice_of
from rung.nas.complete_kind import Networks
from rung.nas.complete_pictures import PictureNetworks
from rung.nas.complete_scale import scale_of
from rung.nas.complete_text import TextNetworks
from rung.nas.costs import Costs
from rung.nas.devices import device_of
from rung.nas.discrete.architectures import Architectures, Limit
from rung.nas.discrete.table import fitted, make
from rung.nas.genotype import Genotype
from rung.nas.images import ImageTask
from rung.nas.own import check_shapes
from rung.nas.planning import Request, check_of_text, kind_of_cell, pictures_task, recipe_of, space_for
from rung.nas.recipe import Recipe
from rung.nas.recurrent.presets import LanguageRecipe
from rung.nas.recurrent.task import corpus_of
from rung.nas.space import Space, form_of
from rung.nas.strategies.described import COMPLETE
from rung.nas.strategies.selection import Limits, check_limits
from rung.nas.thrift import Size, Thrift, costs_of, thrift_of
from rung.storage import open_storage
from rung.study.opening import stored_identity


class CompletePlan(NamedTuple):
    """All that the result depends on.

    Attributes:
        task: the data, and the networks that are trained for it.
        networks: how many are trained.
        settings: of the strategy; what was not given is fitted to the number of networks.
        thrift: what of the cost counts.
        costs: by operation, of a network as it is trained; None where nothing asks for them.
        workers: how many are trained at a time.
    """

    task: Networks
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
    space = space_for(request)
    costs: Costs | None = None
    task: Networks
    if isinstance(recipe, LanguageRecipe):
        corpus = corpus_of(request.data, recipe)
        task = TextNetworks(corpus, recipe, request.seed, torch.device(device_of(request.device)))
        data, notes = corpus.name, corpus.notes
    else:
        pictures, data, notes = pictures_task(request, recipe, space)
        check_shapes(space, (recipe.retrain_channels,), pictures.pictures.side)
        task = PictureNetworks(pictures)
        costs = _costs(pictures, space, recipe, thrift, latencies)
    networks = scale_of(request).networks if request.networks is None else request.networks
    workers = 1 if request.workers is None else request.workers
    nodes = max(cell.nodes for cell in space.cells)
    settings = fitted(request.strategy, settings, networks, nodes, workers)
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
        workers,
    )
    return CompletePrepared(plan, data, notes)


def _costs(
    task: ImageTask,
    space: Space,
    recipe: Recipe,
    thrift: Thrift,
    latencies: Callable[[], Costs | None],
) -> Costs | None:
    """By operation, of a network as it is trained; None where nothing asks for them.

    Raises:
        UserError: no architecture is within the limit.
    """
    if not thrift.price and thrift.most is None:
        return None
    pictures = task.pictures
    size = Size(
        recipe.retrain_channels,
        recipe.retrain_layers,
        len(pictures.classes),
        pictures.side,
        pictures.shape[2],
    )
    before = latencies() if thrift.resource == "latency" else None
    known = before is not None and before.belongs(space)
    costs = before if known else costs_of(thrift.resource, space, size, derived=True)
    if costs is not None and thrift.most is not None:
        check_limits(space, Limits(None, costs, thrift.most))
    return costs


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
    """The recipe at the scale of many networks, what is asked of the cost, the strategy's settings.

    Raises:
        UserError: something is not known, of the wrong kind, or without effect here.
    """
    recurrent = kind_of_cell(request.cell) == "rnn"
    if recurrent:
        check_of_text(request)
    known = complete_text.SETTINGS if recurrent else complete_pictures.SETTINGS
    recipe, rest = recipe_of(replace(request, epochs=None))
    of_supernets = set(request.settings) - set(rest) - set(known)
    if of_supernets:
        raise UserError(
            f"{min(of_supernets)} is of supernets, and strategy {request.strategy!r} trains none: of its "
            f"networks {', '.join(known)} can be set"
        )
    thrift, settings = thrift_of(rest)
    if recurrent and (thrift.price or thrift.most is not None):
        raise UserError("price and most are of picture cells: recurrent cells of one size cost alike")
    make(request.strategy, settings)
    return scale_of(request).of(recipe, request), thrift, settings
