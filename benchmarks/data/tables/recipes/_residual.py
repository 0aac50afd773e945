"""Residual nets on small pictures (He et al. 2016), as many of one batch size at once as is asked for.

A convolution, then stages of blocks of two convolutions of 3 x 3, each with batch normalisation; from one
stage to the next the picture's side is halved and the shortcut takes every other pixel, its new channels zero
(He's option A); then the mean over the picture and one linear layer. A block of two branches mixes them at
random, anew forwards and backwards (Shake-Shake, Gastaldi 2017). Trained by SGD with Nesterov momentum and
weight decay on all weights; the learning rate falls to 0 along half a cosine over the budget (Loshchilov and
Hutter 2017), so that each budget is a training of its own. Pictures are mirrored and shifted at random, and
may lose a square (Cutout, DeVries and Taylor 2017).

The nets of a stack are groups of one grouped convolution. They begin from the same weights and see the same
batches, all drawn from the seed, so that a net's training doesn't depend on its company. The same code trains
the proxy on a processor and the full net on a GPU, where a stack is one net.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.tables.recipes._pictures import Pictures

if TYPE_CHECKING:
    import torch

Config = Mapping[str, Any]
AT_ONCE: Final = 1000  # pictures that are scored together


class Shape(NamedTuple):
    """What a net is like.

    Attributes:
        widths: channels of each stage.
        blocks: of each stage; 3 stages of 3 are the 20 layers of He et al.
        classes: to tell apart.
        shift: pixels that a picture is shifted by at most, zeros coming in.
        branches: of a block, 1 or 2.
        hole: side of the square that is cut out of each picture; 0 for none.
        device: of torch.
        forget: a new batch's share in the running means of batch normalisation.
    """

    widths: tuple[int, ...]
    blocks: int
    classes: int = 10
    shift: int = 1
    branches: int = 1
    hole: int = 0
    device: str = "cpu"
    forget: float = 0.1


class Result(NamedTuple):
    """Error rates of nets, (nets,) each, and the seconds that training took for each."""

    valid: NDArray[np.float64]
    test: NDArray[np.float64]
    seconds: float


def convolutions(shape: Shape, channels: int) -> list[tuple[int, int, int]]:
    """Inputs, outputs and stride of each convolution."""
    found = [(channels, shape.widths[0], 1)]
    width = shape.widths[0]
    for stage, wider in enumerate(shape.widths):
        for block in range(shape.blocks):
            found += [(width, wider, 2 if stage and not block else 1), (wider, wider, 1)] * shape.branches
            width = wider
    return found


class Nets:
    """A stack of nets under training.

    Attributes:
        flat: all weights, (nets, weights): of each convolution its filters, scales and shifts, at last the
            linear layer's.
    """

    def __init__(self, shape: Shape, configs: Sequence[Config], channels: int, rng: torch.Generator) -> None:
        import torch

        self.shape, self.count, self._rng = shape, len(configs), rng
        self._plan = convolutions(shape, channels)
        one = torch.cat([part.flatten() for part in _first(self._plan, shape.classes, rng)])
        self.flat = one.to(shape.device).repeat(self.count, 1).requires_grad_()
        self._velocity = torch.zeros_like(self.flat)
        widths = [self.count * outputs for _, outputs, _ in self._plan]
        self._running = [
            (torch.zeros(width, device=shape.device), torch.ones(width, device=shape.device))
            for width in widths
        ]
        self._rates, self._momenta, self._decays = (
            torch.tensor([[float(config[name])] for config in configs], device=shape.device)
            for name in ("learning_rate", "momentum", "weight_decay")
        )

    def __call__(self, x: torch.Tensor, train: bool) -> torch.Tensor:
        """What the nets say of pictures (n, channels, side, side): (nets, n, classes)."""
        parts = iter(self._parts())
        h = self._convolved(x.repeat(1, self.count, 1, 1), 0, parts, train).relu()
        for first in range(1, len(self._plan), 2 * self.shape.branches):
            branches = []
            for layer in range(first, first + 2 * self.shape.branches, 2):
                inside = self._convolved(h, layer, parts, train).relu()
                branches.append(self._convolved(inside, layer + 1, parts, train))
            inside = branches[0] if len(branches) == 1 else self._shaken(*branches, train)
            h = (inside + self._shortcut(h, first)).relu()
        pooled = h.mean(dim=(2, 3)).view(len(x), self.count, -1).transpose(0, 1)  # (nets, n, width)
        return next(parts).baddbmm(pooled, next(parts))

    def step(self, x: torch.Tensor, y: torch.Tensor, share: float) -> None:
        """One step with this share of the learning rate."""
        import torch

        out = self(x, True).log_softmax(dim=2)
        loss = -out.gather(2, y.expand(self.count, -1)[..., None]).mean(dim=(1, 2)).sum()
        slope = torch.autograd.grad(loss, self.flat)[0]
        with torch.no_grad():
            slope = slope + self._decays * self.flat
            self._velocity = self._momenta * self._velocity + slope
            self.flat -= share * self._rates * (slope + self._momenta * self._velocity)

    def errors(self, x: torch.Tensor, y: torch.Tensor) -> NDArray[np.float64]:
        """Error rates, (nets,); nan of a net that has diverged."""
        import torch

        wrong = torch.zeros(self.count, device=x.device)
        with torch.no_grad():
            for some, classes in zip(x.split(AT_ONCE), y.split(AT_ONCE), strict=True):
                out = self(some, False)
                wrong += (out.argmax(dim=2) != classes).sum(dim=1)
                wrong[~out.isfinite().all(dim=2).all(dim=1)] = torch.nan
        found: NDArray[np.float64] = (wrong / len(x)).double().cpu().numpy()
        return found

    def _parts(self) -> list[torch.Tensor]:
        """The weights in order, as the layers take them."""
        k, shapes = self.count, []
        for inputs, outputs, _ in self._plan:
            shapes += [(k * outputs, inputs, 3, 3), (k * outputs,), (k * outputs,)]
        shapes += [(k, 1, self.shape.classes), (k, self.shape.widths[-1], self.shape.classes)]
        cuts = self.flat.split([math.prod(one) // k for one in shapes], dim=1)
        return [cut.reshape(one) for cut, one in zip(cuts, shapes, strict=True)]

    def _convolved(self, h: torch.Tensor, layer: int, parts: Any, train: bool) -> torch.Tensor:
        from torch.nn import functional

        filters, scales, shifts = next(parts), next(parts), next(parts)
        h = functional.conv2d(h, filters, stride=self._plan[layer][2], padding=1, groups=self.count)
        return functional.batch_norm(h, *self._running[layer], scales, shifts, train, self.shape.forget)

    def _shaken(self, one: torch.Tensor, other: torch.Tensor, train: bool) -> torch.Tensor:
        """Two branches mixed, a share for each picture: one forwards, another backwards; scoring, halves."""
        import torch

        if not train:
            return (one + other) / 2
        forwards, backwards = torch.rand(2, len(one), 1, 1, 1, generator=self._rng).to(one.device)
        felt = torch.lerp(other, one, backwards)
        return felt + (torch.lerp(other, one, forwards) - felt).detach()

    def _shortcut(self, h: torch.Tensor, layer: int) -> torch.Tensor:
        from torch.nn import functional

        inputs, outputs, stride = self._plan[layer]
        if inputs == outputs:
            return h
        n, _, height, width = h[:, :, ::stride, ::stride].shape
        each = h[:, :, ::stride, ::stride].reshape(n, self.count, inputs, height, width)
        each = functional.pad(each, (0, 0, 0, 0, 0, outputs - inputs))
        return each.reshape(n, self.count * outputs, height, width)


def _first(plan: Sequence[tuple[int, int, int]], classes: int, rng: torch.Generator) -> list[torch.Tensor]:
    """One net's first weights (He et al. 2015), its linear layer's bias before the matrix."""
    import torch

    found = []
    for inputs, outputs, _ in plan:
        filters = torch.randn(outputs, inputs, 3, 3, generator=rng) * (2 / (9 * inputs)) ** 0.5
        found += [filters, torch.ones(outputs), torch.zeros(outputs)]
    width = plan[-1][1]
    return [*found, torch.zeros(classes), torch.randn(width, classes, generator=rng) / width**0.5]


def moved(x: torch.Tensor, shift: int, rng: torch.Generator) -> torch.Tensor:
    """Pictures shifted by up to `shift` pixels each way and, one in two, mirrored."""
    import torch
    from torch.nn import functional

    n, _, side, _ = x.shape
    down, right = torch.randint(0, 2 * shift + 1, (2, n), generator=rng).to(x.device)
    mirrored = (torch.rand(n, generator=rng) < 0.5).to(x.device)
    padded = functional.pad(x, (shift, shift, shift, shift))
    windows = padded.unfold(2, side, 1).unfold(
        3, side, 1
    )  # (n, channels, 2 shift + 1, 2 shift + 1, side, side)
    found = windows[torch.arange(n, device=x.device), :, down, right]
    return torch.where(mirrored[:, None, None, None], found.flip(3), found)


def cut(x: torch.Tensor, hole: int, rng: torch.Generator) -> torch.Tensor:
    """Pictures with a square of zeros about a random pixel each; parts of it may lie outside."""
    import torch

    n, _, side, _ = x.shape
    middles = torch.randint(0, side, (2, n, 1), generator=rng)
    rows, columns = (torch.arange(side) >= middles - hole // 2) & (
        torch.arange(side) < middles + (hole + 1) // 2
    )
    return x * ~(rows[:, None, :, None] & columns[:, None, None, :]).to(x.device)


def fit(shape: Shape, data: Pictures, configs: Sequence[Config], epochs: int, seed: int) -> Result:
    """Train nets of one batch size for a budget; a last batch that is smaller is left out."""
    import torch

    clock = time.process_time if shape.device == "cpu" else time.perf_counter  # others may share the cores
    began = clock()
    rng = torch.Generator().manual_seed(seed)
    tensors = [
        (torch.from_numpy(x).to(shape.device), torch.from_numpy(y).to(shape.device))
        for x, y in zip(data.x, data.y, strict=True)
    ]
    (x, y), valid, test = tensors
    nets = Nets(shape, configs, x.shape[1], rng)
    batch = configs[0]["batch_size"]
    steps = len(x) // batch
    for epoch in range(epochs):
        order = torch.randperm(len(x), generator=rng)
        for number, rows in enumerate(order[: steps * batch].split(batch)):
            share = (1 + math.cos(math.pi * (epoch * steps + number) / (epochs * steps))) / 2
            rows = rows.to(shape.device)
            some = moved(x[rows], shape.shift, rng)
            nets.step(cut(some, shape.hole, rng) if shape.hole else some, y[rows], share)
    seen = nets.errors(*valid)
    seconds = (clock() - began) / len(configs)
    return Result(seen, nets.errors(*test), seconds)
