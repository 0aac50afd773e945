"""ENAS' controller: its gradient in closed form, what it draws, what it finds, and what it costs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.nas_planted import ONE_NODE, PlantedTask
from nas.nas_support import SMALL, TinyTask
from rung.errors import UserError
from rung.nas.choice import Chosen, choice_of
from rung.nas.controller import Controller, Drawn, Place, following, greedy, sampled
from rung.nas.costs import supernet_costs
from rung.nas.loop import Plan, derive, one_epoch, run, start
from rung.nas.moment import Moment
from rung.nas.plain import candidates_mask
from rung.nas.planning import Request, strategy_of
from rung.nas.recipe import Recipe
from rung.nas.space import SPACES, Cell, Space
from rung.nas.strategies import enas
from rung.nas.strategies.base import Passes, Turn
from rung.nas.strategies.enas import BASELINE, Enas
from rung.nas.strategies.table import make, settings_of
from rung.nas.task import Weighted
from rung.nas.thrift import Size, Thrift, tables_of, thrifty

TOY = Space(
    "toy",
    (
        Cell("normal", 1, ("none", "skip_connect", "sep_conv_3x3"), keep=1),
        Cell("reduce", 1, ("sep_conv_3x3", "max_pool_3x3"), keep=1, reduction=True),
    ),
)


class Path:
    """Picks that are given one after the other."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self.left = list(numbers)

    def __call__(self, place: Place, probable: Tensor) -> int:
        return self.left.pop(0)


def everything() -> Iterator[tuple[int, ...]]:
    """All paths through the toy: an input of two and an operation of two, in either cell."""
    return itertools.product(range(2), repeat=4)


def worth(chosen: Mapping[str, Any]) -> float:
    """A reward that no sum over decisions explains."""
    return float(
        np.sin(sum((3 + 7 * e + 5 * o) * (i + 1) for i, k in enumerate(chosen.values()) for e, o in k))
    )


