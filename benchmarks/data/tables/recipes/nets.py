"""BOHB's feed-forward nets (its section 5.3): six parameters, Adam, epochs as the fidelity.

The learning rate is multiplied by the decay factor after each epoch; dropout follows each hidden layer.
Nets of one shape and batch size are trained together, stacked along a leading axis: they start from the same
weights and see the same batches and the same uniform numbers for dropout, all drawn from the seed, so that a
net's curve doesn't depend on what it is grouped with. Its seconds, of training and validating, are its share
of the stack's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from benchmarks.data.tables.recipes import Axis, Curves, Recipe
from benchmarks.data.tables.recipes._tables import Part, Split, split
from benchmarks.data.tables.recipes._together import trained

if TYPE_CHECKING:
    import torch

EPOCHS: Final = 27


class Layer(NamedTuple):
    """One layer of all nets of a stack: `weight` (nets, inputs, outputs), `bias` (nets, 1, outputs)."""

    weight: torch.Tensor
    bias: torch.Tensor


def start(widths: Sequence[int], rng: torch.Generator) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """A net's first weights (inputs, outputs), He et al. 2015, and biases of zero."""
    import torch

    return [
        (torch.randn(inputs, outputs, generator=rng) * (2 / inputs) ** 0.5, torch.zeros(1, outputs))
        for inputs, outputs in pairwise(widths)
    ]


def forward(
    layers: Sequence[Layer], x: torch.Tensor, rates: torch.Tensor, rng: torch.Generator | None
) -> torch.Tensor:
    """What the nets say of rows `x` (rows, columns): (nets, rows, outputs); with `rng`, under dropout."""
    import torch

    h = x.expand(len(rates), *x.shape)
    for layer in layers[:-1]:
        h = torch.baddbmm(layer.bias, h, layer.weight).relu()  # (nets, rows, units)
        if rng is not None:
            kept = torch.rand(h.shape[1:], generator=rng) >= rates
            h = h * (kept / (1 - rates))
    return torch.baddbmm(layers[-1].bias, h, layers[-1].weight)


def errors(out: torch.Tensor, y: torch.Tensor, train: bool) -> torch.Tensor:
    """Each net's loss, (nets,): squared error; of classes the cross-entropy to train, else the error rate."""
    import torch

    if y.dtype == torch.float32:
        return (out[..., 0] - y).square().mean(dim=1)
    if not train:
        return (out.argmax(dim=2) != y).float().mean(dim=1)
    wanted = y.expand(len(out), -1)[..., None]
    return -out.log_softmax(dim=2).gather(2, wanted)[..., 0].mean(dim=1)


