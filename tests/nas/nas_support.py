"""A task small enough for tests: generated pictures of 8 x 8, in halves for weights and alphas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rung.nas.costs import Costs, supernet_costs
from rung.nas.counting import count
from rung.nas.genotype import Genotype
from rung.nas.space import Cell, Space
from rung.nas.supernet import Supernet
from rung.nas.task import Mixed, Net, Scores

torch.set_num_threads(1)

SMALL = Space(
    "small",
    (
        Cell("normal", 2, ("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3")),
        Cell("reduce", 2, ("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3"), reduction=True),
    ),
)


class TinyBatch(NamedTuple):
    """Pictures (n, 3, 8, 8) and classes (n,)."""

    x: Tensor
    y: Tensor
    pace: float = 1.0

    @property
    def size(self) -> int:
        return len(self.y)


class TinyTask:
    """Noise with a bright column that tells the class; or, with `noise`, labels that nothing tells."""

    def __init__(  # one task, all that describes it
        self,
        *,
        channels: int = 4,
        layers: int = 3,  # two would both be reductions
        classes: int = 3,
        count: int = 48,
        batch: int = 8,
        seed: int = 0,
        noise: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.channels, self.layers, self.classes = channels, layers, classes
        self.batch, self.seed, self.dtype = batch, seed, dtype
        self._costs: dict[Space, Costs] = {}
        generator = torch.Generator().manual_seed(1234 + seed)
        labels = torch.randint(classes, (count,), generator=generator)
        x = torch.randn(count, 3, 8, 8, generator=generator)
        if not noise:
            x[torch.arange(count), :, :, labels] += 2.0
        half = count // 2
        self.x, self.y = x[:half].to(dtype), labels[:half]
        self.x_alphas, self.y_alphas = x[half:].to(dtype), labels[half:]

    @property
    def identity(self) -> dict[str, Any]:
        return {"data": [self.classes, self.seed]}

    @property
    def steps(self) -> int:
        return len(self.y) // self.batch

    def supernet(self, space: Space, form: Any, seed: int) -> Net:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = Supernet(space, self.channels, self.layers, self.classes, form=form)
        return net.to(self.dtype)

    def pairs(self, epoch: int) -> Iterator[tuple[TinyBatch, TinyBatch]]:
        first, second = self._order(epoch, 0), self._order(epoch, 1)
        for step in range(self.steps):
            rows = slice(step * self.batch, (step + 1) * self.batch)
            a, b = first[rows], second[rows]
            yield TinyBatch(self.x[a], self.y[a]), TinyBatch(self.x_alphas[b], self.y_alphas[b])

    def _order(self, epoch: int, half: int) -> Tensor:
        generator = torch.Generator().manual_seed(7919 * self.seed + 31 * epoch + half)
        return torch.randperm(len(self.y), generator=generator)

    def loss(self, call: Any, mixed: Mixed, batch: TinyBatch, *, training: bool = False) -> Tensor:
        return nn.functional.cross_entropy(call(batch.x, mixed.mixtures, mixed.active), batch.y)

    def evaluate(self, call: Any, mixed: Mixed | None) -> Scores:
        training = call.training
        call.eval()
        arguments = () if mixed is None else (mixed.mixtures, mixed.active)
        with torch.no_grad():
            scores = call(self.x_alphas, *arguments)
        call.train(training)
        loss = nn.functional.cross_entropy(scores, self.y_alphas)
        return Scores(float(loss), float((scores.argmax(1) == self.y_alphas).double().mean()))

    def macs(self, net: Net, space: Space, form: str = "plain") -> float:
        if space not in self._costs:
            self._costs[space] = supernet_costs(space, self.channels, self.layers, self.classes, image_size=8)
        return self._costs[space].of(net.alive)

    def retrain(
        self, genotype: Genotype, recipe: Any, seed: int, short: Any = None
    ) -> tuple[Scores | None, list[str]]:
        return None, []

    def size(self, genotype: Genotype, recipe: Any) -> tuple[int, int | None]:
        counted = count(genotype, self.channels, self.layers, self.classes, image_size=8)
        return counted.parameters, counted.multiply_adds
