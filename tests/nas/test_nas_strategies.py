"""Every strategy through the common loop; derivations of published cells; what each relaxation must be."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.nas_support import SMALL, TinyTask
from rung.errors import UserError
from rung.nas.choice import choice_of
from rung.nas.discrete.table import DISCRETE
from rung.nas.loop import Plan, State, derive, run, start
from rung.nas.moment import Moment
from rung.nas.network import network
from rung.nas.partial import PARTS, PartialBody, shuffled
from rung.nas.plain import PlainBody, candidates_mask
from rung.nas.recipe import Recipe
from rung.nas.space import SPACES, Cell, Space
from rung.nas.strategies.asap import Asap
from rung.nas.strategies.base import Strategy, Turn, best_edges, derive_best, softmax
from rung.nas.strategies.darts import FirstOrder, SecondOrder
from rung.nas.strategies.described import COMPLETE, GRADIENT
from rung.nas.strategies.fair import Fair, zero_one_loss
from rung.nas.strategies.gdas import Gdas
from rung.nas.strategies.p_darts import PDarts, narrowed, weakest
from rung.nas.strategies.pc_darts import PcDarts
from rung.nas.strategies.random_search import RandomSearch
from rung.nas.strategies.sampling import concrete, hard
from rung.nas.strategies.snas import Snas
from rung.nas.strategies.table import STRATEGIES, make, rescaled, settings_of
from rung.nas.supernet import table_of

TINY_SETTINGS: dict[str, dict[str, Any]] = {
    "random": {"samples": 4},
    "enas": {"samples": 4},
    "darts_pt": {"tune": 1},
}


def plan_of(strategy: Strategy, *, epochs: int = 2, seed: int = 0, **settings: Any) -> Plan:
    task = TinyTask(**{"count": 16, **settings})
    recipe = Recipe(epochs=epochs, batch=8, rate=0.05, alpha_rate=0.01)
    return Plan(task, SMALL, strategy, recipe, seed)


def searched(plan: Plan) -> State:
    return run(plan, start(plan), lambda *_: True)


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - {"asap"}))
def test_a_strategy_searches_twice_alike_and_derives_a_network(name: str) -> None:
    plan = plan_of(make(name, TINY_SETTINGS.get(name), 2))
    states = [searched(plan) for _ in range(2)]
    found = [derive(plan, state) for state in states]
    assert found[0] == found[1]
    first, second = (state.net.plain_state() for state in states)
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    for key, alpha in states[0].alphas.items():
        assert torch.equal(alpha, states[1].alphas[key])
    choice_of(SMALL, found[0])
    assert "none" not in found[0].operations
    net = network(found[0], 4, 3, 3, table=table_of(SMALL))
    assert net(torch.zeros(2, 3, 8, 8)).shape == (2, 3)
    assert all(math.isfinite(record.loss) for record in states[0].records)


FACTS = {
    "DARTS_V1": {
        "normal": "sep3 1, sep3 0, skip 0, sep3 1, skip 0, sep3 1, sep3 0, skip 2",
        "reduce": "max 0, max 1, skip 2, max 0, max 0, skip 2, skip 2, avg 0",
    },
    "DARTS_V2": {
        "normal": "sep3 0, sep3 1, sep3 0, sep3 1, sep3 1, skip 0, skip 0, dil3 2",
        "reduce": "max 0, max 1, skip 2, max 1, max 0, skip 2, skip 2, max 1",
    },
}
NAMES = {
    "sep3": "sep_conv_3x3",
    "skip": "skip_connect",
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "dil3": "dil_conv_3x3",
}


def published(name: str, cell: Cell) -> list[set[tuple[str, int]]]:
    """Per node, its (operation, input)."""
    edges = [part.split() for part in FACTS[name][cell.name].split(", ")]
    pairs = [(NAMES[word], int(source)) for word, source in edges]
    return [set(pairs[2 * node : 2 * node + 2]) for node in range(cell.nodes)]


@pytest.mark.parametrize("name", list(FACTS))
def test_alphas_that_must_give_the_published_cells(name: str) -> None:
    space = SPACES["darts"]
    generator = torch.Generator().manual_seed(7)
    alphas = {}
    for cell in space.cells:
        values = 1e-2 * torch.randn(len(cell.edges), len(cell.operations), generator=generator)
        values[:, 0] += 3.0  # zero leads on every edge, and is not ranked
        for target, wanted in zip(cell.targets, published(name, cell), strict=True):
            for operation, source in wanted:
                edge = cell.edges.index((source, target))
                values[edge, cell.operations.index(operation)] += 2.0
        alphas[cell.name] = values
    alive = {cell.name: candidates_mask(cell) for cell in space.cells}
    found = FirstOrder().derive(space, alphas, alive)
    for cell in space.cells:
        assert [set(node) for node in found[cell.name].nodes] == published(name, cell)
        assert found[cell.name].concat == (2, 3, 4, 5)


def test_zero_is_not_ranked_but_takes_its_share() -> None:
    cell = Cell("normal", 2, ("none", "skip_connect", "sep_conv_3x3"))
    alphas = torch.zeros(5, 3)
    alphas[2:5, 1] = torch.tensor([1.0, 1.1, 1.2])  # into node 3; the edge from node 2 has the best
    alphas[4, 0] = 5.0  # ... until zero takes the share of its edge
    alive = candidates_mask(cell)
    assert best_edges(cell, softmax(alphas, alive), alive)[2:] == ((2, 1), (3, 1))
    alphas[4, 0] = 0.0
    assert best_edges(cell, softmax(alphas, alive), alive)[2:] == ((3, 1), (4, 1))


def test_ties_go_to_the_lower_source_and_the_earlier_operation() -> None:
    space = SPACES["darts"]
    alive = {cell.name: candidates_mask(cell) for cell in space.cells}
    equal = {cell.name: torch.full((14, 8), 0.125) for cell in space.cells}
    found = derive_best(space, equal, alive)
    assert found["normal"].nodes == ((("max_pool_3x3", 0), ("max_pool_3x3", 1)),) * 4
    assert found == derive_best(space, equal, alive)


def test_concrete_samples_have_the_probabilities_and_the_limits_of_temperature() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2, 0.9]], dtype=torch.float64)).expand(4000, 4)
    alive = np.tile([True, True, True, False], (4000, 1))
    cold = concrete(logits, alive, 1e-6, torch.Generator().manual_seed(0))
    assert float(cold.max(1).values.mean()) > 0.9999
    share = cold.mean(0)  # Maddison et al. 2017, proposition 1b: argmax is a sample of the softmax
    spread = 4 * math.sqrt(0.25 / 4000)
    assert share.tolist() == pytest.approx([0.5, 0.3, 0.2, 0.0], abs=spread)
    hot = concrete(logits, alive, 1e5, torch.Generator().manual_seed(0))
    assert hot[:, :3].flatten().tolist() == pytest.approx([1 / 3] * 12000, abs=1e-3)
    assert bool((hot[:, 3] == 0).all())


def test_hard_samples_are_one_hot_with_the_gradient_of_the_relaxed_one() -> None:
    logits = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logits.requires_grad_()
    alive = np.ones((5, 3), dtype=bool)
    alive[4] = False
    direction = torch.arange(15.0, dtype=torch.float64).reshape(5, 3)
    one, chosen = hard(logits, alive, 0.7, torch.Generator().manual_seed(2))
    soft = concrete(logits, alive, 0.7, torch.Generator().manual_seed(2))
    assert torch.equal(one.detach(), torch.from_numpy(chosen).double())
    assert chosen.sum(1).tolist() == [1, 1, 1, 1, 0]
    assert torch.equal(one.argmax(1)[:4], soft.argmax(1)[:4])
    got = torch.autograd.grad((one * direction).sum(), logits)[0]
    expected = torch.autograd.grad((soft * direction).sum(), logits)[0]
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(("strategy", "first", "last"), [(Snas(), 1.0, 0.03), (Gdas(), 10.0, 0.1)])
def test_temperatures_fall_from_the_papers_first_to_their_last(
    strategy: Snas | Gdas, first: float, last: float
) -> None:
    heats = [strategy.temperature(Moment(0, epoch, 50)) for epoch in range(50)]
    assert heats[0] == pytest.approx(first)
    assert heats[-1] == pytest.approx(last)
    assert all(a > b for a, b in itertools.pairwise(heats))
    assert heats[7] == pytest.approx(first + (last - first) * 7 / 49)  # linearly, as in the authors' code


def test_snas_learns_weights_and_alphas_from_one_pass() -> None:
    plan = plan_of(Snas())
    state = searched(plan)
    assert (state.ledger.alpha_passes, state.ledger.weight_passes) == (
        0,
        plan.recipe.epochs * plan.task.steps,
    )
    assert state.ledger.images == state.ledger.weight_passes * plan.recipe.batch
    assert any(float(value.detach().abs().max()) > 0.01 for value in state.alphas.values())


def test_dropout_of_p_darts_fades_within_a_stage_as_in_the_authors_code() -> None:
    strategy, warm, epochs = PDarts(), 10, 25
    for epoch in range(epochs):
        told = strategy.fading(epoch / epochs)
        wanted = (epochs - epoch) / epochs if epoch < warm else math.exp(-0.2 * (epoch - warm))
        assert told == pytest.approx(wanted)


@pytest.mark.parametrize("form", ["plain", "fused"])
def test_a_step_of_snas_is_the_gradient_of_one_loss_for_both(form: str) -> None:
    """Against a plain forward pass: alphas' gradients, and what SGD makes of the weights'."""
    task, at = TinyTask(count=16, dtype=torch.float64), Moment(0, 0, 2, 0, 2)
    batch, other = next(iter(task.pairs(0)))
    strategy = Snas()

    def begun() -> tuple[Any, dict[str, torch.Tensor]]:
        net = task.supernet(SMALL, form, 0)
        net.train()
        return net, {
            name: value.detach().double().requires_grad_() for name, value in strategy.begin(SMALL, 0).items()
        }

    net, alphas = begun()
    loss = task.loss(net, strategy.mixed(SMALL, alphas, net.alive, at), batch, training=True)
    weights = list(net.parameters())
    gradients = torch.autograd.grad(loss, [*weights, *alphas.values()], allow_unused=True)
    wanted = [
        w.detach() - 0.1 * (torch.zeros_like(w) if g is None else g)
        for w, g in zip(weights, gradients, strict=False)
    ]
    own, leaves = begun()
    optimizer = torch.optim.SGD(own.parameters(), lr=0.1)
    passes = strategy.step(Turn(task, SMALL, own, leaves, batch, other, optimizer, 0.1, at))
    assert passes.loss == pytest.approx(float(loss.detach()), abs=1e-12)
    assert passes.passes == 0
    for mine, theirs in zip(own.parameters(), wanted, strict=True):
        assert torch.allclose(mine.detach(), theirs, atol=1e-12)
    for leaf, gradient in zip(leaves.values(), gradients[len(weights) :], strict=True):
        assert gradient is not None
        assert leaf.grad is not None
        assert torch.allclose(leaf.grad, gradient, atol=1e-12)


def test_the_noise_of_snas_is_a_function_of_the_step() -> None:
    strategy = Snas()
    alphas = strategy.begin(SMALL, 0)
    alive = {cell.name: candidates_mask(cell) for cell in SMALL.cells}
    at = Moment(3, 1, 4, 2, 5)
    one, two = (strategy.mixed(SMALL, alphas, alive, at).mixtures["normal"] for _ in range(2))
    assert torch.equal(one, two)
    other = strategy.mixed(SMALL, alphas, alive, at._replace(step=3)).mixtures["normal"]
    assert not torch.equal(one, other)
    assert strategy.single_level


def test_random_search_keeps_the_best_of_what_it_judged() -> None:
    strategy = RandomSearch(samples=6)
    plan = plan_of(strategy)
    state = searched(plan)
    assert state.ledger.alpha_passes == 0
    seen: list[tuple[float, Any]] = []
    evaluate = plan.task.evaluate

    def noting(call: Any, mixed: Any) -> Any:
        scores = evaluate(call, mixed)
        chosen = {name: frozenset(zip(*np.nonzero(mask), strict=True)) for name, mask in mixed.active.items()}
        seen.append(((scores.accuracy, -scores.loss), chosen))
        return scores

    plan.task.evaluate = noting  # type: ignore[method-assign]
    found = choice_of(SMALL, derive(plan, state))
    assert len(seen) == 6
    best = max(seen, key=lambda each: each[0])[1]
    assert {name: frozenset(kept) for name, kept in found.items()} == best


def test_perturbation_leaves_the_supernet_as_what_it_derives() -> None:
    plan = plan_of(make("darts_pt", {"tune": 1}))
    state = searched(plan)
    passes = state.ledger.weight_passes
    found = choice_of(SMALL, derive(plan, state))
    left = {name: tuple(zip(*np.nonzero(mask), strict=True)) for name, mask in state.net.alive.items()}
    assert {name: tuple((int(e), int(o)) for e, o in kept) for name, kept in left.items()} == found
    tuned = (state.ledger.weight_passes - passes) / plan.task.steps
    assert tuned == 10 + 2  # after each edge, and the one node of each cell with inputs to spare


def test_each_tuning_has_batches_of_its_own() -> None:
    plan = plan_of(make("darts_pt", {"tune": 1}), epochs=1)
    state, seen = searched(plan), list[int]()
    pairs = plan.task.pairs

    def noting(epoch: int) -> Any:
        seen.append(epoch)
        return pairs(epoch)

    plan.task.pairs = noting  # type: ignore[method-assign]
    derive(plan, state)
    assert seen == list(range(1, 1 + 10 + 2))


def test_perturbation_leaves_the_weights_of_what_stays_alone() -> None:
    """Against the whole mixture: one operation, or an edge, is zero and nothing else has changed."""
    plan = plan_of(make("darts_pt", {"tune": 0}), epochs=1)
    state = searched(plan)
    whole = plan.strategy.settled(SMALL, state.alphas, state.net.alive, Moment(0, 0, 1)).mixtures
    evaluate, off = plan.task.evaluate, []

    def noting(call: Any, mixed: Any) -> Any:
        if not off:
            for name, weights in mixed.mixtures.items():
                there = torch.from_numpy(mixed.active[name])
                assert torch.equal(weights, whole[name].detach() * there)
                off.append(int((~mixed.active[name] & candidates_mask(SMALL[name])).sum()))
        return evaluate(call, mixed)

    plan.task.evaluate = noting  # type: ignore[method-assign]
    derive(plan, state)
    assert sorted(off) == [0, 1]


def test_perturbation_keeps_the_operation_whose_loss_costs_most() -> None:
    plan = plan_of(make("darts_pt", {"tune": 0}), epochs=1)
    state = searched(plan)
    wanted = SMALL["normal"].operations.index("max_pool_3x3")
    real = plan.task.evaluate

    def planted(call: Any, mixed: Any) -> Any:
        scores = real(call, mixed)
        lost = sum(not mask[edge, wanted] for mask in call.alive.values() for edge in range(len(mask)))
        active = sum(not mask[edge, wanted] for mask in mixed.active.values() for edge in range(len(mask)))
        return scores._replace(accuracy=0.9 - 0.01 * (active - lost), loss=1.0)

    plan.task.evaluate = planted  # type: ignore[method-assign]
    found = derive(plan, state)
    assert set(found.operations) == {"max_pool_3x3"}


def test_edges_of_partial_channels_are_normalised_over_a_nodes_inputs() -> None:
    strategy = PcDarts()
    alphas = strategy.begin(SMALL, 0)
    alphas["normal/edges"].data = torch.tensor([0.0, 1.0, 2.0, 0.5, -1.0])
    alive = {cell.name: candidates_mask(cell) for cell in SMALL.cells}
    rows = strategy.mixed(SMALL, alphas, alive, Moment(0, 0, 1)).mixtures["normal"].sum(1)
    for edges in ([0, 1], [2, 3, 4]):
        expected = torch.softmax(alphas["normal/edges"][edges].detach(), 0)
        torch.testing.assert_close(rows[edges].detach(), expected)


def test_a_partial_cell_is_the_papers_sum() -> None:
    """Edge by edge: a quarter through the operations, the rest past them, shuffled, times beta."""
    cell = SMALL["normal"]
    torch.manual_seed(0)
    body = PartialBody(cell, 8, False, table_of(SMALL)).double()
    mixture = torch.rand(5, 4, dtype=torch.float64)
    inputs = [torch.randn(2, 8, 4, 4, dtype=torch.float64) for _ in range(2)]
    states = list(inputs)
    for target in cell.targets:
        total = torch.zeros(2, 8, 4, 4, dtype=torch.float64)
        for edge in cell.entering(target):
            x = states[cell.edges[edge][0]]
            operations: Any = body.edges[edge]
            mixed = sum(mixture[edge, c] * operations[n](x[:, :2]) for c, n in enumerate(cell.operations))
            y = torch.cat([mixed, mixture[edge].sum() * x[:, 2:]], 1)
            order = [group * 2 + within for within in range(2) for group in range(PARTS)]
            total = total + y[:, order]
        states.append(total)
    torch.testing.assert_close(body(inputs, mixture), torch.cat(states[2:], 1))
    x = torch.arange(8.0).reshape(1, 8, 1, 1)
    assert shuffled(x).flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert isinstance(body, PlainBody)


def test_weights_warm_up_before_alphas_of_partial_channels_learn() -> None:
    plan = plan_of(PcDarts(warmup=0.5), epochs=2)
    state = searched(plan)
    assert state.ledger.alpha_passes == plan.task.steps
    before = PcDarts().begin(SMALL, 0)
    assert state.records[0].alphas == {name: value.tolist() for name, value in before.items()}


def test_stages_shrink_candidates_and_never_leave_zero_alone() -> None:
    strategy = PDarts(keep=(4, 2), dropout=(0.3, 0.6), warmup=0.0)
    plan = plan_of(strategy, epochs=4)
    state = searched(plan)
    assert [record.operations for record in state.records] == [40, 40, 20, 20]
    for cell in SMALL.cells:
        alive = state.net.alive[cell.name]
        assert (alive.sum(1) == 2).all()
        assert alive[:, 1:].any(1).all()
    assert [strategy.stage(Moment(0, epoch, 4)) for epoch in range(4)] == [
        (0, 0.0), (0, 0.5), (1, 0.0), (1, 0.5),
    ]  # fmt: skip


def test_the_next_stages_space_has_the_strongest_candidates() -> None:
    cell = SMALL["normal"]
    alphas = {c.name: torch.arange(20.0).reshape(5, 4) for c in SMALL.cells}
    alphas["normal"][0] = torch.tensor([9.0, 1.0, 3.0, 2.0])
    alive = {c.name: candidates_mask(c) for c in SMALL.cells}
    assert weakest(cell, alphas["normal"], alive["normal"], 1)[:3] == [(0, 0), (0, 1), (0, 3)]
    space = narrowed(SMALL, alphas, alive, 2)
    assert space["normal"].candidates(0) == ("none", "sep_conv_3x3")
    assert space["normal"].candidates(4) == ("sep_conv_3x3", "max_pool_3x3")
    assert space["reduce"].reduction


def test_the_zero_one_loss_is_least_at_zero_and_one() -> None:
    alive = {"a": np.array([True])}
    at = [float(zero_one_loss({"a": torch.tensor([value])}, alive)) for value in (-20.0, 0.0, 20.0)]
    assert at == pytest.approx([-0.25, 0.0, -0.25])
    alphas = {"a": torch.tensor([0.5, -0.2], requires_grad=True)}
    (gradient,) = torch.autograd.grad(zero_one_loss(alphas, {"a": np.ones(2, np.bool_)}), alphas["a"])
    s = torch.sigmoid(alphas["a"].detach())
    torch.testing.assert_close(gradient, -2 * (s - 0.5) * s * (1 - s) / 2)


def test_operations_that_are_absent_do_not_dilute_the_zero_one_loss() -> None:
    space = SPACES["s1"]  # two of six candidates on each edge
    alive = {cell.name: candidates_mask(cell) for cell in space.cells}
    alphas = Fair().begin(space, 0)
    there = torch.cat([alphas[name][torch.from_numpy(mask)] for name, mask in alive.items()])
    assert torch.equal(zero_one_loss(alphas, alive), -((torch.sigmoid(there) - 0.5) ** 2).mean())
    gradients = torch.autograd.grad(zero_one_loss(alphas, alive), list(alphas.values()))
    assert all(not g[~torch.from_numpy(m)].any() for g, m in zip(gradients, alive.values(), strict=True))


def test_operations_of_fair_do_not_compete() -> None:
    alphas = {cell.name: torch.zeros(5, 4) for cell in SMALL.cells}
    alive = {cell.name: candidates_mask(cell) for cell in SMALL.cells}
    before = Fair().mixed(SMALL, alphas, alive, Moment(0, 0, 1)).mixtures["normal"].clone()
    alphas["normal"][0, 1] = 4.0
    after = Fair().mixed(SMALL, alphas, alive, Moment(0, 0, 1)).mixtures["normal"]
    assert torch.equal(before != after, torch.nn.functional.one_hot(torch.tensor(1), 20).reshape(5, 4).bool())


def preference(plan: Plan) -> Tensor:
    """Mean over edges of how far each operation's alpha went from the mean of its edge."""
    alphas = searched(plan).alphas
    return torch.stack([(a - a.mean(1, keepdim=True)).detach().mean(0) for a in alphas.values()]).mean(0)


