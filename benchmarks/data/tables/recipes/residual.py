"""BOHB's residual net on CIFAR-10 (its section 5.6), small: four parameters, epochs as the fidelity.

Learning rate, momentum, weight decay and batch size of SGD whose learning rate falls along a cosine over the
budget; the budgets 1, 3, 9 and 27 epochs are in the ratio of the paper's 22, 66, 200 and 600. The net has 6
layers and the pictures are shrunken to 8 x 8, so that a processor trains the whole grid in minutes;
`benchmarks.problems.resnet_gpu` is the full setting, trained by the same code. The table has one seed, so it
does not know its noise. Its seconds are by the clock of a core that had other work, too; the last group's,
which took twice as long for it, are those of the group before, of the same batch size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.data.tables.recipes import Axis, Curves, Recipe
from benchmarks.data.tables.recipes._pictures import Pictures, cifar
from benchmarks.data.tables.recipes._residual import Shape, fit
from benchmarks.data.tables.recipes._together import by_shape

BUDGETS: Final = (1, 3, 9, 27)
SIZES: Final = (1536, 1000, 1000)  # pictures to train, to validate, to test
SMALL: Final = Shape(widths=(8, 16), blocks=1, forget=0.3)  # as short budgets are few steps
TOGETHER: Final = 256  # pictures of a step over all nets that are trained at once: the fastest


def chunks(configs: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Numbers of the configurations that are trained at once: of one batch size, and not too many."""
    found = []
    for members in by_shape(configs, ("batch_size",)):
        batch = configs[members[0]]["batch_size"]
        parts = -(-len(members) * batch // max(TOGETHER, batch))
        found += [part.tolist() for part in np.array_split(members, parts)]
    return found


def train_on(
    data: Pictures, shape: Shape, budgets: Sequence[int], configs: Sequence[Mapping[str, Any]], seed: int
) -> Curves:
    """Each budget's training of each configuration."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = np.empty((3, len(configs), len(budgets)))
    for members in chunks(configs):
        for step, epochs in enumerate(budgets):
            result = fit(shape, data, [configs[number] for number in members], epochs, seed)
            for part, values in zip(found, result, strict=True):
                part[members, step] = values
    torch.set_num_threads(threads)
    found[:, np.isnan(found).any(axis=0)] = np.nan
    return Curves(*found)


def train(configs: Sequence[Mapping[str, Any]], seed: int) -> Curves:
    """On the shrunken pictures."""
    return train_on(cifar(SIZES), SMALL, BUDGETS, configs, seed)


ENTRIES: Final = {
    "resnet": Recipe(
        axes={
            "batch_size": Axis((16, 32, 64), "whole"),
            "learning_rate": Axis((0.001, 0.004, 0.016, 0.06, 0.25, 1.0), "log"),
            "momentum": Axis((0.5, 0.9, 0.98), "linear"),
            "weight_decay": Axis((1e-5, 1e-3, 3e-2), "log"),
        },
        resource="epoch",
        steps=BUDGETS,
        seeds=(0,),
        train=train,
        group=27,
        what=f"a residual net of 6 layers on {SIZES[0]:,} pictures of CIFAR-10 (Krizhevsky 2009) shrunken to "
        f"8 x 8, {SIZES[1]:,} others each to validate and to test; error rate",
        continues=False,
    )
}
