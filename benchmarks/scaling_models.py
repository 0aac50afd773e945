"""The networks of Paleo's experiments, written plainly: AlexNet, VGG-16, Inception v3; and three small ones.

Parameters, as the papers' authors and torchvision have them: AlexNet 61,100,840 (the one tower of Krizhevsky
2014 without padding in its first layer, as in Paleo's public code: 50.3 million), VGG-16 138,357,544,
Inception v3 without its auxiliary classifier 23,834,568.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


def alexnet(padding: int = 2) -> nn.Module:
    """AlexNet of one tower, for (3, 224, 224).

    Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks". With `padding` 0 it is
    as in Paleo's `nets/alex_v2.json`: the maps before the first linear layer are 5 by 5 instead of 6 by 6.
    """
    side = 6 if padding else 5
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=padding),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256 if padding else 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256 if padding else 384, 256, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Linear(256 * side * side, 4096),
        nn.ReLU(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, 1000),
    )


def vgg16() -> nn.Module:
    """Simonyan and Zisserman 2014, configuration D: (3, 224, 224)."""
    layers: list[nn.Module] = []
    channels = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    top = [
        nn.Linear(512 * 7 * 7, 4096),
        nn.ReLU(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, 1000),
    ]
    return nn.Sequential(*layers, nn.Flatten(), *top)


class Conv(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(
        self, given: int, width: int, kernel: int | tuple[int, int], stride: int = 1, pad: bool = True
    ):
        sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = tuple(side // 2 for side in sides) if pad else 0
        super().__init__(
            nn.Conv2d(given, width, sides, stride, padding, bias=False),  # type: ignore[arg-type]
            nn.BatchNorm2d(width, eps=0.001),
            nn.ReLU(),
        )


class Branches(nn.Module):
    """Several ways side by side, their outputs one after the other in the channels."""

    def __init__(self, *ways: nn.Module) -> None:
        super().__init__()
        self.ways = nn.ModuleList(ways)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([way(x) for way in self.ways], 1)


def _pool(given: int, width: int) -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(3, 1, 1), Conv(given, width, 1))


def _a(given: int, pool: int) -> nn.Module:
    return Branches(
        Conv(given, 64, 1),
        nn.Sequential(Conv(given, 48, 1), Conv(48, 64, 5)),
        nn.Sequential(Conv(given, 64, 1), Conv(64, 96, 3), Conv(96, 96, 3)),
        _pool(given, pool),
    )


def _b(given: int) -> nn.Module:
    return Branches(
        Conv(given, 384, 3, 2, pad=False),
        nn.Sequential(Conv(given, 64, 1), Conv(64, 96, 3), Conv(96, 96, 3, 2, pad=False)),
        nn.MaxPool2d(3, 2),
    )


def _c(inner: int) -> nn.Module:
    row, column = (1, 7), (7, 1)
    return Branches(
        Conv(768, 192, 1),
        nn.Sequential(Conv(768, inner, 1), Conv(inner, inner, row), Conv(inner, 192, column)),
        nn.Sequential(
            Conv(768, inner, 1),
            Conv(inner, inner, column),
            Conv(inner, inner, row),
            Conv(inner, inner, column),
            Conv(inner, 192, row),
        ),
        _pool(768, 192),
    )


def _d() -> nn.Module:
    return Branches(
        nn.Sequential(Conv(768, 192, 1), Conv(192, 320, 3, 2, pad=False)),
        nn.Sequential(
            Conv(768, 192, 1), Conv(192, 192, (1, 7)), Conv(192, 192, (7, 1)), Conv(192, 192, 3, 2, pad=False)
        ),
        nn.MaxPool2d(3, 2),
    )


def _e(given: int) -> nn.Module:
    return Branches(
        Conv(given, 320, 1),
        nn.Sequential(Conv(given, 384, 1), Branches(Conv(384, 384, (1, 3)), Conv(384, 384, (3, 1)))),
        nn.Sequential(
            Conv(given, 448, 1), Conv(448, 384, 3), Branches(Conv(384, 384, (1, 3)), Conv(384, 384, (3, 1)))
        ),
        _pool(given, 192),
    )


def inception_v3() -> nn.Module:
    """Szegedy et al. 2015, "Rethinking the Inception architecture", for (3, 299, 299).

    Without the auxiliary classifier.
    """
    return nn.Sequential(
        Conv(3, 32, 3, 2, pad=False),
        Conv(32, 32, 3, pad=False),
        Conv(32, 64, 3),
        nn.MaxPool2d(3, 2),
        Conv(64, 80, 1),
        Conv(80, 192, 3, pad=False),
        nn.MaxPool2d(3, 2),
        *(_a(192, 32), _a(256, 64), _a(288, 64), _b(288)),
        *(_c(128), _c(160), _c(160), _c(192), _d()),
        *(_e(1280), _e(2048)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2048, 1000),
    )


# -- small ones, for steps that a processor can do --------------------------------------------------------


def small_convolutional() -> tuple[nn.Module, Tensor]:
    """Four convolutions with batch normalisation on images (3, 32, 32): 0.7 million parameters."""
    layers: list[nn.Module] = []
    for given, width in ((3, 32), (32, 64), (64, 128), (128, 256)):
        layers += [Conv(given, width, 3), nn.MaxPool2d(2)]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 10))
    return net, torch.randn(2, 3, 32, 32)


def small_perceptron() -> tuple[nn.Module, Tensor]:
    """Three hidden layers of 1,024 on 256 numbers: 2.4 million parameters, bound by communication."""
    sizes = (256, 1024, 1024, 1024, 10)
    layers: list[nn.Module] = []
    for given, width in pairwise(sizes):
        layers += [nn.Linear(given, width), nn.ReLU()]
    return nn.Sequential(*layers[:-1]), torch.randn(2, 256)


def small_transformer() -> tuple[nn.Module, Tensor]:
    """Two encoder layers of width 128 on 64 tokens of 128 numbers: 0.4 million parameters."""
    layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), torch.randn(2, 64, 128)
