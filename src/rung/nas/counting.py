"""What a network costs: parameters and multiply-adds, counted on a network without memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import torch
from torch import nn

from rung.nas.genotype import Genotype
from rung.nas.network import network
from rung.nas.operations import OPERATIONS, Operation
from rung.nas.skeleton import StemName

CONVENTION: Final = (
    "parameters: all weights, alphas not counted, the auxiliary head only where asked for; multiply-adds: of "
    "convolutions and linear layers, for one picture, in evaluation (no auxiliary head); not of "
    "normalisations, pools, activations and sums"
)


class Count(NamedTuple):
    """What was counted.

    Attributes:
        parameters: weights and biases that are trained.
        multiply_adds: of convolutions and linear layers, for one picture.
        convention: what is counted, and what is not.
    """

    parameters: int
    multiply_adds: int
    convention: str = CONVENTION


def count(  # noqa: PLR0913  # one network, all that describes it
    genotype: Genotype,
    channels: int,
    layers: int,
    classes: int,
    *,
    image_size: int = 32,
    pictures: int = 3,
    stem: StemName = "cifar",
    auxiliary: bool = False,
    table: Mapping[str, Operation] = OPERATIONS,
) -> Count:
    """Parameters and multiply-adds of a genotype's network, exact.

    Args:
        image_size: side of a picture, in pixels.

    Raises:
        SpaceError: the genotype cannot be built.
    """
    with torch.device("meta"):
        net = network(
            genotype,
            channels,
            layers,
            classes,
            pictures=pictures,
            stem=stem,
            auxiliary=auxiliary,
            table=table,
        )
    return Count(parameters(net), multiply_adds(net, (1, pictures, image_size, image_size)))


def parameters(net: nn.Module) -> int:
    """Of all weights."""
    return sum(p.numel() for p in net.parameters())


def multiply_adds(net: nn.Module, shape: tuple[int, ...]) -> int:
    """Of convolutions and linear layers in a forward pass in evaluation, for an input on the meta device."""
    total = 0

    def convolution(module: nn.Module, _: object, y: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        kernel = math.prod(module.kernel_size)
        total += y.numel() * kernel * module.in_channels // module.groups

    def linear(module: nn.Module, _: object, y: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Linear)
        total += y.numel() * module.in_features

    hooks = []
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(convolution))
        elif isinstance(module, nn.Linear):
            hooks.append(module.register_forward_hook(linear))
    training = net.training
    try:
        net.eval()
        with torch.no_grad():
            net(torch.empty(shape, device="meta"))
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return total