def test_noise_labels_give_no_preference() -> None:
    noise = torch.stack(
        [preference(plan_of(FirstOrder(), epochs=4, seed=seed, count=32, noise=True)) for seed in range(3)]
    )
    error = noise.std(0) / math.sqrt(len(noise)) + 1e-3
    assert bool((noise.mean(0).abs() < 5 * error).all())


def test_the_table_makes_strategies_and_says_what_is_wrong() -> None:
    assert make("darts") == SecondOrder()
    assert make("darts", {"hypergradient": "difference", "clip": 1}) == SecondOrder(
        hypergradient="difference", clip=1.0
    )
    assert make("p_darts", {"keep": [3, 2]}) == PDarts(keep=(3, 2))
    assert make("asap", {}, 12) == Asap().scaled(12)
    assert make("asap", {"beta": 0.5}, 12) == Asap(beta=0.5)
    wrapped = {"skip_dropout": 0.2}
    assert rescaled(make("asap", wrapped, 30), 30, 12) == make("asap", wrapped, 12)
    assert rescaled(make("asap", {**wrapped, "beta": 0.5}, 30), 30, 12) == make(
        "asap", {**wrapped, "beta": 0.5}, 12
    )
    assert settings_of(make("darts1", {"skip_dropout": 0.2, "max_skips": 2})) == {
        "skip_dropout": 0.2,
        "max_skips": 2,
    }
    for name, settings, words in [
        ("dart", {}, "unknown strategy 'dart': did you mean 'darts'. there are random, darts1"),
        ("darts", {"hyper": 1}, "has no setting 'hyper': it has clip, early_stop, hypergradient"),
        ("darts", {"hypergradient": "approximate"}, "is exact or difference, not 'approximate'"),
        ("darts", {"clip": "much"}, "is a number, not 'much'"),
        ("random", {"samples": 2.5}, "is a whole number, not 2.5"),
        ("random", {"samples": True}, "is a whole number, not True"),
        ("p_darts", {"keep": 3}, "is a list, not 3"),
        ("darts1", {"early_stop": 1}, "is true or false, not 1"),
        ("asap", {"max_skips": 2}, "max_skips does not go with strategy 'asap'"),
        ("p_darts", {"skip_dropout": 0.9}, "skip_dropout does not go with strategy 'p_darts': .* dropout"),
    ]:
        with pytest.raises(UserError, match=words.replace("[", r"\[")):
            make(name, settings)


def test_a_recurrent_space_has_alphas_of_its_own_shape() -> None:
    space: Space = SPACES["recurrent"]
    assert FirstOrder().begin(space, 0)["recurrent"].shape == (36, 5)
    assert replace(Snas(), high=2.0).temperature(Moment(0, 0, 5)) == 2.0


def test_every_strategy_is_described() -> None:
    assert list(GRADIENT) == list(STRATEGIES)
    assert list(COMPLETE) == list(DISCRETE)
