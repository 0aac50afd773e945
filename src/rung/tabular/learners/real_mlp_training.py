"""How networks of `rung.tabular.learners.real_mlp` are trained: several of one shape at once, by PyTorch.

On a small table a step of one network is mostly the library's overhead, so that eight at once take hardly
longer. Their tensors have one more dimension in front; nothing passes from one network to another.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.optim.adamw import adamw

from rung.tabular.deadline import Deadline
from rung.tabular.learners.base import Setting
from rung.tabular.learners.rounds import Portion

_EPOCHS = 200
_ROWS_SEEN = 1_500_000  # in all epochs together, at most
_BATCH, _LEAST_BATCH = 256, 32
_A_ROUND = 8  # steps of a small table's epoch
_FREQUENCIES, _EMBEDDED = 16, 4  # of each embedded number
_MOST_EMBEDDED = 100  # numbers; the others go in as they are
_LOOKED_AT = 500  # rows, for which columns are embedded
_PART = 0.75  # of the time that is left is what a training may take
_CHECKS = 40  # times at which the rows set aside are looked at
_SHARPER = np.geomspace(1.0, 4.0, 13)  # what logits learned from smoothed labels may be multiplied by,
_USUALLY, _GIVE_OR_TAKE = 1.75, 0.25  # what they usually ask for, and the spread of its logarithm


class _Parts(NamedTuple):
    """The parameters of k networks, each (k, ...)."""

    scale: torch.Tensor
    periods: torch.Tensor
    phases: torch.Tensor
    dense: torch.Tensor
    offsets: torch.Tensor
    weights: list[torch.Tensor]
    biases: list[torch.Tensor]

    def all(self) -> list[torch.Tensor]:
        """The first five, then the layers' weights, then their biases."""
        return [*self[:5], *self.weights, *self.biases]


class _Look(NamedTuple):
    """The loss on rows set aside, and by how much logits are multiplied for it."""

    loss: float
    sharpness: float


