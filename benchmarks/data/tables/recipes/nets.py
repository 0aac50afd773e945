"""Feed-forward nets on tables: the six parameters of the BOHB paper (Falkner et al. 2018, 5.3)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.data.tables.recipes import Axis, Curves, Recipe
from benchmarks.data.tables.recipes._rows import Parts, Rows, rows
from benchmarks.data.tables.recipes._stacked import Adam, layers, linear

if TYPE_CHECKING:
    from torch import Generator, Tensor

EPOCHS: Final = 27
_SHAPE: Final = ("batch_size", "layers", "units")  # what networks that are trained together share


def train(configs: Sequence[Mapping[str, Any]], seed: int, data: tuple[str, int, int, int]) -> Curves:
    """Train each configuration for `EPOCHS` epochs; those of one shape together."""
    import torch

    torch.set_num_threads(1)
    table = rows(*data)
    found = Curves(*(np.full((len(configs), EPOCHS), np.nan) for _ in Curves._fields))
    shapes: dict[tuple[Any, ...], list[int]] = {}
    for number, config in enumerate(configs):
        shapes.setdefault(tuple(config[name] for name in _SHAPE), []).append(number)
    for members in shapes.values():
        curves = _together([configs[i] for i in members], seed, table)
        for whole, part in zip(found, curves, strict=True):
            whole[members] = part
    return found


def _together(configs: Sequence[Mapping[str, Any]], seed: int, table: Rows) -> Curves:
    import torch

    count, shape = len(configs), configs[0]
    generator = torch.Generator().manual_seed(seed)
    sizes = [table.train.x.shape[1], *[shape["units"]] * shape["layers"], max(table.classes, 1)]
    parameters = layers(sizes, count, generator)
    rates, decay, dropout = (
        torch.tensor([float(config[name]) for config in configs])
        for name in ("learning_rate", "decay", "dropout")
    )
    x, y = torch.from_numpy(table.train.x), torch.from_numpy(table.train.y)
    optimiser = Adam(parameters, rates)
    found: list[tuple[Any, Any, float]] = []
    for epoch in range(EPOCHS):
        began = time.perf_counter()
        optimiser.rates = rates * decay ** (epoch / (EPOCHS - 1))
        for batch in torch.randperm(len(x), generator=generator).split(shape["batch_size"]):
            outputs = _outputs(x[batch], parameters, dropout, generator)
            loss = _losses(outputs, y[batch], table.classes).sum()
            optimiser.step(torch.autograd.grad(loss, parameters))
        seconds = (time.perf_counter() - began) / count
        found.append((*(_errors(part, parameters, table.classes) for part in table[1:3]), seconds))
    losses, tests = (np.stack([one[i] for one in found], axis=1) for i in (0, 1))
    return Curves(losses, tests, np.tile([one[2] for one in found], (count, 1)))


def _outputs(
    x: Tensor, parameters: Sequence[Tensor], dropout: Tensor | None = None, generator: Generator | None = None
) -> Tensor:
    """Of rows (n, f): (k, n, classes). Dropout after each hidden layer, a share for each network (k,)."""
    import torch

    hidden = x
    for number in range(0, len(parameters) - 2, 2):
        hidden = torch.relu(linear(hidden, *parameters[number : number + 2]))
        if dropout is not None:
            keep = 1.0 - dropout.view(-1, 1, 1)
            hidden = hidden * (torch.rand(hidden.shape, generator=generator) < keep) / keep
    return linear(hidden, *parameters[-2:])


def _losses(outputs: Tensor, y: Tensor, classes: int) -> Tensor:
    """Each network's mean cross-entropy or squared error, (k,)."""
    import torch

    if not classes:
        return ((outputs[:, :, 0] - y) ** 2).mean(dim=1)
    targets = y.long().expand(len(outputs), -1)
    return torch.nn.functional.cross_entropy(outputs.movedim(2, 1), targets, reduction="none").mean(dim=1)


def _errors(part: Parts, parameters: Sequence[Tensor], classes: int) -> Any:
    """Each network's share of wrong rows, or root mean squared error in standard deviations, (k,)."""
    import torch

    with torch.no_grad():
        outputs = _outputs(torch.from_numpy(part.x), parameters).numpy().astype(np.float64)
    if not classes:
        errors = np.sqrt(((outputs[:, :, 0] - part.y) ** 2).mean(axis=1))
    else:
        errors = (outputs.argmax(axis=2) != part.y).mean(axis=1)
    return np.where(np.isfinite(outputs).all(axis=(1, 2)), errors, np.nan)


def _axes(few: bool) -> dict[str, Axis]:
    """Shapes first, so that neighbours in the grid's order share theirs."""
    return {
        "batch_size": Axis((16, 128) if few else (16, 64, 256), "whole"),
        "layers": Axis((1, 2, 3), "whole"),
        "units": Axis((16, 48, 128), "whole"),
        "learning_rate": Axis((1e-4, 4e-4, 1.6e-3, 6.4e-3, 2.5e-2, 1e-1)[few:], "log"),
        "dropout": Axis((0.0, 0.5) if few else (0.0, 0.25, 0.5), "linear"),
        "decay": Axis((1e-3, 1.0) if few else (1e-3, 3e-2, 1.0), "log"),
    }


def _recipe(name: str, parts: tuple[int, int, int], few: bool, source: str) -> Recipe:
    axes = _axes(few)
    return Recipe(
        axes,
        "epoch",
        tuple(range(1, EPOCHS + 1)),
        partial(train, data=(name, *parts)),
        len(axes["learning_rate"].values) * len(axes["dropout"].values) * len(axes["decay"].values),
        f"feed-forward nets with Adam on {source}: {parts[0]:,} rows for training, {parts[1]:,} for "
        f"validation, {parts[2]:,} for testing; {'error rate' if name != 'protein' else 'standardised RMSE'}",
    )


ENTRIES: Final = {
    "nets-optdigits": _recipe("optdigits", (3000, 1300, 1300), False, "optdigits (UCI)"),
    "nets-letter": _recipe("letter", (4000, 2000, 2000), False, "letter (UCI)"),
    "nets-adult": _recipe("adult", (4000, 2000, 2000), True, "adult (UCI, CC BY 4.0)"),
    "nets-protein": _recipe("protein", (4000, 2000, 2000), True, "protein (UCI's CASP)"),
}
