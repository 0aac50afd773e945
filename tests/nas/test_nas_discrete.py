"""Discrete strategies on planted scores."""

from __future__ import annotations

import itertools
import math
import zlib

import numpy as np
import pytest
import torch
from torch import Tensor

from rung.errors import UserError
from rung.nas.choice import choice_of, random_choice
from rung.nas.controller import Drawn, Place, Weights, following, sampled
from rung.nas.discrete.evolution import Evolution
from rung.nas.discrete.history import Scored, best, explore
from rung.nas.discrete.pnas import Pnas, extended
from rung.nas.discrete.predictor import features, predict
from rung.nas.discrete.random_retraining import RandomRetraining
from rung.nas.discrete.reinforce import LSTM, Reinforce, _ascend
from rung.nas.discrete.table import DISCRETE, make
from rung.nas.genotype import Genotype
from rung.nas.space import SPACES, Cell, Space

torch.set_num_threads(1)

SPACE = Space(
    "planted", (Cell("normal", 3, ("none", "skip_connect", "sep_conv_3x3", "avg_pool_3x3", "dil_conv_3x3")),)
)


def planted(genotype: Genotype) -> float:
    """An error from 0 to 1: a share for each edge and operation, and a little that nothing explains."""

    def share(text: str) -> float:
        return zlib.crc32(text.encode()) % 1000 / 1000

    parts = [
        share(f"{operation} {source} {node}")
        for _, cell in genotype.cells
        for node, edges in enumerate(cell.nodes)
        for operation, source in edges
    ]
    return 0.9 * float(np.mean(parts)) + 0.1 * share(genotype.to_text())


@pytest.mark.parametrize("name", sorted(set(DISCRETE) - {"random_retraining"}))
def test_it_beats_random_at_equal_queries(name: str) -> None:
    seeds, queries = range(5), 100 if name == "evolution" else 50
    mine = [best(explore(DISCRETE[name], SPACE, planted, queries, seed)).score for seed in seeds]
    chance = [best(explore(RandomRetraining(), SPACE, planted, queries, seed)).score for seed in seeds]
    assert np.mean(mine) < np.mean(chance)
    assert sum(a < b for a, b in zip(mine, chance, strict=True)) >= 3


@pytest.mark.parametrize("name", sorted(DISCRETE))
@pytest.mark.parametrize("space", ["darts", "s1", "nasbench201", "recurrent"])
def test_suggestions_are_in_the_space_and_a_function_of_the_history(name: str, space: str) -> None:
    strategy, where = DISCRETE[name], SPACES[space]
    history = explore(strategy, where, planted, 13, 0)
    assert history == explore(strategy, where, planted, 13, 0, history[:7])
    for genotype, _ in history:
        small = where.shortened(max(len(cell.nodes) for _, cell in genotype.cells))
        choice_of(small, genotype)
        assert "none" not in genotype.operations


def test_evolution_removes_the_oldest_however_good() -> None:
    strategy = Evolution(population=4, sample=50)  # so many that the best of the living is the parent
    generator = torch.Generator().manual_seed(0)
    history = []
    while len(history) < 6:
        genotype = SPACE.genotype(random_choice(SPACE, generator))
        history.append(Scored(genotype, [0.0, 0.1, 0.9, 0.4, 0.8, 0.7][len(history)]))
    assert [scored.score for scored in strategy.alive(history)] == [0.9, 0.4, 0.8, 0.7]
    parent = strategy.parent(history, torch.Generator().manual_seed(1))
    assert parent.score == 0.4
    child = choice_of(SPACE, strategy.suggest(SPACE, history, torch.Generator().manual_seed(1)))
    changed = set(child["normal"]) ^ set(choice_of(SPACE, history[3].genotype)["normal"])
    assert len(changed) == 2  # one mutation


def test_the_predictor_ranks_what_it_has_not_seen() -> None:
    generator = torch.Generator().manual_seed(2)
    some = [SPACE.genotype(random_choice(SPACE, generator)) for _ in range(140)]
    history = [Scored(genotype, planted(genotype)) for genotype in some[:70]]
    held_out = [genotype for genotype in some[70:] if genotype not in some[:70]]
    guessed = predict(history, held_out, generator)
    ranks = [np.argsort(np.argsort(x)) for x in (guessed.mean, [planted(g) for g in held_out])]
    assert float(np.corrcoef(*ranks)[0, 1]) > 0.5
    assert (guessed.deviation >= 0).all()


