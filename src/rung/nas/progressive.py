"""Progressive search in depth (P-DARTS: Chen et al. 2019, section 3.2): one search a stage.

The supernet of each stage is deeper than the one before, to come nearer to the depth of the network that is
retrained; what makes room for it is that each edge keeps only its strongest candidates. Weights and alphas
begin anew in each stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from rung.errors import SpaceError
from rung.nas.genotype import Genotype
from rung.nas.loop import Plan, Record, State, run, start
from rung.nas.recipe import Recipe
from rung.nas.space import Space
from rung.nas.strategies.p_darts import PDarts, narrowed
from rung.nas.task import Task


class Stage(NamedTuple):
    """One of the searches.

    Attributes:
        layers: cells of its supernet.
        keep: candidates of an edge.
        dropout: behind skips, at its beginning.
    """

    layers: int
    keep: int
    dropout: float


STAGES: Final = (Stage(5, 8, 0.0), Stage(11, 5, 0.4), Stage(17, 3, 0.7))


class Progress(NamedTuple):
    """What a progressive search found.

    Attributes:
        genotype: of the last stage.
        states: of each stage, after its last epoch.
    """

    genotype: Genotype
    states: tuple[State, ...]


def progressive(  # a search, all that it depends on
    task_of: Callable[[int], Task],
    space: Space,
    recipe: Recipe,
    seed: int,
    *,
    stages: Sequence[Stage] = STAGES,
    max_skips: int = 2,
    watch: Callable[[State, Record], bool] = lambda *_: True,
) -> Progress:
    """Search in stages.

    Args:
        task_of: the task with a supernet of so many layers.
        space: of the first stage.
        recipe: of each stage: its epochs are those of one.
        stages: in order.
        max_skips: of the normal cell that is derived.
        watch: called after each epoch; where it says no, the stage is over.

    Raises:
        SpaceError: there is no stage.
    """
    if not stages:
        raise SpaceError("a progressive search has at least one stage")
    states: list[State] = []
    for number, stage in enumerate(stages):
        strategy = PDarts(keep=(stage.keep,), dropout=(stage.dropout,), max_skips=max_skips)
        plan = Plan(
            task_of(stage.layers), space, strategy, replace(recipe, layers=stage.layers), seed + number
        )
        state = run(plan, start(plan), watch)
        states.append(state)
        if number + 1 < len(stages):
            space = narrowed(space, state.alphas, state.net.alive, stages[number + 1].keep)
    return Progress(strategy.derive(space, state.alphas, state.net.alive), tuple(states))
