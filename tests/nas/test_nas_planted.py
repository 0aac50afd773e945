"""A planted optimum: searches find the one operation that fits, and prefer none where nothing does."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare

from nas.nas_planted import CANDIDATES, EDGES, ONE_NODE, TWO_NODES, PlantedTask
from rung.nas.loop import Plan, State, derive, run, start
from rung.nas.recipe import Recipe
from rung.nas.space import Space
from rung.nas.strategies.asap import Asap
from rung.nas.strategies.base import Strategy
from rung.nas.strategies.darts import FirstOrder, SecondOrder

RECIPE = Recipe(epochs=10, alpha_rate=0.1, alpha_decay=0.0, rate=0.1)
SEARCHES: dict[str, Strategy] = {
    "asap": Asap(form="plain").scaled(RECIPE.epochs),
    "darts1": FirstOrder(form="plain"),
    "darts": SecondOrder(form="plain"),
}
PLANTED = "dil_conv_5x5"


def found(
    strategy: Strategy, seed: int, planted: str = PLANTED, space: Space = ONE_NODE, noise: bool = False
) -> tuple[State, list[str]]:
    """The state after a search, and the operations of its genotype."""
    plan = Plan(PlantedTask(planted, seed, space, noise=noise), space, strategy, RECIPE, seed)
    state = run(plan, start(plan), lambda state, record: True)
    return state, [name for node in derive(plan, state)["normal"].nodes for name, _ in node]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", list(SEARCHES))
def test_finds_what_was_planted(name: str, seed: int) -> None:
    assert found(SEARCHES[name], seed)[1] == [PLANTED, PLANTED]


@pytest.mark.long
@pytest.mark.parametrize("name", list(SEARCHES))
def test_finds_what_was_planted_on_nine_of_ten_seeds(name: str) -> None:
    assert sum(found(SEARCHES[name], seed)[1] == [PLANTED, PLANTED] for seed in range(10)) >= 9


@pytest.mark.long
@pytest.mark.parametrize("planted", ["max_pool_3x3", "sep_conv_3x3", "skip_connect"])
def test_finds_other_operations_where_they_were_planted(planted: str) -> None:
    """What is found is the teacher's, and not always the same."""
    assert sum(found(SEARCHES["asap"], seed, planted)[1] == [planted] * 2 for seed in range(5)) >= 4


@pytest.mark.long
def test_finds_the_edges_that_were_planted() -> None:
    """Node 3 of the teacher does not read input 1: of three inputs ASAP keeps the other two."""
    right = 0
    for seed in range(5):
        state, names = found(SEARCHES["asap"], seed, space=TWO_NODES)
        kept = tuple(int(edge) for edge in state.net.alive["normal"].any(1).nonzero()[0])
        right += kept == EDGES and names == [PLANTED] * 4
    assert right >= 4


def test_alphas_of_noise_stay_close() -> None:
    """Where nothing fits, alphas move less than half as far apart as where something does."""
    spread = []
    for noise in (False, True):
        state, _ = found(SEARCHES["darts1"], 0, noise=noise)
        alphas = state.alphas["normal"].detach()[:, 1:]
        spread.append(float(alphas.max(1).values.mean() - alphas.mean()))
    assert spread[1] < 0.5 * spread[0]


@pytest.mark.long
@pytest.mark.parametrize("name", ["asap", "darts1"])
def test_noise_has_no_preference(name: str) -> None:
    """Operations chosen on 40 seeds are as uniform as chance has it, and none is ahead on average."""
    counts = dict.fromkeys(CANDIDATES[1:], 0)
    ahead = torch.zeros(len(CANDIDATES) - 1)
    for seed in range(40):
        state, names = found(SEARCHES[name], seed, noise=True)
        ahead += state.alphas["normal"].detach()[:, 1:].mean(0) / 40
        for operation in names:
            counts[operation] += 1
    assert chisquare(list(counts.values())).pvalue > 1e-3, counts
    assert float(ahead.max() - ahead.min()) < 0.3, ahead
