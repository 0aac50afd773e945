"""A small convolutional net on CIFAR-10 in the space of cuda-convnet: ASHA's first benchmark.

Eight parameters (Li et al. 2020, appendix A.2; Li et al. 2018, Hyperband, table 4): the learning rate, weight
decay of each of three convolutions and of the linear layer, how often the learning rate falls to a tenth, and
scale and power of local response normalisation. The pictures are shrunken to 8 x 8, so that two cores can
train all of the grid; what the nets reach is accordingly modest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.data.tables.recipes import Axis, Curves, Recipe
from benchmarks.data.tables.recipes._convolutions import Stack
from benchmarks.data.tables.recipes._convolutions import train as train_stack
from benchmarks.data.tables.recipes._pictures import cifar

EPOCHS: Final = 27
SIZES: Final = (1000, 600, 600)
FILTERS: Final = (8, 16, 16)
BATCH: Final = 50
_DECAYS: Final = ("conv1_l2", "conv2_l2", "conv3_l2", "fully_connected_l2")


def train(configs: Sequence[Mapping[str, Any]], seed: int) -> Curves:
    """All at once: they are of one shape."""
    columns = {name: np.array([float(config[name]) for config in configs]) for name in configs[0]}
    reductions = columns["reductions"][:, None]
    epochs = np.arange(EPOCHS)[None, :]
    steps = np.floor(epochs * (reductions + 1) / EPOCHS)  # reductions are evenly spread
    stack = Stack(
        FILTERS,
        BATCH,
        columns["learning_rate"][:, None] * 0.1**steps,
        np.stack([columns[name] for name in _DECAYS]),
        normal=np.stack([columns["scale"], columns["power"]]),
    )
    return train_stack(stack, cifar(SIZES), seed)


ENTRIES: Final = {
    "convnet": Recipe(
        {
            "conv1_l2": Axis((5e-5, 1e-2), "log"),
            "conv2_l2": Axis((5e-5, 1e-2), "log"),
            "conv3_l2": Axis((5e-5, 1e-2), "log"),
            "fully_connected_l2": Axis((5e-4, 5e-1), "log"),
            "reductions": Axis((0, 2), "linear"),
            "scale": Axis((1e-2, 1.0), "log"),
            "power": Axis((0.1, 1.5), "log"),
            "learning_rate": Axis((3e-4, 2e-3, 1.2e-2, 7e-2, 4e-1), "log"),
        },
        "epoch",
        tuple(range(1, EPOCHS + 1)),
        train,
        20,
        f"three convolutions of {FILTERS} filters on CIFAR-10 (Krizhevsky 2009) shrunken to 8 x 8: "
        f"{SIZES[0]:,} pictures for training, {SIZES[1]:,} for validation, {SIZES[2]:,} for testing; error "
        "rate",
    ),
}
