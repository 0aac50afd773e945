"""Convolutional nets of one shape trained at once: grouped convolutions, a group for each net.

A net is convolutions of 3 x 3, each with ReLU and, as long as the picture is wider than 2, pooling; then one
linear layer. All nets of a stack see the same batches and begin from the same standard normal numbers, scaled
by each net's own deviations, so that a net's curve doesn't depend on its company. Nesterov-free SGD with
momentum 0.9; weight decay as a gradient. Nets whose loss is no number any more are frozen and have nan.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.tables.recipes import Curves
from benchmarks.data.tables.recipes._pictures import Pictures

if TYPE_CHECKING:
    from torch import Tensor

MOMENTUM: Final = 0.9
_WORTHLESS: Final = 1e4  # a training loss above this has diverged


class Stack(NamedTuple):
    """Nets of one shape, k of them.

    Attributes:
        filters: of each convolution.
        batch: pictures a step.
        rates: (k, epochs) learning rates.
        decay: (layers, k) weight decay of each convolution, then of the linear layer.
        deviations: (layers, k) of the first weights; None for He et al. (2015).
        normal: (2, k) scale and power of local response normalisation after pooling; None for none.
    """

    filters: tuple[int, ...]
    batch: int
    rates: NDArray[np.float64]
    decay: NDArray[np.float64]
    deviations: NDArray[np.float64] | None = None
    normal: NDArray[np.float64] | None = None


def train(stack: Stack, data: Pictures, seed: int) -> Curves:
    """The curves of all nets, errors on the validation and on the test part after each epoch."""
    import torch

    torch.set_num_threads(1)
    k, epochs = stack.rates.shape
    generator = torch.Generator().manual_seed(seed)
    parameters = first_weights(stack, data.x[0].shape[1], generator)
    velocities = [torch.zeros_like(one) for one in parameters]
    forward = _network(stack)
    x, y = torch.from_numpy(data.x[0]), torch.from_numpy(data.y[0])
    alive = torch.ones(k)
    errors = np.full((2, k, epochs), np.nan)
    seconds = np.full((k, epochs), np.nan)
    for epoch in range(epochs):
        began = time.perf_counter()
        rates = torch.tensor(stack.rates[:, epoch], dtype=torch.float32)
        for rows in torch.randperm(len(x), generator=generator).split(stack.batch):
            losses = _losses(forward(x[rows], parameters), y[rows])
            alive = alive * (losses.detach() < _WORTHLESS)  # false for nan too
            gradients = torch.autograd.grad(torch.nan_to_num(losses).sum(), parameters)
            _step(parameters, gradients, velocities, rates * alive, stack.decay)
        seconds[:, epoch] = (time.perf_counter() - began) / k
        with torch.no_grad():
            for part in (0, 1):
                outputs = forward(torch.from_numpy(data.x[part + 1]), parameters).numpy()
                wrong = (outputs.argmax(axis=2) != data.y[part + 1]).mean(axis=1)
                errors[part, :, epoch] = np.where(alive.numpy() > 0, wrong, np.nan)
    return Curves(errors[0], errors[1], seconds)


def first_weights(stack: Stack, channels: int, generator: object) -> list[Tensor]:
    """Weights and biases of each layer, (k, out, in, 3, 3) or (k, in, 10), then (k, out)."""
    import torch

    k, found = len(stack.rates), []
    width, inputs = 8, channels
    for layer, filters in enumerate((*stack.filters, 10)):
        last = layer == len(stack.filters)
        shape = (inputs * width * width, 10) if last else (filters, inputs, 3, 3)
        fan = shape[0] if last else inputs * 9
        normal = torch.randn(shape, generator=generator)  # type: ignore[call-overload]
        own = np.full(k, math.sqrt(2.0 / fan)) if stack.deviations is None else stack.deviations[layer]
        scale = torch.tensor(own, dtype=torch.float32).view(-1, *[1] * len(shape))
        found += [normal * scale, torch.zeros(k, filters)]
        inputs, width = filters, width // 2 if width > 2 else width
    return [one.requires_grad_() for one in found]


def _network(stack: Stack) -> Callable[[Tensor, Sequence[Tensor]], Tensor]:
    """A function of pictures (n, c, 8, 8), which all nets see, and the parameters: (k, n, 10)."""
    import torch
    from torch.nn import functional

    k = len(stack.rates)
    shape = (1, k, 1, 1, 1)
    scale, power = (
        (None, None)
        if stack.normal is None
        else (torch.tensor(one, dtype=torch.float32).view(shape) for one in stack.normal)
    )

    def forward(x: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        hidden = x
        for layer in range(len(stack.filters)):
            weight, bias = parameters[2 * layer : 2 * layer + 2]
            groups = k if layer else 1  # the first layer's input is everybody's
            hidden = functional.conv2d(hidden, weight.flatten(0, 1), bias.flatten(), padding=1, groups=groups)
            hidden = torch.relu(hidden)
            if hidden.shape[-1] > 2:
                hidden = functional.max_pool2d(hidden, 2)
                if scale is not None:
                    hidden = _normalised(hidden.unflatten(1, (k, -1)), scale, power).flatten(1, 2)
        rows = hidden.unflatten(1, (k, -1)).flatten(2).transpose(0, 1)  # (k, n, inputs)
        return torch.baddbmm(parameters[-1].unsqueeze(1), rows, parameters[-2])

    return forward


def _normalised(hidden: Tensor, scale: Tensor, power: Tensor) -> Tensor:
    """Local response normalisation (Krizhevsky et al. 2012, 3.3) over three channels; (n, k, c, h, w)."""
    squares = hidden * hidden
    around = squares.clone()
    around[:, :, 1:] += squares[:, :, :-1]
    around[:, :, :-1] += squares[:, :, 1:]
    return hidden * (1.0 + scale / 3.0 * around) ** -power


def _losses(outputs: Tensor, y: Tensor) -> Tensor:
    """Each net's mean cross-entropy, (k,)."""
    from torch.nn import functional

    k = len(outputs)
    return functional.cross_entropy(outputs.flatten(0, 1), y.repeat(k), reduction="none").view(k, -1).mean(1)


def _step(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    velocities: Sequence[Tensor],
    rates: Tensor,
    decay: NDArray[np.float64],
) -> None:
    """Momentum; weights decay, biases don't. A net of rate 0 stays as it is."""
    import torch

    with torch.no_grad():
        for number, (one, gradient, velocity) in enumerate(
            zip(parameters, gradients, velocities, strict=True)
        ):
            shape = (-1, *[1] * (one.ndim - 1))
            moved = torch.nan_to_num(gradient)
            if number % 2 == 0:
                moved = moved + one * torch.tensor(decay[number // 2], dtype=torch.float32).view(shape)
            velocity.mul_(MOMENTUM).add_(moved)
            one.sub_(torch.nan_to_num(velocity * rates.view(shape)))