def test_a_path_is_the_operations_along_it() -> None:
    genotype = Genotype.from_dict(
        {
            "normal": [["skip_connect", 0], ["sep_conv_3x3", 1], ["avg_pool_3x3", 2], ["skip_connect", 0]],
            "normal_concat": [2, 3],
        }
    )
    paths = {name for name in features(genotype) if "/path/" in name}
    assert paths == {
        "normal/path/0>skip_connect",
        "normal/path/1>sep_conv_3x3",
        "normal/path/0>skip_connect>avg_pool_3x3",
        "normal/path/1>sep_conv_3x3>avg_pool_3x3",
    }


def test_the_policy_solves_a_bandit() -> None:
    """One node, both inputs kept: only operations are to be chosen, and one pair of them pays."""
    space = Space("bandit", (Cell("normal", 1, ("a", "b", "c", "d")),))

    def loss(genotype: Genotype) -> float:
        return float(sum(operation != "c" for operation, _ in genotype["normal"].nodes[0]))

    history = explore(Reinforce(), space, loss, 150, 0)
    assert np.mean([scored.score for scored in history[-20:]]) < 0.3  # 1.5 at random
    policy = Reinforce().policy(space, history)["normal"][1]
    assert (policy.argmax(1) == 2).all()


def test_steps_of_independent_choices_have_in_expectation_the_gradient_of_the_reward() -> None:
    """Summed over all orders in which inputs are drawn; a node that takes all it has gets no step."""
    space = Space("toy", (Cell("normal", 2, ("a", "b")),))
    (cell,) = space.cells
    numbers = torch.Generator().manual_seed(0)
    edges = torch.randn(5, generator=numbers, dtype=torch.float64, requires_grad=True)
    operations = torch.randn(5, 2, generator=numbers, dtype=torch.float64, requires_grad=True)
    start = edges.detach().numpy().copy(), operations.detach().numpy().copy()
    aim, total, usual = torch.zeros(()), np.zeros((5, 3)), np.zeros((5, 3))
    ways = [itertools.permutations(cell.entering(target), 2) for target in cell.targets]
    for drawn, columns in itertools.product(itertools.product(*ways), itertools.product(range(2), repeat=4)):
        kept = dict(zip(itertools.chain(*drawn), columns, strict=True))
        log = torch.zeros(())
        for edge, column in kept.items():
            log = log + torch.log_softmax(operations[edge], 0)[column]
        for target, (first, second) in zip(cell.targets, drawn, strict=True):
            entering = list(cell.entering(target))
            rest = [edge for edge in entering if edge != first]
            log = log + torch.log_softmax(edges[entering], 0)[entering.index(first)]
            log = log + torch.log_softmax(edges[rest], 0)[rest.index(second)]
        share, reward = log.exp(), math.sin(sum(3 + 7 * edge + 5 * column for edge, column in kept.items()))
        aim = aim + share * reward
        logits = {"normal": (start[0].copy(), start[1].copy())}
        _ascend(space, logits, {"normal": tuple(sorted(kept.items()))}, 1.0)
        step = np.column_stack([logits["normal"][0] - start[0], logits["normal"][1] - start[1]])
        total += float(share.detach()) * reward * step
        usual += float(share.detach()) * step
    exact = torch.autograd.grad(aim, [edges, operations])
    np.testing.assert_allclose(total, np.column_stack([each.numpy() for each in exact]), atol=1e-12)
    np.testing.assert_allclose(usual, 0.0, atol=1e-12)  # a reward that all have teaches nothing
    assert np.abs(total[2:, 0]).min() > 1e-3


def every_draw(weights: Weights, space: Space) -> list[Drawn]:
    """All that an LSTM can draw, each in every way in which it can come about: slow and obvious."""
    found, waiting = [], [()]  # decisions that are told; after them the first option
    while waiting:
        told = waiting.pop()
        path: list[int] = []

        def pick(place: Place, _: Tensor, told: tuple[int, ...] = told, path: list[int] = path) -> int:
            at = told[len(path)] if len(path) < len(told) else 0
            if len(path) >= len(told):
                waiting.extend((*path, other) for other in range(1, len(place.options)))
            path.append(at)
            return at

        found.append(LSTM.draw(weights, space, pick))
    return found