class Training:
    """k networks on their way.

    Args:
        rows: of each network; they may differ in number, and columns that one lacks are 0.
        setting: the classes, the seed, and the quantile, the same for all.
        deadline: by when they are done.

    Attributes:
        cut: whether the deadline ended it early.
        sharpness: by how much logits are multiplied in `arrays`; `run` learns it from `valid`.
    """

    def __init__(
        self, config: Mapping[str, Any], rows: Sequence[Portion], setting: Setting, deadline: Deadline
    ) -> None:
        self.config, self.setting, self.classes, self.deadline = config, setting, setting.classes, deadline
        self.counts = [len(portion.y) for portion in rows]
        self.columns = [portion.X.shape[1] for portion in rows]
        columns = max(self.columns)
        kind = np.int64 if self.classes else np.float32
        self.X = torch.from_numpy(np.stack([_filled(p.X, (max(self.counts), columns)) for p in rows]))
        self.y = torch.from_numpy(np.stack([_filled(p.y, (max(self.counts),), kind) for p in rows]))
        self.weight = _weights(rows, max(self.counts))
        self.bounds = [None if self.classes else (float(p.y.min()), float(p.y.max())) for p in rows]
        self.generator = torch.Generator().manual_seed(setting.seed)
        varied = [j for j in range(columns) if any(_varies(p.X, j) for p in rows)]
        self.embedded = np.array(varied[:_MOST_EMBEDDED] if config["sigma"] > 0 else [], dtype=np.intp)
        self.rest = np.setdiff1d(np.arange(columns), self.embedded)
        self.parts = self._made(len(rows), columns)
        self.cut, self.sharpness = False, 1.0
        self.smoothing = config.get("smoothing", 0.0) if self.classes > 2 else 0.0
        self.peak = config["rate"] * (1.0 if self.classes else 4.0)
        parts = self.parts
        self.adam = [
            _Adam([parts.scale], 6.0, 0.0),
            _Adam(parts.biases, 0.1, 0.0),
            _Adam(parts.weights, 1.0, config["decay"]),
            _Adam(parts[1:5], 0.1, 0.0),
        ]

    def _made(self, count: int, columns: int) -> _Parts:
        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(count, *shape, generator=self.generator)

        e, f, k = len(self.embedded), _FREQUENCIES, _EMBEDDED - 1
        widths = [columns + e * k, *[self.config["width"]] * self.config["layers"], max(self.classes, 1)]
        made = _Parts(
            torch.ones(count, 1, columns),
            self.config["sigma"] * normal(e, f),
            torch.rand(count, e, f, generator=self.generator),
            normal(e, f, k) / math.sqrt(f),
            torch.zeros(count, e, k),
            [normal(a, b) for a, b in pairwise(widths)],
            [normal(1, b) * 0.1 for b in widths[1:]],
        )
        made.weights[-1].mul_(0.1)
        for tensor in made.all():
            tensor.requires_grad_()
        return made

    def _forward(self, x: torch.Tensor, dropout: float) -> torch.Tensor:
        """(k, n, columns) to (k, n, outputs)."""
        parts = self.parts
        x = x * parts.scale
        if len(self.embedded):
            some = x[:, :, self.embedded]
            angles = some[..., None] * parts.periods[:, None] + parts.phases[:, None]
            waves = torch.cos(2 * math.pi * angles)
            values = torch.einsum("knef,kefj->knej", waves, parts.dense) + parts.offsets[:, None]
            x = torch.cat([x[:, :, self.rest], some, values.flatten(2)], dim=2)
        for weight, bias in zip(parts.weights[:-1], parts.biases[:-1], strict=True):
            x = _linear(x, weight, bias)
            x = functional.selu(x) if self.classes else functional.mish(x)
            if dropout:
                x = x * (torch.rand(x.shape, generator=self.generator) >= dropout) / (1 - dropout)
        return _linear(x, parts.weights[-1], parts.biases[-1])

    def run(self, valid: Portion | None, share: float) -> float:
        """Train up to `share` of the way; a single one with `valid` goes on to the end, goes back to where it
        was best, and returns which share of the way that was.

        The way is a number of steps, or where there is no time for so many the time that there is: a network
        whose learning rate has not fallen to the end is of no use.
        """
        count = max(self.counts)
        batch = min(_BATCH, max(_LEAST_BATCH, count // _A_ROUND))
        epochs = int(np.clip(_ROWS_SEEN / count, 12, _EPOCHS))
        total = max(1, epochs * math.ceil(count / batch))
        best, best_share, kept = _Look(math.inf, 1.0), 1.0, None
        began, allowed = time.monotonic(), max(_PART * self.deadline.remaining / share, 1e-6)
        step, progress, next_check = 0, 0.0, 1 / _CHECKS
        orders = [_Shuffled(n, batch, self.generator) for n in self.counts]
        while step < total and progress < share and not self.deadline.passed:
            self._step(torch.stack([order.take() for order in orders]), progress)
            step += 1
            progress = min(1.0, max(step / total, (time.monotonic() - began) / allowed))
            if valid is not None and progress >= min(next_check, 1.0):
                next_check = progress + 1 / _CHECKS
                look = self._look(valid)
                if look.loss < best.loss:
                    best, best_share = look, progress
                    kept = [tensor.detach().clone() for tensor in self.parts.all()]
        self.cut = self.deadline.passed
        if kept is not None:
            self.sharpness = best.sharpness
            with torch.no_grad():
                for tensor, value in zip(self.parts.all(), kept, strict=True):
                    tensor.copy_(value)
        return best_share if valid is not None else share

    def _step(self, rows: torch.Tensor, progress: float) -> None:
        rate = self.peak * _cycles(progress)
        flat = 1.0 if progress < 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * progress - 1)))
        which = torch.arange(len(rows))[:, None]
        out = self._forward(self.X[which, rows], self.config["dropout"] * flat)
        losses = self._losses(out, self.y[which, rows], self.smoothing)
        losses = losses if self.weight is None else losses * self.weight[which, rows]
        torch.autograd.backward(losses.mean(dim=1).sum())
        for one in self.adam:
            one.step(rate, flat)

    def _losses(self, out: torch.Tensor, y: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
        """(k, n)."""
        if self.classes:
            logits = out.transpose(1, 2)
            return functional.cross_entropy(logits, y, reduction="none", label_smoothing=smoothing)
        error = y - out[..., 0]
        q = self.setting.quantile
        return error**2 if q is None else error * (q - (error < 0).to(error.dtype))

    def _look(self, valid: Portion) -> _Look:
        """At the first network; one that learned from smoothed labels is made as sure as it should be."""
        kind = np.int64 if self.classes else np.float32
        factors = _SHARPER if self.smoothing else _SHARPER[:1]
        with torch.no_grad():
            X = torch.from_numpy(_filled(valid.X, (len(valid.y), self.X.shape[2])))
            y, out = torch.from_numpy(valid.y.astype(kind))[None], self._forward(X[None], 0.0)
            losses = [self._losses(out * float(factor), y)[0].numpy() for factor in factors]
        means = [float(np.average(each, weights=valid.weight)) for each in losses]
        if self.smoothing:
            # a hundred rows that are all right ask for certainty
            unlikely = 0.5 * (np.log(factors / _USUALLY) / _GIVE_OR_TAKE) ** 2 / len(valid.y)
            means = list(np.add(means, unlikely))
        return min(map(_Look, map(float, means), map(float, factors)))

    def arrays(self, which: int) -> tuple[Any, ...]:
        """One network that was trained, as the fields of `rung.tabular.learners.real_mlp.Network`."""
        found = [tensor.detach()[which].numpy().astype(np.float32) for tensor in self.parts.all()]
        scale, periods, phases, dense, offsets = found[:5]
        count, columns = len(self.parts.weights), self.columns[which]
        weights = [weight / np.float32(math.sqrt(len(weight))) for weight in found[5 : 5 + count]]
        biases = [bias[0] for bias in found[5 + count :]]
        weights[-1], biases[-1] = (last * np.float32(self.sharpness) for last in (weights[-1], biases[-1]))
        there = self.embedded < columns
        inputs = np.concatenate([self.rest < columns, there, np.repeat(there, offsets.shape[1])])
        weights[0] = weights[0][inputs]
        waves = (periods[there], phases[there], dense[there], offsets[there])
        return scale[0, :columns], self.embedded[there], *waves, weights, biases, self.bounds[which]


class _Adam:
    """AdamW (Loshchilov and Hutter 2019) by the library's function: its class loads a compiler first.

    Args:
        times: of the learning rate is the one of these parameters.
        decay: of the weights, at the full learning rate.
    """

    def __init__(self, parameters: Sequence[torch.Tensor], times: float, decay: float) -> None:
        self.parameters, self.times, self.decay = [p for p in parameters if p.numel()], times, decay
        self.means = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]
        self.steps = [torch.tensor(0.0) for _ in self.parameters]

    def step(self, rate: float, flat: float) -> None:
        """Take the gradients and one step; `flat` of the decay."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if len(gradients) < len(self.parameters):
            raise ValueError("a parameter has no gradient")
        with torch.no_grad():
            adamw(
                self.parameters,
                gradients,
                self.means,
                self.squares,
                [],
                self.steps,
                foreach=False,
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.95,
                lr=rate * self.times,
                weight_decay=self.decay * flat / self.times,
                eps=1e-8,
                maximize=False,
            )
        for parameter in self.parameters:
            parameter.grad = None


class _Shuffled:
    """Rows in an order drawn anew each time that all were taken, `batch` at a time."""

    def __init__(self, rows: int, batch: int, generator: torch.Generator) -> None:
        self._rows, self._batch, self._generator = rows, batch, generator
        self._left = torch.empty(0, dtype=torch.int64)

    def take(self) -> torch.Tensor:
        """(batch,)."""
        while len(self._left) < self._batch:
            self._left = torch.cat([self._left, torch.randperm(self._rows, generator=self._generator)])
        taken, self._left = self._left[: self._batch], self._left[self._batch :]
        return taken


def _linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """A layer in neural tangent parametrisation: x @ W / sqrt(inputs) + b."""
    return torch.baddbmm(bias, x, weight, alpha=1 / math.sqrt(weight.shape[1]))


def _filled(values: NDArray[Any], shape: tuple[int, ...], kind: Any = np.float32) -> NDArray[Any]:
    """With zeros up to this shape."""
    filled = np.zeros(shape, dtype=kind)
    filled[tuple(slice(n) for n in values.shape)] = values
    return filled


def _weights(rows: Sequence[Portion], most: int) -> torch.Tensor | None:
    known = [portion.weight for portion in rows]
    if any(weight is None for weight in known):
        return None
    return torch.from_numpy(np.stack([_filled(np.asarray(weight), (most,)) for weight in known]))


def _varies(X: NDArray[np.float64], column: int) -> bool:
    return column < X.shape[1] and len(np.unique(X[:_LOOKED_AT, column])) > 2


def _cycles(progress: float) -> float:
    """coslog4: (1 - cos(2 pi log2(1 + 15 t))) / 2, four falling cycles, each longer than the one before."""
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * progress)))
