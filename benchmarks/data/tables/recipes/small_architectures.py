"""Convolutional nets whose architecture varies, too: ASHA's second benchmark (Li et al. 2020, appendix A.3).

Batch size, number of layers and of filters, the deviations of the first weights, learning rate, its decay and
weight decay; on scikit-learn's 8 x 8 digits in place of CIFAR-10 and SVHN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.data.tables.recipes import Axis, Curves, Recipe
from benchmarks.data.tables.recipes._convolutions import Stack
from benchmarks.data.tables.recipes._convolutions import train as train_stack
from benchmarks.data.tables.recipes._pictures import digits
from benchmarks.data.tables.recipes._together import trained

EPOCHS: Final = 27
SIZES: Final = (700, 500, 500)
_SHAPE: Final = ("batch_size", "layers", "filters")


def train(configs: Sequence[Mapping[str, Any]], seed: int) -> Curves:
    """Those of one shape together."""
    data = digits(SIZES)
    return trained(configs, _SHAPE, EPOCHS, lambda some: train_stack(_stack(some), data, seed))


def _stack(configs: Sequence[Mapping[str, Any]]) -> Stack:
    columns = {name: np.array([float(config[name]) for config in configs]) for name in configs[0]}
    layers = int(configs[0]["layers"])
    end = columns["decay"][:, None] ** (np.arange(EPOCHS) / (EPOCHS - 1))  # of the learning rate, at the end
    convolutions = [columns["deviation"]] * layers
    return Stack(
        (int(configs[0]["filters"]),) * layers,
        int(configs[0]["batch_size"]),
        columns["learning_rate"][:, None] * end,
        np.stack([columns["weight_decay"]] * (layers + 1)),
        np.stack([*convolutions, columns["last_deviation"]]),
    )


ENTRIES: Final = {
    "small-cnn": Recipe(
        {
            "batch_size": Axis((32, 128), "whole"),
            "layers": Axis((1, 2, 3), "whole"),
            "filters": Axis((6, 12), "whole"),
            "deviation": Axis((3e-3, 1e-1), "log"),
            "last_deviation": Axis((1e-3, 3e-1), "log"),
            "weight_decay": Axis((1e-5, 1e-1), "log"),
            "decay": Axis((1e-3, 1.0), "log"),
            "learning_rate": Axis((1e-3, 1e-2, 1e-1, 1.0), "log"),
        },
        "epoch",
        tuple(range(1, EPOCHS + 1)),
        train,
        64,
        f"convolutional nets of varying architecture on scikit-learn's digits: {SIZES[0]:,} pictures for "
        f"training, {SIZES[1]:,} for validation, {SIZES[2]:,} for testing; error rate",
    ),
}