class Stack:
    """Nets of one shape under training.

    Attributes:
        layers: of the nets.
        rates: dropout's, (nets, 1, 1).
    """

    def __init__(self, configs: Sequence[Mapping[str, Any]], columns: int, outputs: int, seed: int) -> None:
        import torch

        self.rng = torch.Generator().manual_seed(seed)
        first = configs[0]
        widths = [columns, *[first["units"]] * first["layers"], outputs]
        self.layers = [
            Layer(*(one.expand(len(configs), *one.shape).clone().requires_grad_() for one in pair))
            for pair in start(widths, self.rng)
        ]
        self.batch = first["batch_size"]
        self.rates = _column(configs, "dropout")
        self._rates, self._decays = _column(configs, "learning_rate"), _column(configs, "decay")
        self._weights = [one for layer in self.layers for one in layer]
        # Adam's steps for a learning rate of 1, which each net then takes times its own.
        self._moves = [torch.zeros_like(one) for one in self._weights]
        self._adam = torch.optim.Adam(self._moves, lr=1.0, fused=True)

    def epoch(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Go once through the rows in a new order; what is left of them below a batch is left out."""
        import torch

        order = torch.randperm(len(x), generator=self.rng)
        for rows in order[: len(x) // self.batch * self.batch].split(self.batch):
            loss = errors(forward(self.layers, x[rows], self.rates, self.rng), y[rows], True).sum()
            for move, slope in zip(self._moves, torch.autograd.grad(loss, self._weights), strict=True):
                move.grad = slope
            self._adam.step()
            with torch.no_grad():
                for weight, move in zip(self._weights, self._moves, strict=True):
                    weight.addcmul_(move, self._rates)
                    move.zero_()
        self._rates = self._rates * self._decays

    def score(self, x: torch.Tensor, y: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Each net's loss on these rows, nan if it has diverged."""
        import torch

        with torch.no_grad():
            out = forward(self.layers, x, self.rates, None)
            found = errors(out, y, False)
            found[~out.isfinite().all(dim=2).all(dim=1)] = torch.nan
        return found.double().numpy()


def _column(configs: Sequence[Mapping[str, Any]], name: str) -> torch.Tensor:
    import torch

    return torch.tensor([float(config[name]) for config in configs])[:, None, None]


def fit(data: Split, configs: Sequence[Mapping[str, Any]], seed: int, epochs: int) -> Curves:
    """Train nets of one shape and batch size."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    stack = Stack(configs, data.train.x.shape[1], max(1, data.classes), seed)
    (x, y), valid, test = (_tensors(part) for part in data[:3])
    found = np.empty((3, epochs, len(configs)))
    for epoch in range(epochs):
        began = time.perf_counter()
        stack.epoch(x, y)
        found[0, epoch] = stack.score(*valid)
        found[2, epoch] = (time.perf_counter() - began) / len(configs)
        found[1, epoch] = stack.score(*test)
    torch.set_num_threads(threads)
    failed = np.logical_or.accumulate(~np.isfinite(found).all(axis=0), axis=0)
    found[:, failed] = np.nan
    return Curves(*found.transpose(0, 2, 1))


def _tensors(part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    return torch.from_numpy(part.x), torch.from_numpy(part.y)


def train(
    name: str, regression: bool, sizes: tuple[int, int, int], configs: Sequence[Mapping[str, Any]], seed: int
) -> Curves:
    """Train configurations, those of one shape and batch size together."""
    data = split(name, regression, sizes)
    shape = ("layers", "units", "batch_size")
    return trained(configs, shape, EPOCHS, lambda some: fit(data, some, seed, EPOCHS))


def _recipe(name: str, title: str, sizes: tuple[int, int, int], regression: bool = False) -> Recipe:
    loss = "mean squared error over the variance of the target" if regression else "error rate"
    return Recipe(
        axes={
            "layers": Axis((1, 2, 4), "whole"),
            "units": Axis((16, 45, 128), "whole"),
            "batch_size": Axis((16, 64, 256), "whole"),
            "learning_rate": Axis((1e-5, 1e-4, 5e-4, 2e-3, 1e-2, 5e-2), "log"),
            "decay": Axis((0.65, 0.85, 1.0), "linear"),
            "dropout": Axis((0.0, 0.25, 0.5), "linear"),
        },
        resource="epoch",
        steps=tuple(range(1, EPOCHS + 1)),
        train=partial(train, name, regression, sizes),
        group=54,  # all nets of one shape and batch size
        what=f"feed-forward nets on {sizes[0]:,} rows of {title}, {sizes[1]:,} others to validate and "
        f"{sizes[2]:,} to test; {loss}",
    )


ENTRIES: Final = {
    "nets-optdigits": _recipe("optdigits", "optdigits (UCI, CC BY 4.0)", (2000, 1500, 1500)),
    "nets-letter": _recipe("letter", "letter (UCI, CC BY 4.0)", (2000, 1500, 1500)),
    "nets-adult": _recipe("adult", "adult (UCI, CC BY 4.0)", (1500, 1000, 1000)),
    "nets-protein": _recipe("protein", "protein structure (UCI, CC BY 4.0)", (1500, 1000, 1000), True),
}
