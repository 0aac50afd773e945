"""Architectures as configurations of a study, and the discrete strategies as its samplers.

A configuration names, for each edge of each cell, the operation that the edge has, or `none` where the cell
does not have the edge. What a strategy suggests is a function of the study's log alone, so that a search that
is interrupted goes on as if it had not been.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from rung.nas.choice import allowed, choice_of
from rung.nas.discrete.configurations import genotype_of, parameter_of, space_of_form
from rung.nas.discrete.history import Scored
from rung.nas.discrete.table import make
from rung.nas.genotype import ZERO, Genotype
from rung.nas.search_study import PERPLEXITY
from rung.nas.space import Cell, Space
from rung.samplers.base import Request, Suggestion
from rung.space.compiled import CompiledSpace
from rung.space.domains import Categorical
from rung.space.draws import Rng, key
from rung.trials.events import Origin
from rung.trials.history import History
from rung.trials.states import TrialState

_ATTEMPTS: Final = 50  # to find an architecture within a limit
_WORST: Final = 1.0  # score of an architecture that could not be trained, where no other has a score


@dataclass(frozen=True)
class Limit:
    """What an architecture may cost.

    Attributes:
        most: of the whole network.
        rest: of all that stands on no edge.
        edges: by cell, (E, O): of each operation.
    """

    most: float
    rest: float
    edges: Mapping[str, tuple[tuple[float, ...], ...]]

    def admits(self, space: Space, genotype: Genotype) -> bool:
        """Whether it costs no more."""
        chosen = choice_of(space, genotype)
        spent = sum(self.edges[name][edge][column] for name, kept in chosen.items() for edge, column in kept)
        return self.rest + spent <= self.most


@dataclass(frozen=True)
class Architectures:
    """The sampler of a search over complete networks.

    Attributes:
        space: of architectures, as `form_of` gives it.
        strategy: a name in `rung.nas.discrete.table.DISCRETE`.
        settings: its fields by name.
        limit: what a network may cost, None for anything.
    """

    space: Mapping[str, Any]
    strategy: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    limit: Limit | None = None

    def suggest(
        self, space: CompiledSpace, history: History, request: Request, rng: Rng
    ) -> Suggestion | None:
        """The architecture that the strategy would train next, if possible none that is trained right now.

        With several at a time a network knows of those that have ended when its turn comes, and of none that
        an interruption let end before it: what is suggested is the same with it and without.
        None where fifty are all beyond the limit.
        """
        where = space_of_form(self.space)
        known = max(rng.number - max(int(history.identity.deterministic), 1) + 1, 0)
        strategy, tried, running = make(self.strategy, self.settings), scored(where, history, known), None
        beside = {*history.running, *range(known, rng.number)}
        under_way = [genotype_of(where, history.config(trial)) for trial in sorted(beside)]
        for attempt in range(_ATTEMPTS):
            generator = torch.Generator().manual_seed(key(rng.seed, rng.number, attempt) >> 1)
            genotype = strategy.suggest(where, tried, generator)
            if self.limit is not None and not self.limit.admits(where, genotype):
                continue
            if genotype not in under_way:
                return self._suggestion(space, where, genotype)
            running = running or genotype
        return None if running is None else self._suggestion(space, where, running)

    def _suggestion(self, space: CompiledSpace, where: Space, genotype: Genotype) -> Suggestion:
        values = space.from_mapping(configuration(where, genotype))
        return Suggestion(values, Origin(self.strategy))


def parameters(space: Space) -> dict[str, Categorical]:
    """The study's parameters: each edge's operation, by a name such as `normal_0_2`."""
    return {
        parameter_of(cell, edge): Categorical((ZERO, *_operations(cell, edge)))
        for cell in space.cells
        for edge in range(len(cell.edges))
        if _operations(cell, edge)
    }


def configuration(space: Space, genotype: Genotype) -> dict[str, str]:
    """A genotype as a configuration."""
    config = dict.fromkeys(parameters(space), ZERO)
    for cell in space.cells:
        for edge, column in choice_of(space, genotype)[cell.name]:
            config[parameter_of(cell, edge)] = cell.operations[column]
    return config


def scored(space: Space, history: History, known: int) -> list[Scored]:
    """What was trained of the first so many, in order of number.

    A network that could not be trained, or whose loss was not finite, counts as bad as the worst that could.
    A perplexity counts by its logarithm, the loss in nats: the worst of them would outweigh all others.
    """
    words = history.identity.metric == PERPLEXITY
    given: list[tuple[Genotype, float]] = []
    for number, state in enumerate(history.states[:known]):
        if state in (TrialState.COMPLETE, TrialState.FAILED, TrialState.INFEASIBLE):
            score = history.latest[number] if state is TrialState.COMPLETE else math.inf
            score = math.log(score) if words else score
            given.append((genotype_of(space, history.config(number)), score))
    worst = max((score for _, score in given if math.isfinite(score)), default=_WORST)
    return [Scored(genotype, score if math.isfinite(score) else worst) for genotype, score in given]


def _operations(cell: Cell, edge: int) -> tuple[str, ...]:
    return tuple(name for name, may in zip(cell.operations, allowed(cell)[edge], strict=True) if may)
