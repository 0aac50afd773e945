"""The fused supernet gives what the plain one gives: losses, gradients, statistics; and prunes for good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rung.errors import SpaceError
from rung.nas.operations import Operation
from rung.nas.space import SPACES, Cell, Space, image_space
from rung.nas.supernet import Supernet, frozen_statistics
from rung.nas.training import forget

NAMES = ["darts", "s2", "s3", "tiny", "nasbench201"]


class Own(nn.Module):
    """An operation that no fused form knows."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.conv(x))


def _own_space() -> Space:
    names = ("none", "skip_connect", "sep_conv_7x7", "mine", "conv_7x1_1x7", "max_pool_3x3")
    own = (("mine", Operation(lambda channels, stride, affine: Own(channels, stride))),)
    cells = tuple(
        Cell(name, 2, names, reduction=name == "reduce", only=((1, ("mine", "sep_conv_7x7")),))
        for name in ("normal", "reduce")
    )
    return Space("own", cells, operations=own)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _pair(space: Space, channels: int = 4, layers: int = 3) -> tuple[Supernet, Supernet]:
    nets = []
    for form in ("plain", "fused"):
        torch.manual_seed(7)
        nets.append(Supernet(space, channels, layers, 3, form=form).double())
    return nets[0], nets[1]


def _data(size: int = 8, count: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 3, size, size, generator=generator, dtype=torch.float64)
    return x, torch.arange(count) % 3


def _alphas(space: Space) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        cell.name: torch.randn(
            len(cell.edges), len(cell.operations), generator=generator, dtype=torch.float64
        ).requires_grad_()
        for cell in space.cells
    }


def _loss(net: Supernet, alphas: Mapping[str, Tensor], data: tuple[Tensor, Tensor], active=None) -> Tensor:
    masks = {name: torch.from_numpy(mask) for name, mask in net.alive.items()}
    mixtures = {name: torch.softmax(a, -1) * masks[name] for name, a in alphas.items()}
    return nn.functional.cross_entropy(net(data[0], mixtures, active), data[1])


def _same(plain: Supernet, fused: Supernet, space: Space, active=None, size: int = 8) -> None:
    """Loss, gradients of alphas and of all weights, and statistics."""
    alphas, data, found = _alphas(space), _data(size), []
    for net in (plain, fused):
        net.zero_grad(set_to_none=True)
        loss = _loss(net, alphas, data, active)
        found.append((loss.detach(), *torch.autograd.grad(loss, list(alphas.values()), retain_graph=True)))
        loss.backward()
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-10)
    _same_state(plain.plain_state(), fused.plain_state())
    _same_state(_gradients(plain), _gradients(fused))


def _gradients(net: Supernet) -> dict[str, Tensor]:
    """Under the plain form's names, as if they were the weights."""
    values = [p.detach().clone() for p in net.parameters()]
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.zeros_like(p) if p.grad is None else p.grad)
        state = {name: value.clone() for name, value in net.plain_state().items()}
        for p, value in zip(net.parameters(), values, strict=True):
            p.copy_(value)
    return state


def _same_state(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=0, atol=1e-10, msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_it_begins_as_the_plain_form_and_gives_the_same(name):
    space = SPACES[name]
    plain, fused = _pair(space)
    one, other = plain.plain_state(), fused.plain_state()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in fused.parameters())
    _same(plain, fused, space)
    _same(plain, fused, space)  # the statistics have moved
    plain.eval()
    fused.eval()
    _same(plain, fused, space)


def test_operations_without_a_fused_form_stay_modules():
    space = _own_space()
    plain, fused = _pair(space)
    assert any(".modules_of." in name for name, _ in fused.named_parameters())
    _same(plain, fused, space)
    for net in (plain, fused):
        net.prune("normal", 0, 3)
        net.prune("reduce", 0, 1)
    _same(plain, fused, space)


