"""What lies around the cells: where each stands in the stack, stems, what comes before a cell, and heads.

The derived network and the supernet share it; they differ only in what stands on a cell's edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from rung.nas.operations import FactorizedReduce, relu_conv_norm

StemName = Literal["cifar", "imagenet"]


class Place(NamedTuple):
    """Where a cell stands.

    Attributes:
        cell: its kind.
        channels: of each of its nodes.
        inputs: channels of what it reads, the elder first.
        reduction: whether it halves height and width.
        after_reduction: whether the elder input is twice as large as the younger.
        width: channels of its output.
    """

    cell: str
    channels: int
    inputs: tuple[int, ...]
    reduction: bool
    after_reduction: bool
    width: int


def darts_places(
    layout: Sequence[str],
    widths: Mapping[str, int],
    reductions: frozenset[str],
    channels: int,
    stem: StemName,
) -> list[Place]:
    """Places of a stack as in DARTS, each cell reading the two before it.

    Args:
        layout: kinds of the cells, in order.
        widths: by kind, how many nodes make the output.
        reductions: the kinds that halve the size and double the channels.
    """
    first = 3 * channels if stem == "cifar" else channels
    elder, younger, halved = first, first, stem == "imagenet"
    places = []
    for name in layout:
        if name in reductions:
            channels *= 2
        out = widths[name] * channels
        places.append(Place(name, channels, (elder, younger), name in reductions, halved, out))
        elder, younger, halved = younger, out, name in reductions
    return places


def stems(kind: StemName, pictures: int, channels: int) -> nn.ModuleList:
    """One module for CIFAR (its output is both inputs of the first cell), two for ImageNet.

    Args:
        pictures: channels of a picture.
    """
    if kind == "cifar":
        conv = nn.Conv2d(pictures, 3 * channels, 3, padding=1, bias=False)
        return nn.ModuleList([nn.Sequential(conv, nn.BatchNorm2d(3 * channels))])
    half = channels // 2
    first = nn.Sequential(
        nn.Conv2d(pictures, half, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(half),
        nn.ReLU(),
        nn.Conv2d(half, channels, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
    )
    second = nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
    )
    return nn.ModuleList([first, second])


def begin(stem: nn.ModuleList, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The first cell's two inputs."""
    first = stem[0](pictures)
    return first, stem[1](first) if len(stem) > 1 else first


def before(place: Place, affine: bool) -> nn.ModuleList:
    """What brings a cell's two inputs to its channels and to one size."""
    elder, younger = place.inputs
    return nn.ModuleList(
        [
            FactorizedReduce(elder, place.channels, affine)
            if place.after_reduction
            else relu_conv_norm(elder, place.channels, 1, 1, affine),
            relu_conv_norm(younger, place.channels, 1, 1, affine),
        ]
    )


class AuxiliaryHead(nn.Module):
    """A second classifier after two thirds of the cells, while a network is trained (Szegedy et al. 2015).

    For pictures of 32 x 32, where the stride of its pooling is 3, and for ImageNet, where it is 2 and the
    last normalisation is absent, as in the published networks.
    """

    def __init__(self, channels: int, classes: int, stem: StemName) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.ReLU(),
            nn.AvgPool2d(5, stride=3 if stem == "cifar" else 2, padding=0, count_include_pad=False),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
        ]
        if stem == "cifar":
            layers.append(nn.BatchNorm2d(768))
        self.features = nn.Sequential(*layers, nn.ReLU())
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classifier(self.features(x).flatten(1))
        return y


class Residual(nn.Module):
    """The block of stride 2 between the stages of NAS-Bench-201 (Dong and Yang 2020, section 2.1)."""

    def __init__(self, c_in: int, c_out: int, affine: bool) -> None:
        super().__init__()
        self.first = relu_conv_norm(c_in, c_out, 3, 2, affine)
        self.second = relu_conv_norm(c_out, c_out, 3, 1, affine)
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, stride=2, ceil_mode=True), nn.Conv2d(c_in, c_out, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.second(self.first(x))
        return y


def pooled(x: Tensor) -> Tensor:
    """Mean over height and width: (n, c, h, w) to (n, c)."""
    return torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1)