@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_steps_have_in_expectation_the_gradient_of_reward_and_entropy(
    weight: float, baseline: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Summed over all architectures by their probabilities; a baseline does not matter to it."""
    strategy = Enas(hidden=5, entropy_weight=weight)
    alphas = {name: value.detach().double() for name, value in strategy.begin(TOY, 3).items()}
    for name, value in alphas.items():
        if name != BASELINE:
            alphas[name] = (60.0 * value).requires_grad_()  # far from uniform
    names = [name for name in alphas if name != BASELINE]
    net = TinyTask().supernet(TOY, "plain", 0)
    weights = {name.removeprefix("controller/"): alphas[name] for name in names}
    drawn = [strategy.controller.draw(weights, TOY, Path(path)) for path in everything()]
    shares = torch.stack([each.log_probability for each in drawn]).exp()
    assert float(shares.detach().sum()) == pytest.approx(1.0)
    assert float(shares.detach().max() / shares.detach().min()) > 2.0
    entropy = -(shares * shares.log()).sum() / 4
    aim = (
        sum(share * worth(each.chosen) for share, each in zip(shares, drawn, strict=True)) + weight * entropy
    )
    expected = torch.autograd.grad(aim, [alphas[name] for name in names], retain_graph=True)

    monkeypatch.setattr(enas, "reward", lambda task, net, mixed, batch: worth(seen[-1].chosen))
    seen: list[Drawn] = []
    total = {name: torch.zeros_like(alphas[name]) for name in names}
    for path, share in zip(everything(), shares.detach(), strict=True):
        monkeypatch.setattr(enas, "sampled", lambda generator, path=path: Path(path))
        seen.append(strategy.controller.draw(weights, TOY, Path(path)))
        alphas[BASELINE].fill_(baseline)
        strategy.step(turn_of(alphas, net))
        for name in names:
            total[name] += share * alphas[name].grad  # type: ignore[operator]
    for name, gradient in zip(names, expected, strict=True):
        torch.testing.assert_close(-total[name], gradient, rtol=1e-9, atol=1e-12)


def turn_of(alphas: dict[str, Tensor], net: Any, space: Space = TOY) -> Turn:
    task: Any = TinyTask()
    first, second = next(iter(task.pairs(0)))
    return Turn(task, space, net, alphas, first, second, None, 0.1, Moment(0, 0, 1))  # type: ignore[arg-type]


def test_the_baseline_is_a_moving_average_that_begins_with_the_first_reward(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strategy = Enas(entropy_weight=0.0, baseline_decay=0.9)
    alphas = strategy.begin(TOY, 0)
    net = TinyTask().supernet(TOY, "plain", 0)
    assert math.isnan(float(alphas[BASELINE]))
    expected = [0.5, 0.5 * 0.9 + 0.1, (0.5 * 0.9 + 0.1) * 0.9]
    for found, wanted in zip([0.5, 1.0, 0.0, math.nan], [*expected, expected[-1]], strict=True):
        monkeypatch.setattr(enas, "reward", lambda *_, found=found: found)
        strategy.step(turn_of(alphas, net))
        assert float(alphas[BASELINE]) == pytest.approx(wanted)
    assert all(not value.grad.any() for name, value in alphas.items() if name != BASELINE)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["darts", "s1", "nasbench201", "recurrent", "tiny"])
def test_what_is_drawn_is_of_the_space_and_as_probable_as_asked(name: str) -> None:
    space, controller = SPACES[name], Controller(8)
    weights = controller.begin(space, 0, torch.float64)
    for pick in (sampled(torch.Generator().manual_seed(0)), greedy):
        drawn = controller.draw(weights, space, pick)
        genotype = space.genotype(drawn.chosen)
        assert "none" not in genotype.operations
        chosen: Chosen = choice_of(space, genotype)
        assert dict(chosen) == dict(drawn.chosen)
        again = controller.draw(weights, space, following(chosen))
        assert (dict(again.chosen), again.decisions) == (dict(drawn.chosen), drawn.decisions)
    again_greedy = controller.draw(weights, space, greedy)
    assert float(again_greedy.log_probability.detach()) < 0.0


def test_an_operation_that_fell_is_not_drawn_and_what_is_certain_is_no_decision() -> None:
    controller = Controller(4)
    weights = controller.begin(TOY, 0)
    alive = {cell.name: candidates_mask(cell) for cell in TOY.cells}
    alive["normal"][:, 2] = False
    alive["reduce"][1] = False
    drawn = controller.draw(weights, TOY, sampled(torch.Generator().manual_seed(0)), alive)
    assert drawn.chosen["normal"][0][1] == 1  # the zero operation is never drawn
    assert drawn.chosen["reduce"][0][0] == 0
    assert drawn.decisions == 2


def test_no_option_is_more_certain_than_the_bound_allows() -> None:
    controller = Controller(4)
    weights = {name: 1e4 * value for name, value in controller.begin(TOY, 0).items()}
    odds = []

    def noting(place: Place, probable: Tensor) -> int:
        odds.append(float(probable.max() - probable.min()))
        return 0

    controller.draw(weights, TOY, noting)
    assert all(each <= 5.0 + 1e-6 for each in odds)
    assert max(odds) > 4.9


@pytest.mark.parametrize("seed", [0, 1])
def test_finds_what_was_planted(seed: int) -> None:
    state, operations = searched_for_planted(seed)
    assert operations == ["dil_conv_5x5"] * 2
    assert min(row[4] for row in state.records[-1].mixtures["normal"]) > 0.5  # a quarter by lot


@pytest.mark.long
def test_finds_what_was_planted_on_nine_of_ten_seeds() -> None:
    assert sum(searched_for_planted(seed)[1] == ["dil_conv_5x5"] * 2 for seed in range(10)) >= 9


def searched_for_planted(seed: int) -> Any:
    recipe = Recipe(epochs=15, alpha_rate=5e-3, alpha_decay=0.0, rate=0.1)
    plan = Plan(PlantedTask("dil_conv_5x5", seed, ONE_NODE), ONE_NODE, Enas(samples=10), recipe, seed)
    state = run(plan, start(plan), lambda *_: True)
    return state, [name for node in derive(plan, state)["normal"].nodes for name, _ in node]


def small_plan(**settings: Any) -> Plan:
    recipe = Recipe(epochs=2, batch=8, rate=0.05, alpha_rate=0.01, alpha_decay=0.0)
    return Plan(TinyTask(count=16), SMALL, make("enas", settings, 2), recipe, 0)


def test_a_record_has_shares_of_operations_and_not_the_controllers_weights() -> None:
    plan = small_plan()
    state = start(plan)
    record = one_epoch(plan, state)
    assert record.alphas == {}
    for cell in SMALL.cells:
        shares = np.array(record.mixtures[cell.name])
        assert (shares[:, 0] == 0).all()
        assert shares.sum() == pytest.approx(4)  # two inputs of two nodes
        assert len(np.unique(shares)) > 2
    assert set(record.notes) == {"reward", "sureness"}
    assert 0.0 < record.notes["sureness"] < 1.0


def test_the_ledger_counts_what_single_paths_compute() -> None:
    """A step of the weights forwards and backwards, one of the controller forwards: of what was drawn."""
    plan, seen = small_plan(), []
    state = start(plan)
    costs = plan.task.macs(state.net, SMALL)
    rest = plan.task._costs[SMALL]  # type: ignore[attr-defined]
    forward = state.net.forward

    def noting(x: Tensor, mixtures: Any, active: Any = None) -> Any:
        if state.net.training:
            seen.append((torch.is_grad_enabled(), len(x) * rest.of(active)))
        return forward(x, mixtures, active)

    state.net.forward = noting  # type: ignore[assignment,method-assign]
    one_epoch(plan, state)
    assert [learns for learns, _ in seen] == [False, True] * plan.task.steps
    assert state.ledger.multiply_adds == pytest.approx(sum(3 * m if g else m for g, m in seen))
    assert state.ledger.multiply_adds < 0.6 * 3 * state.ledger.images * costs
    assert state.ledger.passes == 2 * plan.task.steps


def test_it_judges_each_candidate_once_and_keeps_the_best_within_the_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By its reward on batches, normalised by the batch: running statistics are left as they are."""
    plan = small_plan(samples=40, max_skips=1)
    state = run(plan, start(plan), lambda *_: True)
    before = {name: value.clone() for name, value in state.net.plain_state().items()}
    seen: dict[str, list[float]] = {}
    chosen: dict[str, Any] = {}
    real = enas.reward

    def noting(task: Any, net: Any, mixed: Any, batch: Any) -> float:
        assert net.training
        kept = {n: tuple(map(tuple, np.argwhere(mask).tolist())) for n, mask in mixed.active.items()}
        chosen[repr(kept)] = kept
        seen.setdefault(repr(kept), []).append(real(task, net, mixed, batch))
        return seen[repr(kept)][-1]

    monkeypatch.setattr(enas, "reward", noting)
    found = dict(choice_of(SMALL, derive(plan, state)))
    assert 1 < len(seen) <= 40
    assert {len(rewards) for rewards in seen.values()} == {plan.task.steps}  # which are fewer than eight
    assert all(sum(o == 1 for _, o in kept["normal"]) <= 1 for kept in chosen.values())
    assert found == chosen[max(seen, key=lambda each: sum(seen[each]))]
    assert all(torch.equal(value, before[name]) for name, value in state.net.plain_state().items())


def test_a_price_is_taken_from_the_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all classify alike, what is found is cheaper than without a price."""
    monkeypatch.setattr(enas, "reward", lambda *_: 0.5)
    costs = supernet_costs(SMALL, 4, 3, 3, image_size=8)
    recipe = Recipe(epochs=2, batch=8, rate=0.05, alpha_rate=0.01, alpha_decay=0.0)
    found = []
    for price in (0.0, 3.0):
        thrift, size = Thrift(price=price), Size(4, 3, 3, 8)
        tables = tables_of(thrift, SMALL, size, size)
        strategy = thrifty(make("enas", {"samples": 30}, 2), thrift, SMALL, tables)
        plan = Plan(TinyTask(count=16), SMALL, strategy, recipe, 0)
        state = run(plan, start(plan), lambda *_: True)
        chosen = dict(choice_of(SMALL, derive(plan, state)))
        found.append(costs.of_chosen(chosen))
        baseline = float(state.alphas[BASELINE])
        assert baseline == pytest.approx(0.5, abs=0.2) if not price else baseline < 0.5
        assert settings_of(strategy).get("price") == (price or None)
    assert found[1] < found[0]


def test_a_price_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enas, "reward", lambda *_: 0.5)
    cost = {"normal": torch.tensor([[0.0, 0.25, 0.5]] * 2), "reduce": torch.tensor([[0.5, 0.25]] * 2)}
    strategy = Enas(entropy_weight=0.0, price=Weighted(cost, 2.0))
    alphas = strategy.begin(TOY, 0)
    monkeypatch.setattr(enas, "sampled", lambda generator: Path((1, 1, 0, 0)))
    strategy.step(turn_of(alphas, TinyTask().supernet(TOY, "plain", 0)))
    weights = {n.removeprefix("controller/"): v for n, v in alphas.items() if n != BASELINE}
    chosen = strategy.controller.draw(weights, TOY, Path((1, 1, 0, 0))).chosen
    spent = sum(float(cost[name][edge, column]) for name, kept in chosen.items() for edge, column in kept)
    assert spent > 0
    assert float(alphas[BASELINE]) == pytest.approx(0.5 - 2.0 * spent)


def test_a_space_of_one_architecture_leaves_nothing_to_learn() -> None:
    one = Space("one", (Cell("normal", 1, ("sep_conv_3x3",)),))
    strategy = Enas()
    alphas = strategy.begin(one, 0)
    assert strategy.step(turn_of(alphas, TinyTask().supernet(one, "plain", 0), one)) == Passes(0, 0)


def test_the_controller_is_not_decayed_and_has_the_papers_rate() -> None:
    recipe, strategy, _ = strategy_of(Request("x", strategy="enas", preset="paper"))
    assert (recipe.alpha_rate, recipe.alpha_decay) == (3.5e-4, 0.0)
    assert isinstance(strategy, Enas)
    assert (strategy.logit_temperature, strategy.tanh_constant, strategy.entropy_weight) == (5.0, 2.5, 0.1)
    words = strategy_of(Request("x", strategy="enas", preset="paper", cell="rnn"))[1]
    assert isinstance(words, Enas) and words.entropy_weight == 1e-4  # noqa: PT018
    assert strategy_of(Request("x", strategy="darts1", preset="paper"))[0].alpha_decay == 1e-3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("early_stop", True),
        ("price", -0.5),
        ("hiden", 3),
        ("samples", 0),
        ("hidden", 0),
        ("logit_temperature", 0),
        ("baseline_decay", 1),
    ],
)
def test_what_does_not_go_with_a_controller_is_refused(name: str, value: Any) -> None:
    from rung.nas.searching import search
    from support.pictures import halves

    with pytest.raises(UserError, match=name):
        search(halves(32), strategy="enas", space="tiny", settings={name: value}, epochs=1)
