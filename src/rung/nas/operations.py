"""The candidate operations of image cells: one table; a new operation is one entry.

As in DARTS (Liu, Simonyan, Yang 2019, section 3.1): convolutions in the order ReLU, convolution, batch
normalisation; separable ones applied twice; dilated ones once, with dilation 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Separable:
    """Depthwise then pointwise convolution, `times` in a row: what a fused supernet needs to know.

    Attributes:
        kernel: its width.
        dilation: between its taps.
        times: how often; the stride is the first one's.
    """

    kernel: int
    dilation: int = 1
    times: int = 1


@dataclass(frozen=True)
class Operation:
    """One candidate.

    Attributes:
        build: (channels, stride, affine) -> module from (n, channels, h, w) to the same, h and w divided by
            the stride.
        pool: a pooling; in a supernet a normalisation without weights follows it.
        separable: its form, if it is a separable or dilated convolution.
        zero: whether its output is zero; that of "none" alone, which is never ranked in a derivation.
    """

    build: Callable[[int, int, bool], nn.Module]
    pool: bool = False
    separable: Separable | None = None
    zero: bool = False


class Zero(nn.Module):
    """No connection: zeros of the output's shape."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride] * 0.0


class FactorizedReduce(nn.Module):
    """Halves height and width by two 1x1 convolutions of stride 2, the second one pixel further.

    Every second pixel is taken first, and the convolutions have stride 1: the same numbers in less time.
    And oneDNN's gradient of a 1x1 convolution of stride 2, with channels last and fewer channels than a
    vector register holds, writes beyond its buffer (seen with torch 2.13).
    """

    def __init__(self, c_in: int, c_out: int, affine: bool) -> None:
        super().__init__()
        half = c_out // 2
        self.first = nn.Conv2d(c_in, half, 1, bias=False)
        self.second = nn.Conv2d(c_in, c_out - half, 1, bias=False)
        self.norm = nn.BatchNorm2d(c_out, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        return self.of_rectified(torch.relu(x))

    def of_rectified(self, x: Tensor) -> Tensor:
        """Of a map behind its ReLU."""
        if x.shape[2] % 2 or x.shape[3] % 2:  # an odd side: the shifted half would be one pixel short
            x = nn.functional.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        y: Tensor = self.norm(torch.cat([self.first(x[:, :, ::2, ::2]), self.second(x[:, :, 1::2, 1::2])], 1))
        return y


class Noise(nn.Module):
    """Gaussian noise instead of the input: the harmful candidate of RobustDARTS' space S4."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.randn_like(x[:, :, :: self.stride, :: self.stride])


def relu_conv_norm(c_in: int, c_out: int, kernel: int, stride: int, affine: bool) -> nn.Sequential:
    """ReLU, convolution, normalisation; (n, c_in, h, w) to (n, c_out, h / stride, w / stride)."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(c_out, affine=affine),
    )


def _separable(form: Separable) -> Callable[[int, int, bool], nn.Module]:
    def build(channels: int, stride: int, affine: bool) -> nn.Module:
        padding = form.dilation * (form.kernel - 1) // 2
        layers: list[nn.Module] = []
        for turn in range(form.times):
            step = stride if turn == 0 else 1
            layers += [
                nn.ReLU(),
                nn.Conv2d(
                    channels,
                    channels,
                    form.kernel,
                    stride=step,
                    padding=padding,
                    dilation=form.dilation,
                    groups=channels,
                    bias=False,
                ),
                nn.Conv2d(channels, channels, 1, bias=False),
                nn.BatchNorm2d(channels, affine=affine),
            ]
        return nn.Sequential(*layers)

    return build


def _conv(kernel: int) -> Callable[[int, int, bool], nn.Module]:
    return lambda channels, stride, affine: relu_conv_norm(channels, channels, kernel, stride, affine)


def _conv_7x1_1x7(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, 7), stride=(1, stride), padding=(0, 3), bias=False),
        nn.Conv2d(channels, channels, (7, 1), stride=(stride, 1), padding=(3, 0), bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    )


def _skip(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


def _average(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)


def _maximum(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.MaxPool2d(3, stride=stride, padding=1)


def _of(kernel: int, dilation: int = 1, times: int = 1) -> Operation:
    form = Separable(kernel, dilation, times)
    return Operation(_separable(form), separable=form)


OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        "none": Operation(lambda channels, stride, affine: Zero(stride), zero=True),
        "max_pool_3x3": Operation(_maximum, pool=True),
        "avg_pool_3x3": Operation(_average, pool=True),
        "skip_connect": Operation(_skip),
        "sep_conv_3x3": _of(3, times=2),
        "sep_conv_5x5": _of(5, times=2),
        "sep_conv_7x7": _of(7, times=2),
        "dil_conv_3x3": _of(3, dilation=2),
        "dil_conv_5x5": _of(5, dilation=2),
        "conv_7x1_1x7": Operation(_conv_7x1_1x7),
        "nor_conv_1x1": Operation(_conv(1)),
        "nor_conv_3x3": Operation(_conv(3)),
        "noise": Operation(lambda channels, stride, affine: Noise(stride)),
    }
)
