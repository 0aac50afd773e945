"""The steps that are measured, of each contender: the reference, the plain form, and the fused one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.supernet import reference
from rung.nas.genotype import CellGenotype, Genotype
from rung.nas.images import ImageBatch
from rung.nas.moment import Moment
from rung.nas.network import network
from rung.nas.space import SPACES
from rung.nas.strategies.base import Turn, small_alphas
from rung.nas.strategies.bilevel import first_order
from rung.nas.strategies.darts import FirstOrder
from rung.nas.strategies.second_order import second_order
from rung.nas.supernet import Supernet
from rung.nas.task import Mixed
from rung.nas.training import weight_step

Step = Callable[[], object]
WHAT: Final = (
    "weight step",
    "first-order step",
    "second-order step",
    "second-order step, exact",
    "retraining step",
)
RATE: Final = 0.025
_EDGES = (("sep_conv_3x3", 0), ("sep_conv_3x3", 1)), (("sep_conv_3x3", 0), ("sep_conv_3x3", 1))
_NORMAL = CellGenotype(
    (*_EDGES, (("sep_conv_3x3", 1), ("skip_connect", 0)), (("skip_connect", 0), ("dil_conv_3x3", 2))),
    (2, 3, 4, 5),
)
_POOLED = (("max_pool_3x3", 0), ("max_pool_3x3", 1)), (("skip_connect", 2), ("max_pool_3x3", 1))
_REDUCE = CellGenotype(
    (*_POOLED, (("max_pool_3x3", 0), ("skip_connect", 2)), (("skip_connect", 2), ("max_pool_3x3", 1))),
    (2, 3, 4, 5),
)
DARTS_V2: Final = Genotype((("normal", _NORMAL), ("reduce", _REDUCE)))


class Size(NamedTuple):
    """Of a supernet or a network, and of its batches."""

    channels: int
    layers: int
    batch: int

    def __str__(self) -> str:
        return f"C{self.channels} L{self.layers} B{self.batch}"


class _Loss:
    """As much of a task as a step needs."""

    def loss(self, call: Any, mixed: Mixed, batch: ImageBatch, *, training: bool = False) -> Tensor:
        return nn.functional.cross_entropy(call(batch.x, mixed.mixtures, mixed.active), batch.y)


def _batch(size: Size, seed: int) -> ImageBatch:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size.batch, 3, 32, 32, generator=generator)
    return ImageBatch(x, torch.randint(10, (size.batch,), generator=generator))


def _sgd(net: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9, weight_decay=3e-4)


def made(contender: str, what: str, size: Size) -> Step | None:
    """One step, to be called again and again; None where this contender has no such step."""
    torch.manual_seed(0)
    if contender == "reference":
        return _reference(what, size)
    if what == "retraining step":
        return _retraining(contender, size)
    return _own(contender, what, size)


def _reference(what: str, size: Size) -> Step | None:
    """As cnn/train_search.py and cnn/train.py have it."""
    if what == "second-order step, exact":
        return None
    (x, y, _), (xa, ya, _) = _batch(size, 0), _batch(size, 1)
    if what == "retraining step":
        derived = reference.derived(size.channels, size.layers)
        return _plain_step(derived, lambda: nn.functional.cross_entropy(derived(x)[0], y))
    net = reference.searched(size.channels, size.layers)
    optimizer, architect = _sgd(net), reference.architect(net)
    if what == "weight step":
        return _plain_step(net, lambda: nn.functional.cross_entropy(net(x), y))
    unrolled = what == "second-order step"
    return lambda: architect.step(x, y, xa, ya, RATE, optimizer, unrolled=unrolled)


def _plain_step(net: nn.Module, loss: Callable[[], Tensor]) -> Step:
    optimizer = _sgd(net)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()

    return step


def _own(contender: str, what: str, size: Size) -> Step:
    space, strategy = SPACES["darts"], FirstOrder()
    net = Supernet(space, size.channels, size.layers, 10, form="fused" if contender == "fused" else "plain")
    if contender == "fused":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    alphas, optimizer, task = small_alphas(space, 0), _sgd(net), _Loss()
    adam = torch.optim.Adam(list(alphas.values()), lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
    batches, moment = (_batch(size, 0), _batch(size, 1)), Moment(0, 0, 1)
    turn = Turn(task, space, net, alphas, *batches, optimizer, RATE, moment)  # type: ignore[arg-type]

    def weights() -> None:
        with torch.no_grad():
            mixed = strategy.mixed(space, alphas, net.alive, moment)
        weight_step(task, net, mixed, batches[0], optimizer, 5.0)  # type: ignore[arg-type]

    def architecture() -> None:
        if what == "first-order step":
            first_order(strategy, turn)
        else:
            second_order(strategy, turn, "exact" if what.endswith("exact") else "difference")
        adam.step()

    return weights if what == "weight step" else architecture


def _retraining(contender: str, size: Size) -> Step:
    net = network(DARTS_V2, size.channels, size.layers, 10)
    x, y, _ = _batch(size, 0)
    net.set_drop_path(0.2)  # type: ignore[operator]
    if contender == "fused":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = x.contiguous(memory_format=torch.channels_last)
    return _plain_step(net, lambda: nn.functional.cross_entropy(net(x), y))
