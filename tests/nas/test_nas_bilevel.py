"""Hypergradients against closed forms, double backward, and a slow version written from the formulas."""

from __future__ import annotations

import copy
import types
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from nas.nas_support import SMALL, TinyTask
from rung.nas.loop import Plan, run, sgd, start
from rung.nas.moment import Moment
from rung.nas.operations import FactorizedReduce
from rung.nas.recipe import Recipe
from rung.nas.space import Cell, Space
from rung.nas.strategies.base import Turn
from rung.nas.strategies.bilevel import first_order
from rung.nas.strategies.darts import FirstOrder, SecondOrder
from rung.nas.strategies.second_order import Hypergradient, second_order, virtual_weights
from rung.nas.supernet import frozen_statistics
from rung.nas.task import Mixed, Net
from rung.nas.training import weight_step

BOTH: tuple[Hypergradient, ...] = ("exact", "difference")


class One(NamedTuple):
    """A batch of the toy: which of the two losses."""

    training: bool
    size: int = 1
    pace: float = 1.0


class Scalar(Net):
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(-2.0, dtype=torch.float64))

    def forward(self) -> Tensor:
        return self.w

    @property
    def alive(self) -> dict[str, Any]:
        return {}


class Toy:
    """DARTS, figure 2: L_train = w^2 - 2 a w + a^2, L_val = a w - 2 a + 1."""

    def loss(self, call: Any, mixed: Mixed, batch: One, *, training: bool = False) -> Tensor:
        w, a = call(), mixed.mixtures["toy"]
        return w**2 - 2 * a * w + a**2 if batch.training else a * w - 2 * a + 1


@dataclass(frozen=True)
class Bare:
    """Alphas are what they are."""

    def mixed(self, space: Any, alphas: dict[str, Tensor], alive: Any, moment: Moment) -> Mixed:
        return Mixed(alphas)


@pytest.mark.parametrize("hypergradient", BOTH)
@pytest.mark.parametrize(("xi", "fixed"), [(0.0, 2.0), (0.3, 1.25), (0.5, 1.0), (0.7, 1 / 1.2)])
def test_the_quadratic_toy_comes_to_its_fixed_points(
    hypergradient: Hypergradient, xi: float, fixed: float
) -> None:
    task: Any = Toy()
    net, alphas = Scalar(), {"toy": torch.tensor(2.0, dtype=torch.float64, requires_grad=True)}
    weights = torch.optim.SGD(net.parameters(), lr=0.5)
    architecture = torch.optim.SGD(alphas.values(), lr=0.5)
    space: Any = None
    for _ in range(40):
        turn = Turn(task, space, net, alphas, One(True), One(False), weights, xi, Moment(0, 0, 1))
        second_order(Bare(), turn, hypergradient)
        architecture.step()
        weight_step(task, net, Mixed({"toy": alphas["toy"].detach()}), One(True), weights, 0.0)
    assert float(alphas["toy"].detach()) == pytest.approx(fixed, abs=1e-6)
    assert float(net.w.detach()) == pytest.approx(fixed, abs=1e-6)


def test_first_order_is_the_toy_with_no_step_ahead() -> None:
    task: Any = Toy()
    net, alphas = Scalar(), {"toy": torch.tensor(0.5, dtype=torch.float64, requires_grad=True)}
    space: Any = None
    weights = torch.optim.SGD(net.parameters(), lr=0.1)
    turn = Turn(task, space, net, alphas, One(True), One(False), weights, 0.5, Moment(0, 0, 1))
    first_order(Bare(), turn)
    assert float(alphas["toy"].grad) == -4.0  # w - 2


SMOOTH = Space(
    "smooth",
    tuple(
        Cell(name, 2, ("none", "avg_pool_3x3", "skip_connect", "sep_conv_3x3"), reduction=name == "reduce")
        for name in ("normal", "reduce")
    ),
)


def softened(net: nn.Module) -> nn.Module:
    """Softplus in the place of every ReLU, in this network."""

    def forward(self: FactorizedReduce, x: Tensor) -> Tensor:
        x = nn.functional.softplus(x)
        halves = [self.first(x[:, :, ::2, ::2]), self.second(x[:, :, 1::2, 1::2])]
        y: Tensor = self.norm(torch.cat(halves, 1))
        return y

    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Softplus())
            if isinstance(child, FactorizedReduce):
                child.forward = types.MethodType(forward, child)  # type: ignore[method-assign]
    return net


