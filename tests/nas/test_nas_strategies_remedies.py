"""Wrappers: dropout of skips, caps, prices, limits, and the stop by the Hessian's eigenvalue."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.nas_support import SMALL, TinyTask
from rung.errors import SpaceError, UserError
from rung.nas.choice import allowed, choice_of
from rung.nas.costs import Costs, supernet_costs, supernet_parameters
from rung.nas.counting import count
from rung.nas.genotype import Genotype
from rung.nas.loop import Plan, State, derive, run, sgd, start
from rung.nas.moment import Moment
from rung.nas.plain import candidates_mask
from rung.nas.progressive import Stage, progressive
from rung.nas.recipe import Recipe
from rung.nas.space import SPACES, Cell, Space
from rung.nas.strategies.base import Ending, Strategy, Turn, best_edges, probabilities, softmax
from rung.nas.strategies.darts import FirstOrder, SecondOrder
from rung.nas.strategies.eigenvalue import EarlyStop, alpha_eigenvalue, greatest_eigenvalue, grown
from rung.nas.strategies.gdas import Gdas
from rung.nas.strategies.p_darts import PDarts
from rung.nas.strategies.pc_darts import PcDarts
from rung.nas.strategies.remedies import Limited, Priced, SkipDropout
from rung.nas.strategies.selection import Limits, fewest_skips, select, skips_of
from rung.nas.strategies.table import make, settings_of
from rung.nas.supernet import frozen_statistics
from rung.nas.thrift import Size, Thrift, tables_of, thrift_of, thrifty


def searched(strategy: Strategy, *, epochs: int = 2, space: Space = SMALL, rate: float = 0.01) -> State:
    return run(*_begun(strategy, epochs, space, rate), lambda *_: True)


def _begun(strategy: Strategy, epochs: int, space: Space, rate: float) -> tuple[Plan, State]:
    recipe = Recipe(epochs=epochs, batch=8, rate=0.05, alpha_rate=rate)
    plan = Plan(TinyTask(count=16), space, strategy, recipe, 0)
    return plan, start(plan)


def a_turn(space: Space, seed: int = 0) -> Turn:
    task = TinyTask(count=16, dtype=torch.float64)
    net = task.supernet(space, "plain", seed)
    net.train()
    generator = torch.Generator().manual_seed(seed)
    alphas = {
        c.name: torch.randn(
            len(c.edges), len(c.operations), generator=generator, dtype=torch.float64
        ).requires_grad_()
        for c in space.cells
    }
    pair = next(iter(task.pairs(0)))
    return Turn(task, space, net, alphas, *pair, sgd(net, Recipe()), 0.05, Moment(seed, 0, 2))


TEN = Space(
    "ten",
    (
        Cell("normal", 1, ("skip_connect", "sep_conv_3x3", "max_pool_3x3")),
        Cell("reduce", 1, ("skip_connect", "sep_conv_3x3"), reduction=True),
    ),
)


def test_the_dominant_eigenvalue_is_that_of_the_dense_hessian() -> None:
    turn = a_turn(TEN)
    strategy = FirstOrder()
    leaves = list(turn.alphas.values())
    assert sum(leaf.numel() for leaf in leaves) == 10

    def loss(*alphas: Tensor) -> Tensor:
        named = dict(zip(turn.alphas, alphas, strict=True))
        with frozen_statistics(turn.net):
            mixed = strategy.mixed(TEN, named, turn.net.alive, turn.moment)
            return turn.task.loss(turn.net, mixed, turn.alphas_batch)

    blocks = torch.autograd.functional.hessian(loss, tuple(leaves))
    sizes = [leaf.numel() for leaf in leaves]
    rows = [
        torch.cat([block.reshape(n, m) for block, m in zip(row, sizes, strict=True)], 1)
        for row, n in zip(blocks, sizes, strict=True)
    ]
    dense = torch.cat(rows)  # (10, 10)
    expected = float(torch.linalg.eigvalsh(dense)[-1])
    assert abs(expected) > 1e-6
    found = alpha_eigenvalue(strategy.mixed, turn, 500)
    assert found == pytest.approx(expected, rel=2e-2)


@pytest.mark.parametrize("values", [[5.0, 1.0, -2.0], [1.0, 0.5, -4.0], [-1.0, -2.0, -7.0], [0.0, 0.0, 0.0]])
def test_power_iteration_finds_the_greatest_eigenvalue_of_any_sign(values: list[float]) -> None:
    q, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    matrix = q @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ q.T
    start_ = torch.ones(3, dtype=torch.float64)
    found = greatest_eigenvalue(lambda v: matrix @ v, start_, 500, 1e-10)
    assert found == pytest.approx(max(values), abs=1e-4)


def test_the_search_is_ended_when_the_smoothed_eigenvalue_has_grown() -> None:
    flat = [1.0] * 12
    assert grown(flat, 5, 0.75) is None
    assert grown([*flat, 2.0], 5, 0.75) is None  # 1 against an average of 1.2
    assert grown([*flat, 2.0, 2.0], 5, 0.75) == 9  # 1 against 1.4
    assert grown([1.0, 9.0, 9.0, 9.0, 9.0], 5, 0.75) is None  # nothing is five epochs ago
    assert grown([1.0, 9.0, 9.0, 9.0, 9.0, 9.0], 5, 0.75) == 1


def test_an_early_stop_takes_the_architecture_of_before() -> None:
    class Planned(EarlyStop):
        def observe(self, turn: Turn) -> Any:
            return {"eigenvalue": [1.0, 1.0, 1.0, 9.0, 9.0, 9.0][turn.moment.epoch]}

    plan, state = _begun(Planned(FirstOrder(), window=2), 6, SMALL, 0.5)
    run(plan, state, lambda *_: True)
    assert state.epoch == 4
    assert derive(plan, state).to_dict() == state.records[1].genotype
    assert state.records[1].genotype != state.records[3].genotype
    steady = EarlyStop(FirstOrder(), window=2)
    assert steady.overstayed([{"eigenvalue": 1.0}] * 6) is None


def test_an_early_stop_looks_at_epochs_in_which_the_alphas_learn() -> None:
    state = searched(EarlyStop(PcDarts(warmup=0.5)), epochs=4, rate=0.5)
    assert ["eigenvalue" in record.notes for record in state.records] == [False, False, True, True]
    notes: list[dict[str, float]] = [{}, {}, *({"eigenvalue": value} for value in (1.0, 1.0, 1.0, 9.0))]
    assert EarlyStop(PcDarts(), window=2).overstayed(notes) == 4


def test_notes_of_both_are_kept_by_wrappers() -> None:
    strategy = make("darts", {"early_stop": True, "skip_dropout": 0.1, "max_skips": 1})
    state = searched(strategy, epochs=1)
    assert set(state.records[0].notes) == {"hypergradient", "eigenvalue"}
    assert strategy.name == "darts"
    assert isinstance(strategy, EarlyStop)


def test_dropout_of_skips_falls_to_zero_with_the_epochs() -> None:
    rates = []

    class Noting(FirstOrder):
        def step(self, turn: Turn) -> Any:
            rates.append({body.skip_dropout for _, body in turn.net.bodies})
            return super().step(turn)

        def ahead(self, space: Space, steps: int) -> float:
            return 0.0

        def finish(self, ending: Ending) -> Genotype:  # where DARTS-PT goes on training the weights
            rates.append({body.skip_dropout for _, body in ending.net.bodies})
            return self.derive(ending.space, ending.alphas, ending.net.alive)

    plan, state = _begun(SkipDropout(Noting(), 0.4), 4, SMALL, 0.01)
    derive(plan, run(plan, state, lambda *_: True))
    assert [rate.pop() for rate in rates] == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0])


def test_dropped_skips_are_scaled_and_absent_in_evaluation() -> None:
    turn = a_turn(SMALL)
    strategy = FirstOrder()
    net: Any = turn.net
    mixed = strategy.mixed(SMALL, turn.alphas, net.alive, turn.moment)
    x = turn.weights_batch.x
    with torch.no_grad():
        net.eval()
        before = net(x, mixed.mixtures)
        for _, body in net.bodies:
            body.skip_dropout = 0.9
        assert torch.equal(before, net(x, mixed.mixtures))
        net.train()
        torch.manual_seed(0)
        one = net(x, mixed.mixtures)
        torch.manual_seed(1)
        assert not torch.equal(one, net(x, mixed.mixtures))


def by_hand(space: Space, weights: dict[str, Tensor], limits: Limits) -> float:
    """The greatest sum of weights within limits, over all architectures."""
    per_cell = []
    for cell in space.cells:
        per_node = []
        for target in cell.targets:
            options = []
            for edges in itertools.combinations(cell.entering(target), cell.keep or 0):
                columns = [np.flatnonzero(allowed(cell)[edge]) for edge in edges]
                options += [tuple(zip(edges, map(int, c), strict=True)) for c in itertools.product(*columns)]
            per_node.append(options)
        per_cell.append([tuple(itertools.chain(*nodes)) for nodes in itertools.product(*per_node)])
    greatest = -np.inf
    for combination in itertools.product(*per_cell):
        chosen = {cell.name: kept for cell, kept in zip(space.cells, combination, strict=True)}
        if limits.admit(space, chosen):
            value = sum(float(weights[n][e, o]) for n, kept in chosen.items() for e, o in kept)
            greatest = max(greatest, value)
    return greatest


@pytest.mark.parametrize("seed", range(3))
def test_the_best_within_limits_is_the_best_of_all_that_are(seed: int) -> None:
    operations = ("none", "skip_connect", "sep_conv_3x3")
    space = Space("few", (Cell("normal", 2, operations), Cell("reduce", 1, operations, reduction=True)))
    generator = torch.Generator().manual_seed(seed)
    alive = {cell.name: candidates_mask(cell) for cell in space.cells}
    weights = {
        cell.name: softmax(2 * torch.randn(len(cell.edges), 3, generator=generator), alive[cell.name])
        for cell in space.cells
    }
    table = {
        cell.name: torch.rand(len(cell.edges), 3, generator=generator).double().numpy()
        for cell in space.cells
    }
    costs = Costs(1.0, table)
    for skips, limit in itertools.product((None, 0, 1, 2), (None, 3.0, 4.0)):
        limits = Limits(skips, costs, limit)
        expected = by_hand(space, weights, limits)
        if not np.isfinite(expected):
            with pytest.raises(SpaceError, match="the least is"):
                select(space, weights, alive, limits)
            continue
        chosen = select(space, weights, alive, limits)
        assert limits.admit(space, chosen)
        got = sum(float(weights[n][e, o]) for n, kept in chosen.items() for e, o in kept)
        assert got == pytest.approx(expected, rel=1e-6)


def test_without_limits_the_selection_is_the_derivation() -> None:
    space = SPACES["darts"]
    alive = {cell.name: candidates_mask(cell) for cell in space.cells}
    generator = torch.Generator().manual_seed(4)
    weights = {c.name: softmax(torch.randn(14, 8, generator=generator), alive[c.name]) for c in space.cells}
    expected = {c.name: best_edges(c, weights[c.name], alive[c.name]) for c in space.cells}
    assert select(space, weights, alive, Limits()) == expected
    costs = supernet_costs(space, 8, 5, 10, image_size=16)
    assert select(space, weights, alive, Limits(None, costs, costs.whole)) == expected
    half = costs.rest + 0.5 * (costs.of_chosen(expected) - costs.rest)
    limited = select(space, weights, alive, Limits(2, costs, half))
    assert costs.of_chosen(limited) <= half


@pytest.mark.parametrize("cap", [0, 1, 2])
def test_the_cap_on_skips_holds_where_a_search_collapses(cap: int) -> None:
    space = SPACES["s2"]
    strategy: Any = make("darts1", {"max_skips": cap})
    alphas = strategy.begin(space, 0)
    for value in alphas.values():
        value.data[:, 0] += 3.0  # skips everywhere
    alive = {cell.name: candidates_mask(cell) for cell in space.cells}
    free = choice_of(space, FirstOrder().derive(space, alphas, alive))
    assert skips_of(space["normal"], free["normal"]) == 8
    capped = choice_of(space, strategy.derive(space, alphas, alive))
    assert skips_of(space["normal"], capped["normal"]) == cap
    assert capped["reduce"] == free["reduce"]  # reductions are not capped


@pytest.mark.parametrize("inner", [FirstOrder(), SecondOrder(), Limited(Gdas(), 2)], ids=lambda s: s.name)
def test_a_price_adds_the_gradient_of_the_expected_cost(inner: Strategy) -> None:
    turn = a_turn(SMALL)
    weighted = supernet_costs(SMALL, 4, 3, 3, image_size=8).weighted(5.0)
    inner.step(turn)
    before = {name: alpha.grad.clone() for name, alpha in turn.alphas.items()}
    Priced(inner, weighted).step(turn)
    for name, alpha in turn.alphas.items():
        p = softmax(alpha.detach(), turn.net.alive[name])
        cost = weighted.cost[name]
        expected = 5.0 * p * (cost - (p * cost).sum(1, keepdim=True))  # gradient of sum p c in the logits
        torch.testing.assert_close(alpha.grad - before[name], expected, rtol=1e-6, atol=1e-9)


def test_a_price_makes_what_is_derived_cheaper() -> None:
    costs = supernet_costs(SMALL, 4, 3, 3, image_size=8)
    spent = []
    for weight in (0.0, 200.0):
        strategy = Priced(FirstOrder(), costs.weighted(weight))
        plan, state = _begun(strategy, 6, SMALL, 0.05)
        run(plan, state, lambda *_: True)
        weights = probabilities(strategy, SMALL, state.alphas, state.net.alive, Moment(0, 0, 1))
        spent.append(
            sum(float((torch.from_numpy(costs.edges[n]) * w.detach()).sum()) for n, w in weights.items())
        )
    assert spent[1] < spent[0]


def test_limits_hold_for_what_random_search_samples() -> None:
    costs = supernet_parameters(SMALL, 4, 3, 3, derived=True)
    tight = costs.rest + 0.25 * (costs.whole - costs.rest) / 2
    strategy = Limited(make("random", {"samples": 5}), None, costs, tight)
    plan, state = _begun(strategy, 1, SMALL, 0.01)
    run(plan, state, lambda *_: True)
    found = derive(plan, state)
    assert count(found, 4, 3, 3, image_size=8).parameters <= tight


def test_a_limit_that_nothing_meets_is_refused_before_the_search() -> None:
    strategy = Limited(FirstOrder(), None, supernet_parameters(SMALL, 4, 3, 3, derived=True), 10.0)
    with pytest.raises(SpaceError, match="no architecture is within 10 parameters: the least is"):
        _begun(strategy, 1, SMALL, 0.01)


def test_thrift_is_read_checked_and_put_around() -> None:
    thrift, rest = thrift_of({"price": 2, "resource": "parameters", "most": 4000, "clip": 1.0})
    assert (thrift, rest) == (Thrift("parameters", 2.0, 4000.0), {"clip": 1.0})
    size = Size(4, 3, 3, 8)
    inner = make("darts1", {"max_skips": 1, "early_stop": True})
    both: Any = thrifty(inner, thrift, SMALL, tables_of(thrift, SMALL, size, size))
    assert isinstance(both, EarlyStop | Priced)
    state_ = both
    while not isinstance(state_, Limited):
        state_ = state_.inner
    assert (state_.max_skips, state_.limit) == (1, 4000.0)
    assert settings_of(both) == {
        "price": 2.0, "most": 4000.0, "resource": "parameters", "max_skips": 1,
        "early_stop_window": 5, "early_stop_ratio": 0.75, "early_stop_iterations": 30,
    }  # fmt: skip
    assert thrifty(inner, Thrift(), SMALL, tables_of(Thrift(), SMALL, size, size)) is inner
    tight = Thrift("parameters", most=9.0)
    with pytest.raises(SpaceError, match="no architecture is within 9 parameters"):
        thrifty(inner, tight, SMALL, tables_of(tight, SMALL, size, size))
    for settings, words in [
        ({"resource": "heat"}, "resource is multiply_adds, parameters or latency, not 'heat'"),
        ({"price": -1}, "price is a number of at least 0"),
        ({"most": "few"}, "most is a number of at least 0"),
    ]:
        with pytest.raises(UserError, match=words):
            thrift_of(settings)
    for name, thrift in [("random", Thrift(price=1.0)), ("asap", Thrift(most=1e6))]:
        with pytest.raises(UserError, match=f"does not go with strategy '{name}'"):
            thrifty(make(name), thrift, SMALL, {})


def test_stages_grow_deeper_and_choose_among_fewer() -> None:
    layers = []

    def task_of(depth: int) -> TinyTask:
        layers.append(depth)
        return TinyTask(count=16, layers=depth)

    stages = (Stage(3, 4, 0.0), Stage(4, 2, 0.4))
    recipe = Recipe(epochs=2, batch=8, rate=0.05, alpha_rate=0.1)
    found = progressive(task_of, SMALL, recipe, 0, stages=stages, max_skips=1)
    assert layers == [3, 4]
    assert [len(state.net.cells) for state in found.states] == [3, 4]  # type: ignore[arg-type]
    assert [state.records[-1].operations for state in found.states] == [40, 20]
    chosen = choice_of(SMALL, found.genotype)
    assert skips_of(SMALL["normal"], chosen["normal"]) <= 1
    for cell in SMALL.cells:
        for edge, column in chosen[cell.name]:
            assert found.states[-1].net.alive[cell.name][edge, column]


def test_a_cap_that_pruning_has_made_impossible_is_raised_as_little_as_can_be() -> None:
    space = SPACES["s2"]
    alive = {cell.name: candidates_mask(cell) for cell in space.cells}
    alive["normal"][:5, 1] = False  # nothing but skips into the first two nodes
    assert fewest_skips(space, alive) == 4
    strategy = PDarts()
    alphas = strategy.begin(space, 0)
    found = choice_of(space, strategy.derive(space, alphas, alive))
    assert skips_of(space["normal"], found["normal"]) == 4


def test_stages_keep_a_candidate_within_the_limit_on_what_is_derived() -> None:
    costs = supernet_parameters(SMALL, 4, 3, 3, derived=True)
    masks = {cell.name: candidates_mask(cell) for cell in SMALL.cells}
    cheap = {name: -torch.from_numpy(costs.edges[name]).double() for name in masks}
    least = costs.of_chosen(select(SMALL, cheap, masks, Limits(None, costs, costs.whole)))
    strategy: Any = Limited(PDarts(keep=(4, 2, 1), max_skips=2), 2, costs, least * 1.05)
    plan, state = _begun(strategy, 6, SMALL, 0.5)
    with torch.no_grad():
        for name, alpha in state.alphas.items():
            alpha += 3 * torch.from_numpy(costs.edges[name] / costs.edges[name].max())  # the dear ones lead
    run(plan, state, lambda *_: True)
    left = sum(int(mask.sum()) for mask in state.net.alive.values())
    edges = sum(len(cell.edges) for cell in SMALL.cells)
    assert left <= 2 * edges  # one more than the last stage keeps, at most
    found = derive(plan, state)
    assert count(found, 4, 3, 3, image_size=8).parameters <= least * 1.05
    loose = Limited(strategy.inner, None, costs, costs.whole)
    moment = Moment(0, 4, 6)
    given = (SMALL, state.alphas, masks, moment)
    assert loose.removals(*given) == strategy.inner.removals(*given)