@pytest.mark.parametrize("size", [9, 10, 12])
def test_sides_that_are_not_powers_of_two(size):
    space = image_space("some", ("skip_connect", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"), nodes=1)
    _same(*_pair(space), space, size=size)


def test_second_derivatives_are_the_plain_ones():
    space = image_space("some", ("avg_pool_3x3", "skip_connect", "sep_conv_5x5", "dil_conv_3x3"), nodes=2)
    found = []
    for net in _pair(space):
        alphas, data = _alphas(space), _data()
        weights = [p for p in net.parameters() if p.requires_grad]
        first = torch.autograd.grad(_loss(net, alphas, data), weights, create_graph=True)
        size = sum((g**2).sum() for g in first)
        found.append(torch.autograd.grad(size, list(alphas.values())))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-10)


def test_other_weights_can_be_put_in_its_place():
    space = SPACES["tiny"]
    plain, fused = _pair(space)
    alphas, data = _alphas(space), _data()
    found = []
    for net in (plain, fused):
        mixtures = {name: torch.softmax(a, -1) for name, a in alphas.items()}
        names, values = zip(*net.named_parameters(), strict=True)
        loss = nn.functional.cross_entropy(net(data[0], mixtures), data[1])
        gradients = torch.autograd.grad(loss, values, create_graph=True)
        virtual = {n: v - 0.1 * g for n, v, g in zip(names, values, gradients, strict=True)}
        with frozen_statistics(net):
            scores = torch.func.functional_call(net, virtual, (data[0], mixtures))
        loss = nn.functional.cross_entropy(scores, data[1])
        found.append((loss, *torch.autograd.grad(loss, list(alphas.values()))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-10)


def test_statistics_that_are_frozen_do_not_move():
    space = SPACES["darts"]
    _, fused = _pair(space)
    before = {name: value.clone() for name, value in fused.named_buffers()}
    with frozen_statistics(fused):
        _loss(fused, _alphas(space), _data())
    assert all(torch.equal(value, before[name]) for name, value in fused.named_buffers())
    _loss(fused, _alphas(space), _data())
    moved = [name for name, value in fused.named_buffers() if not torch.equal(value, before[name])]
    assert len(moved) == len(before)


def test_only_active_operations_are_computed_and_counted():
    space = SPACES["darts"]
    plain, fused = _pair(space)
    generator = np.random.default_rng(3)
    active = {name: generator.random(mask.shape) < 0.5 for name, mask in plain.alive.items()}
    _same(plain, fused, space, active)  # the running statistics of some edges move
    plain.eval()
    fused.eval()
    _same(plain, fused, space)


def test_pruned_forms_stay_the_same_until_one_operation_is_left():
    space = SPACES["darts"]
    plain, fused = _pair(space)
    generator = np.random.default_rng(4)
    count = sum(p.numel() for p in fused.parameters())
    for keep in (4, 1):
        for name in ("normal", "reduce"):
            for edge in range(14):
                alive = np.flatnonzero(plain.alive[name][edge])
                for column in generator.permutation(alive)[keep:]:
                    plain.prune(name, edge, int(column))
                    fused.prune(name, edge, int(column))
        fewer = sum(p.numel() for p in fused.parameters())
        assert fewer < count
        count = fewer
        _same(plain, fused, space)
    assert count == sum(p.numel() for p in plain.parameters())


def test_an_edge_and_a_node_may_lose_everything():
    space = SPACES["tiny"]
    plain, fused = _pair(space)
    for net in (plain, fused):
        for edge in (2, 3, 4):  # all that enters the second node
            for column in range(4):
                net.prune("normal", edge, column)
    _same(plain, fused, space)


def test_momentum_is_carried_over_where_rows_are_kept():
    space = SPACES["darts"]
    plain, fused = _pair(space)
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9) for net in (plain, fused)]
    alphas, data = _alphas(space), _data()
    for turn in range(3):
        for net, optimizer in zip((plain, fused), optimizers, strict=True):
            optimizer.zero_grad()
            _loss(net, alphas, data).backward()
            optimizer.step()
            if turn < 2:
                for edge, column in ((0, 4), (3, 5), (6, 4), (9, 7), (11, 6)):
                    net.prune("normal", edge + turn, column)
                forget(optimizer, net)
    assert all(body.moved == [] for _, body in fused.bodies)
    held = {id(p) for p in optimizers[1].state}
    assert held == {id(p) for p in fused.parameters()}
    _same_state(plain.plain_state(), fused.plain_state())


def test_states_are_exchanged_exactly_and_others_are_refused():
    space = SPACES["darts"]
    plain, fused = _pair(space)
    _loss(plain, _alphas(space), _data())
    plain.prune("normal", 3, 4)
    with pytest.raises(SpaceError, match="pruned otherwise"):
        fused.load_plain_state(plain.plain_state())
    fused.prune("normal", 3, 4)
    state = plain.plain_state()
    fused.load_plain_state(state)
    again = fused.plain_state()
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], again[name]) for name in state)


def test_skips_are_dropped_edge_by_edge_while_training():
    space = image_space("skips", ("skip_connect", "sep_conv_3x3"), nodes=1)
    _, fused = _pair(space)
    whole = _pair(space)[1]
    for _, body in fused.bodies:
        body.skip_dropout = 0.5
    alphas, data = _alphas(space), _data()
    with frozen_statistics(fused), frozen_statistics(whole):
        assert _loss(fused, alphas, data) != _loss(fused, alphas, data)
        fused.eval()
        whole.eval()
        torch.testing.assert_close(_loss(fused, alphas, data), _loss(whole, alphas, data))


def test_dropped_skips_keep_their_mean():
    cell = Cell("normal", 1, ("skip_connect",), inputs=1, output="last")
    space = replace(SPACES["nasbench201"], cells=(cell,))
    net = Supernet(space, 4, 3, 3, form="fused")
    (_, body), *_ = net.bodies
    body.skip_dropout = 0.3
    x = torch.ones(64, 4, 16, 16)
    torch.manual_seed(0)
    y = body([x], torch.full((1, 1), 0.5))
    zero = float((y == 0).float().mean())
    assert zero == pytest.approx(0.3, abs=0.01)  # 65,536 draws: one standard deviation is 0.002
    assert float(y.mean()) == pytest.approx(0.5, abs=0.01)


def test_in_single_precision_it_is_as_exact_as_the_plain_form():
    space = SPACES["darts"]
    plain, fused = _pair(space, channels=8)
    alphas, (x, y) = _alphas(space), _data(16, 6)
    x = 3.0 + x  # a mean that is not small beside the spread
    exact = torch.autograd.grad(_loss(plain, alphas, (x, y)), list(alphas.values()))
    errors = []
    for net in (plain.float(), fused.float()):
        found = torch.autograd.grad(_loss(net, alphas, (x.float(), y)), list(alphas.values()))
        errors.append(
            max(float((g - e).abs().max() / e.abs().max()) for g, e in zip(found, exact, strict=True))
        )
    assert errors[1] < max(10.0 * errors[0], 1e-4)