def a_turn(space: Space, form: str = "plain", steps: int = 2, **settings: Any) -> Turn:
    """A step of a search whose weights have momentum already, in float64."""
    task = TinyTask(dtype=torch.float64, channels=4, layers=3)
    recipe = Recipe(rate=0.05, decay=3e-3)
    net = task.supernet(space, form, 3)
    if space is SMOOTH:
        softened(net)
    generator = torch.Generator().manual_seed(5)
    alphas = {
        c.name: torch.randn(
            len(c.edges), len(c.operations), generator=generator, dtype=torch.float64
        ).requires_grad_()
        for c in space.cells
    }
    optimizer = sgd(net, recipe)
    pairs = list(task.pairs(0)) + list(task.pairs(1))
    strategy = FirstOrder()
    with torch.no_grad():
        mixed = strategy.mixed(space, alphas, net.alive, Moment(0, 0, 1))
    net.train()
    for first, _ in pairs[:steps]:
        weight_step(task, net, mixed, first, optimizer, 5.0)
    optimizer.zero_grad()
    return Turn(task, space, net, alphas, *pairs[steps], optimizer, 0.05, Moment(0, 0, 2, 1, 4))


def flat(turn: Turn) -> Tensor:
    return torch.cat([alpha.grad.flatten() for alpha in turn.alphas.values()])


def unrolled(turn: Turn) -> Tensor:
    """Backward through the whole of the validation loss after a step with a graph."""
    strategy, net = FirstOrder(), turn.net
    names, weights = zip(*net.named_parameters(), strict=True)
    group = turn.optimizer.param_groups[0]
    with frozen_statistics(net):
        mixed = strategy.mixed(turn.space, turn.alphas, net.alive, turn.moment)
        loss = turn.task.loss(net, mixed, turn.weights_batch)
        gradients = torch.autograd.grad(loss, weights, create_graph=True)
        moved = {}
        for name, w, g in zip(names, weights, gradients, strict=True):
            buffer = turn.optimizer.state[w]["momentum_buffer"]
            ahead = group["momentum"] * buffer + g + group["weight_decay"] * w
            moved[name] = w - turn.rate * ahead
        call = lambda *arguments: functional_call(net, moved, arguments)  # noqa: E731
        loss = turn.task.loss(call, mixed, turn.alphas_batch)
    found = torch.autograd.grad(loss, list(turn.alphas.values()))
    return torch.cat([each.flatten() for each in found])


@pytest.mark.parametrize("space", [SMOOTH, SMALL], ids=["smooth", "kinks"])
def test_exact_is_double_backward_through_the_unrolled_step(space: Space) -> None:
    turn = a_turn(space)
    second_order(FirstOrder(), turn, "exact")
    torch.testing.assert_close(flat(turn), unrolled(turn), rtol=1e-9, atol=1e-12)


def test_difference_agrees_where_everything_is_smooth() -> None:
    turn = a_turn(SMOOTH)
    expected = unrolled(turn)
    second_order(FirstOrder(), turn, "difference")
    assert float((flat(turn) - expected).norm() / expected.norm()) < 1e-3
    first_order(FirstOrder(), turn)
    assert float((flat(turn) - expected).norm() / expected.norm()) > 1e-2  # the step ahead matters here


def by_the_formulas(turn: Turn, clip: float = 0.0) -> Tensor:
    """Equations 5 to 8, on copies, weights moved in place, one at a time."""
    net = copy.deepcopy(turn.net)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    group = turn.optimizer.param_groups[0]
    pairs = list(zip(net.parameters(), turn.net.parameters(), strict=True))
    alphas = {name: value.detach().clone().requires_grad_() for name, value in turn.alphas.items()}

    def passes(batch: Any) -> None:
        optimizer.zero_grad()
        for alpha in alphas.values():
            alpha.grad = None
        with frozen_statistics(net):
            mixed = FirstOrder().mixed(turn.space, alphas, net.alive, turn.moment)
            turn.task.loss(net, mixed, batch).backward()

    def clipped() -> float:
        norm = float(torch.sqrt(sum((w.grad**2).sum() for w, _ in pairs)))
        return min(1.0, clip / (norm + 1e-6)) if clip else 1.0

    passes(turn.weights_batch)
    first = clipped()
    with torch.no_grad():
        for w, original in pairs:
            buffer = turn.optimizer.state[original]["momentum_buffer"]
            w -= turn.rate * (group["momentum"] * buffer + first * w.grad + group["weight_decay"] * original)
    passes(turn.alphas_batch)
    direct = [alpha.grad.clone() for alpha in alphas.values()]
    second = clipped()
    v = [second * w.grad.clone() for w, _ in pairs]
    step = 0.01 / float(torch.sqrt(sum((part**2).sum() for part in v)))
    sides = []
    for sign in (1, -1):
        with torch.no_grad():
            for (w, original), part in zip(pairs, v, strict=True):
                w.copy_(original + sign * step * part)
        passes(turn.weights_batch)
        sides.append([alpha.grad.clone() for alpha in alphas.values()])
    return torch.cat(
        [
            (d - turn.rate * first * (up - down) / (2 * step)).flatten()
            for d, up, down in zip(direct, *sides, strict=True)
        ]
    )


