"""A multilayer perceptron in the style of RealMLP (Holzmueller, Grinsztajn, Steinwart 2024), by PyTorch.

From the paper (arXiv 2407.04491, section 3): a learned scale of each column in front, periodic embeddings of
numbers, neural tangent parametrisation, SELU or Mish, dropout and weight decay that fall with time, Adam with
beta2 = 0.95, a learning rate that falls in four cycles. What is trained is kept as NumPy arrays and predicts
with NumPy, so that a model needs no PyTorch to be used.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Float, Integer
from rung.tabular.learners.base import WITH_QUANTILES, Cost, Learner, Setting, Trained
from rung.tabular.learners.rounds import SMALL, Portion, course
from rung.tabular.preparation import Needs

Array = NDArray[np.float32]

_EPOCHS = 200
_ROWS_SEEN = 1_500_000  # in all epochs together, at most
_BATCH = 256
_FREQUENCIES, _EMBEDDED = 16, 4  # of each embedded number
_MOST_EMBEDDED = 100  # numbers; the others go in as they are
_PART = 0.5  # of the time that is left is what a fit may take
_FEW = 0.4  # of the way, where there are too few rows to set some aside
_CHECKS = 40  # times at which the rows set aside are looked at
_PROBE = 12  # steps after which the time for all is estimated


@dataclass
class Network:
    """A trained network: arrays only.

    Attributes:
        scale: (d,) of the columns.
        embedded: columns that have periodic embeddings.
        periods, phases: (e, f) of their waves; dense: (e, f, 3) from waves to values.
        layers: weights and biases, as applied: x @ W + b.
        bounds: of values, (low, high); None for classes.
    """

    scale: Array
    embedded: NDArray[np.intp]
    periods: Array
    phases: Array
    dense: Array
    offsets: Array
    weights: list[Array]
    biases: list[Array]
    bounds: tuple[float, float] | None

    def predict(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (n,)."""
        low, high = self.bounds or (-np.inf, np.inf)
        return np.asarray(np.clip(self._forward(X)[:, 0], low, high))

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n, k)."""
        logits = self._forward(X)
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def _forward(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        x: Array = np.asarray(X.astype(np.float32) * self.scale, dtype=np.float32)
        if len(self.embedded):
            some = x[:, self.embedded]
            waves = np.cos(2 * np.pi * (some[:, :, None] * self.periods + self.phases))
            values = np.einsum("nef,efk->nek", waves, self.dense, optimize=True) + self.offsets
            rest = np.setdiff1d(np.arange(x.shape[1]), self.embedded)
            x = np.hstack([x[:, rest], some, values.reshape(len(x), -1)])
        act = _mish if self.bounds is not None else _selu
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = act(x @ weight + bias)
        return np.asarray(x @ self.weights[-1] + self.biases[-1], dtype=np.float64)


def _selu(x: Array) -> Array:
    low = 1.6732632 * np.expm1(np.minimum(x, 0))
    return np.asarray(1.0507010 * np.where(x > 0, x, low), dtype=np.float32)


def _mish(x: Array) -> Array:
    return np.asarray(x * np.tanh(np.logaddexp(np.float32(0), x)), dtype=np.float32)


class _Parts(NamedTuple):
    """The network's parameters while it is trained, PyTorch's tensors."""

    scale: Any
    periods: Any
    phases: Any
    dense: Any
    offsets: Any
    weights: list[Any]
    biases: list[Any]


def _fit(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    """Train for as many epochs as pay and fit; how far to go is learned in the first fold."""
    share = setting.known.get("share", _FEW if len(y) < SMALL else 0.0)
    plan = course(X, y, setting._replace(known={"rounds": 1.0} if share else {}), 1.0, 1)
    with _one_thread():
        training = _Training(config, plan.train, setting)
        share = training.run(plan.valid, share or 1.0)
        return Trained(training.network(), {"share": share}, training.cut)


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Training:
    """One network on its way."""

    def __init__(self, config: Mapping[str, Any], rows: Portion, setting: Setting) -> None:
        import torch

        self.config, self.setting, self.classes = config, setting, setting.classes
        self.X = torch.from_numpy(rows.X.astype(np.float32))
        self.y = torch.from_numpy(rows.y.astype(np.int64 if self.classes else np.float32))
        self.weight = None if rows.weight is None else torch.from_numpy(rows.weight.astype(np.float32))
        self.bounds = None if self.classes else (float(rows.y.min()), float(rows.y.max()))
        self.generator = torch.Generator().manual_seed(setting.seed)
        varied = [j for j in range(rows.X.shape[1]) if len(np.unique(rows.X[:500, j])) > 2]
        self.embedded = np.array(varied[:_MOST_EMBEDDED] if config["sigma"] > 0 else [], dtype=np.intp)
        self.rest = np.setdiff1d(np.arange(rows.X.shape[1]), self.embedded)
        self.parts = self._made(rows.X.shape[1])
        self.cut = False
        peak = config["rate"] * (1.0 if self.classes else 4.0)
        groups = [
            {"params": [self.parts.scale], "times": 6.0, "decay": 0.0},
            {"params": self.parts.biases, "times": 0.1, "decay": 0.0},
            {"params": [*self.parts.weights], "times": 1.0, "decay": config["decay"]},
            {"params": list(self.parts[1:5]), "times": 0.1, "decay": 0.0},
        ]
        self.peak = peak
        self.optimizer = torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.95), fused=True)

    def _made(self, columns: int) -> _Parts:
        import torch

        def normal(*shape: int) -> Any:
            return torch.randn(*shape, generator=self.generator)

        e, f, k = len(self.embedded), _FREQUENCIES, _EMBEDDED - 1
        widths = [columns + e * k, *[self.config["width"]] * self.config["layers"], max(self.classes, 1)]
        phases = torch.rand(e, f, generator=self.generator)
        made = _Parts(
            torch.ones(columns),
            self.config["sigma"] * normal(e, f),
            phases,
            normal(e, f, k) / math.sqrt(f),
            torch.zeros(e, k),
            [normal(a, b) for a, b in pairwise(widths)],
            [normal(b) * 0.1 for b in widths[1:]],
        )
        made.weights[-1].mul_(0.1)
        for tensor in (*made[:5], *made.weights, *made.biases):
            tensor.requires_grad_()
        return made

    def _forward(self, x: Any, dropout: float) -> Any:
        import torch
        from torch.nn import functional

        parts = self.parts
        x = x * parts.scale
        if len(self.embedded):
            some = x[:, self.embedded]
            waves = torch.cos(2 * math.pi * (some[:, :, None] * parts.periods + parts.phases))
            values = torch.einsum("nef,efk->nek", waves, parts.dense) + parts.offsets
            x = torch.cat([x[:, self.rest], some, values.flatten(1)], dim=1)
        for weight, bias in zip(parts.weights[:-1], parts.biases[:-1], strict=True):
            x = x @ weight / math.sqrt(len(weight)) + bias
            x = functional.selu(x) if self.classes else functional.mish(x)
            if dropout:
                x = x * (torch.rand(x.shape, generator=self.generator) >= dropout) / (1 - dropout)
        return x @ parts.weights[-1] / math.sqrt(len(parts.weights[-1])) + parts.biases[-1]

    def run(self, valid: Portion | None, share: float) -> float:
        """Train up to `share` of the way; with `valid`, go on to the end, go back to where it was best, and
        return which share of the way that was.
        """
        import torch

        count = len(self.y)
        batch = min(_BATCH, max(32, count // 8))
        epochs = int(np.clip(_ROWS_SEEN / count, 12, _EPOCHS))
        total = max(1, epochs * math.ceil(count / batch))
        best, best_share, kept = math.inf, 1.0, None
        began = time.monotonic()
        step, progress, next_check = 0, 0.0, 1 / _CHECKS
        order = torch.empty(0, dtype=torch.int64)
        while step < total and progress < share and not self.setting.deadline.passed:
            if len(order) < batch:
                order = torch.cat([order, torch.randperm(count, generator=self.generator)])
            self._step(order[:batch], progress)
            order = order[batch:]
            step += 1
            if step == _PROBE:
                total = self._affordable(total, (time.monotonic() - began) / step, share)
            progress = step / total
            if valid is not None and (progress >= next_check or step == total):
                next_check += 1 / _CHECKS
                loss = self._loss(valid)
                if loss < best:
                    best, best_share = loss, progress
                    kept = [tensor.detach().clone() for tensor in self._tensors()]
        self.cut = self.setting.deadline.passed
        if kept is not None:
            with torch.no_grad():
                for tensor, value in zip(self._tensors(), kept, strict=True):
                    tensor.copy_(value)
        return best_share if valid is not None else share

    def _affordable(self, total: int, each: float, share: float) -> int:
        """Steps of the whole way, so that the part of it that is walked fits into the time."""
        remaining = self.setting.deadline.remaining
        if not math.isfinite(remaining):
            return total
        return int(np.clip(_PART * remaining / max(each, 1e-6) / share, _PROBE + 1, total))

    def _step(self, rows: Any, progress: float) -> None:
        rate = self.peak * _cycles(progress)
        flat = 1.0 if progress < 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * progress - 1)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["times"]
            group["weight_decay"] = group["decay"] * flat / group["times"]
        loss = self._losses(self._forward(self.X[rows], self.config["dropout"] * flat), self.y[rows])
        loss = loss if self.weight is None else loss * self.weight[rows]
        self.optimizer.zero_grad(set_to_none=True)
        loss.mean().backward()
        self.optimizer.step()

    def _losses(self, out: Any, y: Any) -> Any:
        from torch.nn import functional

        if self.classes:
            return functional.cross_entropy(out, y, reduction="none")
        error = y - out[:, 0]
        q = self.setting.quantile
        return error**2 if q is None else error * (q - (error < 0).to(error.dtype))

    def _loss(self, valid: Portion) -> float:
        import torch

        with torch.no_grad():
            X = torch.from_numpy(valid.X.astype(np.float32))
            y = torch.from_numpy(valid.y.astype(np.int64 if self.classes else np.float32))
            losses = self._losses(self._forward(X, 0.0), y).numpy()
        return float(np.average(losses, weights=valid.weight))

    def _tensors(self) -> list[Any]:
        return [*self.parts[:5], *self.parts.weights, *self.parts.biases]

    def network(self) -> Network:
        """What was trained, as arrays."""
        arrays = [tensor.detach().numpy().astype(np.float32) for tensor in self._tensors()]
        count = len(self.parts.weights)
        weights = [weight / np.float32(math.sqrt(len(weight))) for weight in arrays[5 : 5 + count]]
        scale, periods, phases, dense, offsets = arrays[:5]
        return Network(
            scale, self.embedded, periods, phases, dense, offsets, weights, arrays[5 + count :], self.bounds
        )


def _cycles(progress: float) -> float:
    """coslog4: (1 - cos(2 pi log2(1 + 15 t))) / 2, four falling cycles, each longer than the one before."""
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * progress)))


def _default(width: int, layers: int, dropout: float, sigma: float) -> dict[str, Any]:
    return {
        "width": width,
        "layers": layers,
        "rate": 0.04,
        "dropout": dropout,
        "decay": 0.02,
        "sigma": sigma,
    }


REAL_MLP = Learner(
    name="real_mlp",
    line="Multilayer perceptron in the style of RealMLP (PyTorch).",
    tasks=WITH_QUANTILES,
    space={
        "width": Integer(64, 384, log=True),
        "layers": Integer(2, 4),
        "rate": Float(0.01, 0.2, log=True),
        "dropout": Float(0.0, 0.5),
        "decay": Float(1e-3, 0.1, log=True),
        "sigma": Float(0.02, 2.0, log=True),
    },
    defaults=(_default(192, 3, 0.15, 0.1), _default(128, 2, 0.3, 0.5)),
    needs=Needs(scaled=True),
    fit=_fit,
    merit=4.0,
    cost=Cost(4.0, rows=8.0, cells=6.0, most=6_000),
    anytime=True,
    encodings=("onehot", "target"),
    scales=("smooth", "quantile"),
    requires=("torch",),
)
