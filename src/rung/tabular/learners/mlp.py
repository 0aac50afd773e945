"""A multilayer perceptron, trained in epochs with a falling learning rate so that a deadline is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.space.domains import Float, Integer
from rung.tabular.learners.base import ALL_TASKS, FRAMES, Cost, Learner, Setting, Trained
from rung.tabular.preparation import Needs

_STEPS = 300_000  # rows seen in all, at most


def _fit(
    config: Mapping[str, Any], X: NDArray[np.float64], y: NDArray[np.float64], setting: Setting
) -> Trained:
    """One `partial_fit` an epoch. Fewer epochs are planned, after the first, where the time is short."""
    X32 = X.astype(np.float32)
    network = _network(config, len(y), setting)
    epochs = int(np.clip(_STEPS / len(y), 10, 60))
    extra: dict[str, Any] = {}
    if setting.classes:
        extra["classes"] = np.arange(setting.classes, dtype=np.float64)
    began = time.monotonic()
    done = 0
    cut = False
    while done < epochs:
        if done:
            network._optimizer.learning_rate_init = _rate(config["rate"], done / epochs)
        network.partial_fit(X32, y, **extra)
        done += 1
        each = (time.monotonic() - began) / done
        fit_in = (
            done + int(setting.deadline.remaining / (1.2 * each))
            if math.isfinite(setting.deadline.end)
            else epochs
        )
        if fit_in < epochs:
            epochs, cut = max(fit_in, done), True
    del network._optimizer  # twice the weights, of no use any more
    return Trained(network, cut=cut)


def _rate(peak: float, progress: float) -> float:
    """Cosine from the peak to a hundredth of it."""
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def _network(config: Mapping[str, Any], rows: int, setting: Setting) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPClassifier if setting.classes else MLPRegressor
    return kind(
        hidden_layer_sizes=(config["width"],) * config["layers"],
        alpha=config["alpha"],
        learning_rate_init=config["rate"],
        batch_size=int(min(np.clip(rows // 20, 32, 256), rows)),
        random_state=setting.seed,
    )


MLP = Learner(
    name="mlp",
    line="Multilayer perceptron.",
    tasks=ALL_TASKS,
    space={
        "width": Integer(16, 256, log=True),
        "layers": Integer(1, 3),
        "alpha": Float(1e-6, 1.0, log=True),
        "rate": Float(3e-4, 1e-2, log=True),
    },
    defaults=(
        {"width": 128, "layers": 2, "alpha": 1e-3, "rate": 2e-3},
        {"width": 64, "layers": 1, "alpha": 0.1, "rate": 4e-3},
    ),
    needs=Needs(scaled=True),
    fit=_fit,
    merit=2.0,
    cost=Cost(0.2, rows=6.0, most=3_000),
    most_rows=100_000,  # an epoch of more would take as long as all epochs should
    anytime=True,
    weights=False,  # scikit-learn before 1.7 has none here
    encodings=("onehot", "target"),
    scales=("quantile", "standard"),
    without=FRAMES,
)