@pytest.mark.parametrize("clip", [0.0, 0.05])
@pytest.mark.parametrize("space", [SMOOTH, SMALL], ids=["smooth", "kinks"])
def test_difference_is_the_formulas_step_by_step(space: Space, clip: float) -> None:
    turn = a_turn(space)
    second_order(FirstOrder(), turn, "difference", clip)
    torch.testing.assert_close(flat(turn), by_the_formulas(turn, clip), rtol=1e-9, atol=1e-12)


def test_clipped_exact_agrees_with_clipped_difference_where_smooth() -> None:
    turn = a_turn(SMOOTH)
    second_order(FirstOrder(), turn, "exact", 0.05)
    exact = flat(turn).clone()
    second_order(FirstOrder(), turn, "difference", 0.05)
    assert float((flat(turn) - exact).norm() / exact.norm()) < 1e-3


@pytest.mark.parametrize("steps", [0, 2], ids=["before the first step", "with momentum"])
def test_the_virtual_step_is_the_optimisers(steps: int) -> None:
    turn = a_turn(SMALL, steps=steps)
    generator = torch.Generator().manual_seed(1)
    weights = list(turn.net.parameters())
    gradients = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in weights]
    virtual = virtual_weights(turn, gradients)
    for w, gradient in zip(weights, gradients, strict=True):
        w.grad = gradient
    turn.optimizer.param_groups[0]["lr"] = turn.rate
    turn.optimizer.step()
    for w, ahead in zip(weights, virtual, strict=True):
        torch.testing.assert_close(w.detach(), ahead.detach(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("hypergradient", BOTH)
def test_a_step_of_alphas_touches_nothing_else(hypergradient: Hypergradient) -> None:
    turn = a_turn(SMALL)
    before = copy.deepcopy((turn.net.state_dict(), turn.optimizer.state_dict()))
    torch.manual_seed(11)
    state = torch.get_rng_state()
    second_order(FirstOrder(), turn, hypergradient)
    after = (turn.net.state_dict(), turn.optimizer.state_dict())
    assert all(torch.equal(before[0][name], value) for name, value in after[0].items())
    for number, kept in before[1]["state"].items():
        assert torch.equal(kept["momentum_buffer"], after[1]["state"][number]["momentum_buffer"])
    assert all(w.grad is None for w in turn.net.parameters())
    assert all(m.track_running_stats for m in turn.net.modules() if isinstance(m, nn.BatchNorm2d))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("hypergradient", BOTH)
def test_the_fused_form_has_the_same_hypergradient(hypergradient: Hypergradient) -> None:
    plain, fused = a_turn(SMALL, steps=0), a_turn(SMALL, "fused", steps=0)
    fused.net.load_plain_state(plain.net.plain_state())
    # by differences, a kink that is crossed by one form and not by the other would tell them apart
    kind = "exact" if hypergradient == "exact" else "difference"
    for turn in (plain, fused):
        second_order(FirstOrder(), turn, kind)
    tolerance = 1e-8 if kind == "exact" else 1e-5
    torch.testing.assert_close(flat(fused), flat(plain), rtol=tolerance, atol=tolerance * 1e-2)


def test_noise_in_the_network_is_the_same_in_both_passes_of_a_difference() -> None:
    """With a noisy candidate, passes that drew apart would give a difference divided by a tiny step."""
    space = Space("noisy", tuple(Cell(n, 1, ("noise", "skip_connect"), reduction=n == "reduce")
                                 for n in ("normal", "reduce")))  # fmt: skip
    turn = a_turn(space, steps=1)
    torch.manual_seed(0)
    second_order(FirstOrder(), turn, "difference")
    assert float(flat(turn).abs().max()) < 1.0


@pytest.mark.parametrize(("strategy", "each"), [(FirstOrder(), 1), (SecondOrder(), 4)])
def test_the_ledger_is_the_closed_form(strategy: FirstOrder, each: int) -> None:
    task = TinyTask(count=32)
    plan = Plan(task, SMALL, strategy, Recipe(epochs=2, batch=8), 0)
    state = run(plan, start(plan), lambda *_: True)
    steps = 2 * task.steps
    assert (state.ledger.weight_passes, state.ledger.alpha_passes) == (steps, each * steps)
    assert state.ledger.images == steps * task.batch * (1 + each)
    macs = task.macs(state.net, SMALL)
    assert state.ledger.multiply_adds == pytest.approx(3 * macs * state.ledger.images, rel=1e-12)
    kinds = [record.notes.get("hypergradient") for record in state.records]
    assert kinds == [None if each == 1 else "exact"] * 2
    assert np.isfinite(state.records[-1].loss)
