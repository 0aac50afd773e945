"""A multilayer perceptron in the style of RealMLP (Holzmueller, Grinsztajn, Steinwart 2024), by PyTorch.

From the paper (arXiv 2407.04491, section 3): a learned scale of each column in front, periodic embeddings of
numbers, neural tangent parametrisation, SELU or Mish, dropout and weight decay that fall with time, Adam with
beta2 = 0.95, a learning rate that falls in four cycles, and labels of many classes smoothed.

With plain labels a network of many classes grows surer the longer it learns, and its few errors cost much;
with smoothed ones it is too unsure. By how much is learned on rows of the training part, which also tell how
far to go, and mended in the last layer. With two classes nothing was gained, and nothing is smoothed.

What is trained is kept as NumPy arrays and predicts with NumPy, so that a model needs no PyTorch to be used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Float, Integer
from rung.tabular.deadline import Deadline
from rung.tabular.learners.base import FRAMES, WITH_QUANTILES, Cost, Fold, Learner, Setting, Trained
from rung.tabular.learners.rounds import SMALL, course
from rung.tabular.preparation import Needs

Array = NDArray[np.float32]

_FEW = 0.4  # of the way, where there are too few rows to set some aside
_OTHERS = 0.3  # of the first network's time is what each further one should take


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


def _fit(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    return _fit_many(config, [Fold(X, y, setting)])[0]


def _fit_many(config: Mapping[str, Any], folds: Sequence[Fold]) -> list[Trained]:
    """How far to go is learned in the first fold; then the others are trained side by side."""
    setting = folds[0].setting
    known, found = dict(setting.known), list[Trained]()
    if len(folds[0].y) < SMALL:
        known = {"share": _FEW, **known}
    with _one_thread():
        if "share" not in known:
            part = setting.deadline.remaining / (1 + _OTHERS * (len(folds) - 1))
            found = _trained(config, folds[:1], {}, Deadline.after(part))
            known = dict(found[0].known)
        rest = folds[len(found) :]
        alike = len({fold.setting.classes for fold in rest}) == 1
        groups = [rest] if alike else [[fold] for fold in rest]
        for i, group in enumerate(groups):
            found += _trained(config, group, known, setting.deadline.share(len(groups) - i))
    return found


def _trained(
    config: Mapping[str, Any], folds: Sequence[Fold], known: Mapping[str, float], deadline: Deadline
) -> list[Trained]:
    """Networks that go as far as is known; the only one looks at rows set aside where nothing is."""
    from rung.tabular.learners.real_mlp_training import Training

    plans = [
        course(X, y, setting._replace(known={"rounds": 1.0} if known else {}), 1.0, 1)
        for X, y, setting in folds
    ]
    training = Training(config, [plan.train for plan in plans], folds[0].setting, deadline)
    training.sharpness = known.get("sharpness", 1.0)
    share = training.run(plans[0].valid, known.get("share", 1.0))
    learned = {"share": share, "sharpness": training.sharpness}
    return [Trained(Network(*training.arrays(i)), learned, training.cut) for i in range(len(folds))]


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before, flushed = torch.get_num_threads(), float(torch.tensor(1e-39) * 0.5) == 0.0
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # moments of weights that rest: each step would take several times as long
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_num_threads(before)


def _default(width: int, layers: int, dropout: float, sigma: float, smoothing: float) -> dict[str, Any]:
    return {
        "width": width,
        "layers": layers,
        "rate": 0.04,
        "dropout": dropout,
        "decay": 0.02,
        "sigma": sigma,
        "smoothing": smoothing,
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
        "smoothing": Float(0.0, 0.2),  # counts with more than two classes
    },
    defaults=(_default(192, 3, 0.15, 0.1, 0.1), _default(128, 2, 0.3, 0.5, 0.0)),
    needs=Needs(scaled=True),
    fit=_fit,
    fit_many=_fit_many,
    merit=10.0,
    cost=Cost(2.0, rows=25.0, cells=15.0, most=7_500),
    anytime=True,
    encodings=("onehot", "target"),
    scales=("smooth", "quantile"),
    requires=("torch",),
    without=FRAMES,
)
