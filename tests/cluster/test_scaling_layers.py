"""Layers read from torch modules, against torch's own counter and against sizes known from the papers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from rung.cluster.scaling.layers import Kind  # noqa: E402
from rung.cluster.scaling.tracing import built, read_network  # noqa: E402
from rung.errors import UserError  # noqa: E402


class Attention(nn.Module):
    """One head of attention, by plain products or by torch's own function."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.inner = nn.Linear(16, 48)
        self.outer = nn.Linear(16, 16)
        self.fused = fused

    def forward(self, x: Any) -> Any:
        q, k, v = self.inner(x)[:, None].chunk(3, dim=-1)
        if self.fused:
            return self.outer(nn.functional.scaled_dot_product_attention(q, k, v)[:, 0])
        return self.outer(((q @ k.transpose(-1, -2)).softmax(-1) @ v)[:, 0])


class Looks(nn.Module):
    """Its forward pass depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.calls = 0

    def forward(self, x: Any) -> Any:
        return self.layer(x) if x.abs().sum().item() >= 0 else x


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 4, 4, stride=2),
        nn.Conv2d(4, 6, (1, 3), dilation=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )


def counted(module: nn.Module, x: Any) -> tuple[int, int]:
    """Forward and backward by torch's counter, on data."""
    with FlopCounterMode(display=False) as forward:
        loss = module(x).sum()
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    return forward.get_total_flops(), backward.get_total_flops()


@pytest.mark.parametrize(
    ("module", "size"),
    [
        (convolutional(), (3, 16, 16)),
        (nn.Sequential(nn.Conv1d(3, 4, 5), nn.Flatten(), nn.Linear(24, 3)), (3, 10)),
        (nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 2, bias=False)), (7,)),
        (nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), (10, 16)),
        (Attention(), (10, 16)),
    ],
    ids=["convolution", "convolution-1d", "linear", "encoder", "attention"],
)
def test_operations_are_those_of_torchs_counter(module: nn.Module, size: tuple[int, ...]) -> None:
    network = read_network(module, torch.randn(3, *size))
    for batch in (2, 7):
        forward, backward = counted(module, torch.randn(batch, *size))
        assert network.flops(batch, backward=False) == forward
        assert network.flops(batch, backward=True) == backward


def test_fused_attention_computes_what_plain_products_do() -> None:
    x = torch.randn(2, 10, 16)
    plain, fused = read_network(Attention(), x), read_network(Attention(fused=True), x)
    assert fused.flops(5, backward=False) == plain.flops(5, backward=False)
    scores = 2 * 5 * 10 * 10 * 16  # which the fused backward pass computes a second time
    assert fused.flops(5, backward=True) == plain.flops(5, backward=True) + scores


def test_a_grouped_convolution_is_as_many_small_ones() -> None:
    grouped = read_network(
        nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=4)), torch.randn(2, 3, 9, 9)
    )
    small = read_network(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 3)), torch.randn(2, 3, 9, 9))
    assert grouped.flops(3) == 4 * small.flops(3)


def test_a_recurrent_layer_counts_its_products() -> None:
    network = read_network(nn.LSTM(4, 5, batch_first=True), torch.randn(2, 3, 4))
    products = 2 * 7 * 3 * (4 * 5 * 4 + 4 * 5 * 5)  # samples, steps, four gates
    assert network.flops(7, backward=False) == products
    assert network.flops(7, backward=True) == 2 * products


def test_work_and_gradients_belong_to_their_layers() -> None:
    network = read_network(convolutional(), torch.randn(2, 3, 16, 16))
    assert network.parameters == sum(p.numel() for p in convolutional().parameters())
    assert network.gradient_bytes == 4 * network.parameters
    assert {gradient.layer for gradient in network.gradients} == {"0", "1", "3", "4", "7"}
    by_layer = network.by_layer(2)
    assert sum(work.flops for work in by_layer.values()) == network.flops(2)
    backward = [one.layer for one in network.operators if one.backward and one.kind is not Kind.MEMORY]
    assert list(dict.fromkeys(backward)) == ["7", "4", "3", "0"]
    assert by_layer["2"].flops == 0.0
    assert (
        by_layer["2"].read == 2 * 2 * 8 * 8 * 8 * 4 + 2 * 8 * 8 * 8 * 4
    )  # forward one, backward two tensors


def test_reading_changes_nothing_in_the_module() -> None:
    module = convolutional()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    read_network(module, torch.randn(2, 3, 16, 16))
    looks = Looks()
    assert read_network(looks, torch.randn(2, 4)).flops(3, backward=False) == 2 * 3 * 4 * 4
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert all(p.grad is None for p in [*module.parameters(), *looks.parameters()])


