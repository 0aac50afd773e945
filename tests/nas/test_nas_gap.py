"""The relaxation gap, and weights handed from a supernet to a derived network."""

from __future__ import annotations

import pytest
import torch

from nas.nas_support import SMALL, TinyTask
from rung.errors import SpaceError
from rung.nas.gap import last_mixed, measured, training_gap
from rung.nas.genotype import Genotype
from rung.nas.handing import hand_over
from rung.nas.loop import Plan, State, derive, run, start
from rung.nas.moment import Moment
from rung.nas.recipe import Recipe
from rung.nas.space import SPACES, Cell, Space
from rung.nas.strategies.darts import FirstOrder
from rung.nas.supernet import Supernet, frozen_statistics

EVERY = Space(
    "every",
    tuple(
        Cell(
            name,
            3,
            (
                "none",
                "skip_connect",
                "sep_conv_3x3",
                "sep_conv_5x5",
                "dil_conv_3x3",
                "dil_conv_5x5",
                "max_pool_3x3",
                "avg_pool_3x3",
                "conv_7x1_1x7",
                "nor_conv_1x1",
            ),
            reduction=name == "reduce",
        )
        for name in ("normal", "reduce")
    ),
)
CHOSEN = {
    "normal": ((0, 9), (1, 2), (2, 3), (4, 6), (6, 1), (8, 5)),
    "reduce": ((0, 8), (1, 1), (2, 4), (3, 6), (5, 7), (7, 3)),
}


def one_hot(space: Space, chosen: dict[str, tuple[tuple[int, int], ...]]) -> dict[str, torch.Tensor]:
    mixtures = {}
    for cell in space.cells:
        mixture = torch.zeros(len(cell.edges), len(cell.operations))
        for edge, column in chosen[cell.name]:
            mixture[edge, column] = 1.0
        mixtures[cell.name] = mixture
    return mixtures


def moved(net: torch.nn.Module, *arguments: object) -> None:
    """Let running statistics move."""
    net.train()
    with torch.no_grad():
        for _ in range(3):
            net(1.0 + 2.0 * torch.randn(6, 3, 8, 8, dtype=torch.float64), *arguments)


@pytest.mark.parametrize("form", ["plain", "fused"])
def test_each_weight_goes_to_its_place(form: str) -> None:
    """A supernet with one-hot mixtures and the derived network compute the same, in both modes."""
    torch.manual_seed(0)
    net = Supernet(EVERY, 4, 3, 5, form=form).double()  # type: ignore[arg-type]
    mixtures = one_hot(EVERY, CHOSEN)
    moved(net, mixtures)
    derived = hand_over(net, EVERY.genotype(CHOSEN))
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    for training in (False, True):
        net.train(training)
        derived.train(training)
        with torch.no_grad(), frozen_statistics(net), frozen_statistics(derived):
            assert float((net(x, mixtures) - derived(x)).abs().max()) < 1e-10


def test_a_network_of_stages_takes_over_weights_and_zero_operations() -> None:
    torch.manual_seed(0)
    space = SPACES["nasbench201"]
    net = Supernet(space, 4, 3, 5).double()
    chosen = {"normal": ((0, 3), (1, 0), (2, 2), (3, 1), (4, 4), (5, 0))}
    mixtures = one_hot(space, chosen)
    moved(net, mixtures)
    derived = hand_over(net, space.genotype(chosen))
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    for training in (False, True):
        net.train(training)
        derived.train(training)
        with torch.no_grad(), frozen_statistics(net), frozen_statistics(derived):
            assert float((net(x, mixtures) - derived(x)).abs().max()) < 1e-10


def test_weights_are_copies() -> None:
    net = Supernet(EVERY, 4, 3, 5)
    derived = hand_over(net, EVERY.genotype(CHOSEN))
    before = {name: value.clone() for name, value in net.plain_state().items()}
    with torch.no_grad():
        for parameter in derived.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(value, before[name]) for name, value in net.plain_state().items())


def test_what_was_pruned_cannot_be_handed_over() -> None:
    net = Supernet(SMALL, 4, 3, 3)
    net.prune("normal", 0, 2)
    genotype = SMALL.genotype({c.name: tuple((e, 2) for e in range(4)) for c in SMALL.cells})
    with pytest.raises(SpaceError, match="'sep_conv_3x3' from 0 to node 2 is not on the supernet"):
        hand_over(net, genotype)


def test_another_space_cannot_be_handed_over() -> None:
    net = Supernet(SMALL, 4, 3, 3)
    edges = [["sep_conv_7x7", 0], ["skip_connect", 1], ["skip_connect", 0], ["skip_connect", 1]]
    with pytest.raises(SpaceError, match="'sep_conv_7x7' from 0 to node 2"):
        hand_over(net, Genotype.from_dict({"normal": edges, "reduce": edges}))


def darts(epochs: int = 3) -> tuple[Plan, State]:
    plan = Plan(
        TinyTask(layers=3, channels=2),
        SMALL,
        FirstOrder(form="plain"),
        Recipe(epochs=epochs, alpha_rate=0.05),
        0,
    )
    return plan, run(plan, start(plan), lambda state, record: True)


def test_darts_has_a_gap() -> None:
    """The largest difference over all held-out pictures, reckoned here picture by picture."""
    plan, state = darts()
    genotype = derive(plan, state)
    scores, gap = measured(plan, state, genotype)
    assert gap.outputs is not None
    assert gap.outputs > 0.05
    assert training_gap(plan, state, genotype) > 0.05
    derived = hand_over(state.net, genotype).eval()
    mixtures = plan.strategy.mixed(SMALL, state.alphas, state.net.alive, Moment(0, 2, 3)).mixtures
    task, right = plan.task, [0, 0]
    assert isinstance(task, TinyTask)
    largest = 0.0
    with torch.no_grad():
        state.net.eval()
        for x, y in zip(task.x_alphas, task.y_alphas, strict=True):
            a, b = state.net(x[None], mixtures)[0], derived(x[None])[0]
            largest = max(largest, float((a - b).abs().max()))
            right = [right[0] + int(a.argmax() == y), right[1] + int(b.argmax() == y)]
    state.net.train()
    assert gap.outputs == pytest.approx(largest, rel=1e-4)
    assert gap.accuracy == pytest.approx((right[0] - right[1]) / len(task.y_alphas))
    assert scores.accuracy == pytest.approx(right[1] / len(task.y_alphas))


def test_measuring_changes_nothing() -> None:
    plan, state = darts(1)
    before = {name: value.clone() for name, value in state.net.state_dict().items()}
    random = torch.random.get_rng_state()
    measured(plan, state, derive(plan, state))
    training_gap(plan, state, derive(plan, state))
    assert all(torch.equal(value, before[name]) for name, value in state.net.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), random)
    assert state.net.training


def test_the_mixtures_are_those_of_the_last_step() -> None:
    plan, state = darts(1)
    seen: list[torch.Tensor] = []

    def loss(call, mixed, batch, *, training=False):  # type: ignore[no-untyped-def]
        if training:
            seen.append(mixed.mixtures["normal"].clone())
        return TinyTask.loss(plan.task, call, mixed, batch, training=training)  # type: ignore[arg-type]

    plan.task.loss = loss  # type: ignore[method-assign]
    run(plan._replace(recipe=Recipe(epochs=2, alpha_rate=0.05)), state, lambda state, record: True)
    assert torch.equal(seen[-1], last_mixed(plan, state).mixtures["normal"])
