"""BOHB's residual net on CIFAR-10 in full (its section 5.6): trained on a GPU at each evaluation.

A residual net of 20 layers, 64 channels to begin with and two branches a block, with Shake-Shake and Cutout,
on all of CIFAR-10 at 32 x 32, 5,000 pictures of the training part held out to validate, for 22 to 600 epochs.
It is trained by the code of its proxy, the recorded table `resnet`, which is that of
`benchmarks.data.tables.recipes._residual`. The schedule ends with the budget, so that each is paid from 0.
The four parameters are the paper's, their ranges chosen here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import rung
from benchmarks.data.tables.recipes._pictures import Pictures, whole_cifar
from benchmarks.data.tables.recipes._residual import Result, Shape, fit
from benchmarks.entries import Unavailable
from benchmarks.problems import Problem

BUDGETS: Final = (22, 600)  # epochs; Hyperband's rungs with eta 3 are near 66 and 200
SIZES: Final = (45_000, 5_000, 10_000)
FULL: Final = Shape((64, 128, 256), blocks=3, shift=4, branches=2, hole=16, device="cuda")
SPACE: Final = {
    "learning_rate": rung.Float(1e-3, 1.0, log=True),
    "momentum": rung.Float(0.0, 0.99),
    "weight_decay": rung.Float(1e-5, 1e-1, log=True),
    "batch_size": rung.Integer(16, 256, log=True),
}


class Training:
    """Trains nets when they are first asked for, and keeps what came of it as long as the process lives."""

    def __init__(self, shape: Shape, data: Pictures, largest: int) -> None:
        self._shape, self._data, self._largest = shape, data, largest
        self._results: dict[tuple[Any, ...], Result] = {}

    def value(self, config: Mapping[str, Any], epochs: int, seed: int) -> float:
        """The error rate on the pictures held out, `inf` of a net that diverged."""
        error = float(self._of(config, epochs, seed).valid[0])
        return error if math.isfinite(error) else math.inf

    def truth(self, config: Mapping[str, Any]) -> float:
        """The error rate on the test part after the largest budget, of seed 0."""
        error = float(self._of(config, self._largest, 0).test[0])
        return error if math.isfinite(error) else math.inf

    def cost(self, config: Mapping[str, Any], start: int, until: int) -> float:
        """The seconds that a budget takes, of seed 0; nothing goes on from a smaller one."""
        return self._of(config, until, 0).seconds

    def _of(self, config: Mapping[str, Any], epochs: int, seed: int) -> Result:
        key = (*(config[name] for name in SPACE), epochs, seed)
        if key not in self._results:
            self._results[key] = fit(self._shape, self._data, [config], epochs, seed)
        return self._results[key]


def make(
    shape: Shape, load: Callable[[], Pictures], budgets: tuple[int, int], evaluations: int = 20
) -> Problem:
    """The problem of training such nets.

    Raises:
        Unavailable: there is no torch, or no GPU where the shape wants one, or no data.
    """
    try:
        import torch
    except ImportError:
        raise Unavailable("needs torch: pip install torch") from None
    if shape.device == "cuda" and not torch.cuda.is_available():
        raise Unavailable("needs a GPU that torch can use (torch.cuda.is_available() is False)")
    training = Training(shape, load(), budgets[1])
    return Problem(
        SPACE,
        training.value,
        0.0,
        ("epoch", *budgets),
        evaluations,
        training.truth,
        training.cost,
        continues=False,
    )


ENTRIES: Final[dict[str, Callable[[], Problem]]] = {
    "resnet cifar10 full": partial(make, FULL, partial(whole_cifar, SIZES), BUDGETS)
}