class Output(NamedTuple):
    logits: Any


@dataclass
class Outputs:
    first: Any
    others: list[Output]


class Odd(nn.Module):
    """Takes a list of tensors, returns a dataclass, and forgets what is between: backward runs it again."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))

    def forward(self, xs: list[Any]) -> Outputs:
        first = checkpoint(self.body, xs[0], use_reentrant=False)
        return Outputs(first, [Output(xs[1] * first)])


def test_checkpoints_lists_and_dataclasses() -> None:
    network = read_network(Odd(), [torch.zeros(3, 4), torch.zeros(3, 4)])
    counter = FlopCounterMode(display=False)
    with counter:
        made = Odd()([torch.rand(5, 4), torch.rand(5, 4)])
        (made.first.sum() + made.others[0].logits.sum()).backward()
    assert network.flops(5) == counter.get_total_flops()
    assert network.flops(5, backward=True) > 2 * 5 * 3 * 4 * 8  # two products and one again
    assert {operator.layer for operator in network.operators} == {"", "body.0", "body.1", "body.2"}


def test_lazy_layers_and_compiled_modules() -> None:
    plain = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    lazy = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))
    want = read_network(*built(lambda: plain, (4,)))
    assert read_network(*built(lambda: lazy, (4,))) == want
    compiled = nn.Identity()
    compiled._orig_mod = plain  # where torch.compile, which takes seconds to import, keeps it
    assert read_network(*built(lambda: compiled, (4,))) == want
    with pytest.raises(UserError, match="Sequential cannot be run on its example: "):
        built(lambda: nn.Sequential(nn.LazyConv2d(8, 3)), (4,))


def test_sparse_gradients_move_what_they_hold() -> None:
    few, many = (
        read_network(nn.EmbeddingBag(rows, 4, sparse=True), torch.zeros(2, 3, dtype=torch.long))
        for rows in (10, 1000)
    )
    assert few.parameters == 40
    moved = [sum(one.at(2).moved for one in network.operators if one.backward) for network in (few, many)]
    assert moved[0] == moved[1]


def test_frozen_parameters_have_no_gradient() -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    module[0].requires_grad_(False)
    network = read_network(module, torch.randn(2, 4))
    assert network.parameters == 3 * 2 + 2
    assert network.flops(1, backward=True) == 2 * 3 * 2  # of the second layer's weights only


def test_examples_may_be_several_arguments_or_named() -> None:
    module = nn.Bilinear(3, 4, 5)
    a, b = torch.randn(2, 3), torch.randn(2, 4)
    positional = read_network(module, (a, b))
    assert positional == read_network(module, {"input1": a, "input2": b})


def test_what_build_returns() -> None:
    module, example = built(lambda: nn.Linear(4, 2), [4])
    assert isinstance(module, nn.Linear)
    assert example.shape == (2, 4)
    given = torch.ones(1, 4, dtype=torch.long)
    assert built(lambda: (nn.Linear(4, 2), given), None)[1] is given
    with pytest.raises(UserError, match="--input"):
        built(lambda: nn.Linear(4, 2), None)
    with pytest.raises(UserError, match="returned int, no torch module"):
        built(lambda: 3, None)
    with pytest.raises(UserError, match="without a tensor"):
        built(lambda: (nn.Linear(4, 2), "x"), None)


def test_what_cannot_be_read_is_a_sentence() -> None:
    with pytest.raises(UserError, match="a training step of Linear cannot be read"):
        read_network(nn.Linear(4, 2), torch.randn(2, 3))
    frozen = nn.Linear(4, 2).requires_grad_(False)
    with pytest.raises(UserError, match="no gradient"):
        read_network(frozen, torch.randn(2, 4))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "side", "parameters", "products"),
    [
        ("alexnet", 224, 61_100_840, 0.714e9),
        ("vgg16", 224, 138_357_544, 15.47e9),
        ("inception_v3", 299, 23_834_568, 5.71e9),
    ],
)
def test_networks_of_the_paper_have_their_known_sizes(
    name: str, side: int, parameters: int, products: float
) -> None:
    """Parameters and multiplications as they are published with torchvision's weights."""
    from benchmarks import scaling_models

    network = read_network(getattr(scaling_models, name)(), torch.zeros(2, 3, side, side))
    assert network.parameters == parameters
    assert network.flops(1, backward=False) == pytest.approx(2 * products, rel=0.002)