@pytest.mark.parametrize(
    ("nodes", "operations", "keep"), [(2, ("a", "b"), 1), (2, ("a", "b"), 2), (3, ("a",), 3)]
)
def test_steps_of_the_lstm_have_in_expectation_the_gradient_of_the_reward(
    nodes: int, operations: tuple[str, ...], keep: int
) -> None:
    """A step is taken from the architecture alone; a reward that all have teaches nothing."""
    space = Space("toy", (Cell("normal", nodes, operations, keep=keep),))
    begun = LSTM.begin(space, 1, torch.float64)
    weights = {name: (60.0 * value).detach().requires_grad_() for name, value in begun.items()}
    leaves = list(weights.values())
    aim = torch.zeros((), dtype=torch.float64)
    total, usual = ([torch.zeros_like(leaf) for leaf in leaves] for _ in range(2))
    shares = []
    for drawn in every_draw(weights, space):
        share, kept = drawn.log_probability.exp(), drawn.chosen["normal"]
        reward = math.sin(sum(3 + 7 * edge + 5 * column for edge, column in kept))
        aim = aim + share * reward
        shares.append(float(share.detach()))
        log = LSTM.draw(weights, space, following(drawn.chosen)).log_probability
        for at, step in enumerate(torch.autograd.grad(log, leaves, materialize_grads=True)):
            total[at] += shares[-1] * reward * step
            usual[at] += shares[-1] * step
    assert sum(shares) == pytest.approx(1.0)
    assert max(shares) > 1.5 * min(shares)  # far from uniform
    aims = torch.autograd.grad(aim, leaves, materialize_grads=True)
    for exact, mine, nothing in zip(aims, total, usual, strict=True):
        torch.testing.assert_close(mine, exact, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(nothing, torch.zeros_like(nothing), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_an_lstm_that_knows_nothing_draws_all_sets_of_inputs_alike(keep: int) -> None:
    space = Space("toy", (Cell("normal", 3, ("a",), keep=keep),))
    weights = {name: torch.zeros_like(value) for name, value in LSTM.begin(space, 0, torch.float64).items()}
    sets: dict[tuple[tuple[int, int], ...], float] = {}
    for drawn in every_draw(weights, space):
        kept = drawn.chosen["normal"]
        sets[kept] = sets.get(kept, 0.0) + float(drawn.log_probability.exp())
    wanted = math.prod(math.comb(inputs, min(keep, inputs)) for inputs in (2, 3, 4))
    assert len(sets) == wanted
    np.testing.assert_allclose(list(sets.values()), 1.0 / wanted, rtol=1e-12)


def test_the_lstm_learns_from_what_was_tried() -> None:
    """An operation pays where the other input has another one: from 120 architectures by lot."""
    space = Space("bandit", (Cell("normal", 1, ("a", "b", "c")),))

    def loss(genotype: Genotype) -> float:
        (first, _), (second, _) = genotype["normal"].nodes[0]
        return float((first, second) not in (("a", "c"), ("c", "a")))

    generator = torch.Generator().manual_seed(0)
    lot = [space.genotype(random_choice(space, generator)) for _ in range(120)]
    strategy = Reinforce(controller="lstm")
    history = [Scored(genotype, loss(genotype)) for genotype in lot]
    weights = strategy.weights(space, history)
    with torch.no_grad():
        drawn = [LSTM.draw(weights, space, sampled(generator)).chosen for _ in range(100)]
    assert np.mean([loss(space.genotype(chosen)) for chosen in drawn]) < 0.55  # 7 of 9 by lot
    again = strategy.weights(space, history)
    assert all(torch.equal(value, again[name]) for name, value in weights.items())


@pytest.mark.parametrize("name", ["darts", "nasbench201", "recurrent"])
def test_the_lstm_draws_of_every_space(name: str) -> None:
    strategy = Reinforce(controller="lstm")
    history = explore(strategy, SPACES[name], planted, 4, 0)
    assert history == explore(strategy, SPACES[name], planted, 4, 0, history[:2])
    assert all(choice_of(SPACES[name], genotype) for genotype, _ in history)


def test_a_policy_that_there_is_not_is_refused() -> None:
    assert make("reinforce", {"controller": "lstm"}) == Reinforce(controller="lstm")
    with pytest.raises(
        UserError, match="controller of strategy 'reinforce' is independent or lstm, not 'gru'"
    ):
        make("reinforce", {"controller": "gru"})


def test_cells_grow_a_node_at_a_time_and_keep_what_they_had() -> None:
    strategy = Pnas(beam=3, extensions=4)
    history = explore(strategy, SPACE, planted, 9, 0)
    sizes = [len(scored.genotype["normal"].nodes) for scored in history]
    assert sizes == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    ones = {scored.genotype["normal"].nodes for scored in history[:3]}
    assert {scored.genotype["normal"].nodes[:1] for scored in history[3:]} <= ones
    short = history[0].genotype
    grown = extended(SPACE.shortened(2), short, torch.Generator().manual_seed(0))
    assert grown["normal"].nodes[:1] == short["normal"].nodes
    assert grown["normal"].concat == (2, 3)
