"""A task with a planted optimum: maps of a fixed random cell, which one operation alone can reproduce."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rung.nas.skeleton import begin
from rung.nas.space import Cell, Space
from rung.nas.supernet import Supernet
from rung.nas.task import Mixed, Net, Scores

torch.set_num_threads(1)

CANDIDATES = ("none", "skip_connect", "max_pool_3x3", "sep_conv_3x3", "dil_conv_5x5")
ONE_NODE = Space("planted", (Cell("normal", 1, CANDIDATES),))
TWO_NODES = Space("planted edges", (Cell("normal", 2, CANDIDATES),))
EDGES = (0, 1, 2, 4)  # of the teacher: node 3 reads input 0 and node 2, and not input 1


class Maps(Supernet):
    """The cell's output itself, (n, channels, h, w): no pooling takes away what operations differ in."""

    def forward(self, x: Tensor, mixtures: Any, active: Any = None) -> Tensor:
        elder, younger = begin(self.stem, x)
        out: Tensor = self.cells[0]([elder, younger], mixtures, active)
        return out


class Pair(NamedTuple):
    """Pictures (n, 3, 8, 8) and what is to be said of them (n, channels, 8, 8)."""

    x: Tensor
    y: Tensor
    pace: float = 1.0

    @property
    def size(self) -> int:
        return len(self.y)


class PlantedTask:
    """Reproduce a teacher's maps: the same stem, the same first convolutions, other weights on the edges.

    The loss is one less the mean correlation of maps, by channel: no operation is better for being small.

    Args:
        planted: the operation on all edges of the teacher.
        noise: whether maps are noise instead, which no operation reproduces.
    """

    def __init__(self, planted: str, seed: int, space: Space = ONE_NODE, *, noise: bool = False) -> None:
        self.seed, self.batch, self.channels, self.half = seed, 16, 4, 96
        torch.manual_seed(1000 + seed)
        self.teacher = Maps(space, self.channels, 1, 2)
        self.x = torch.randn(2 * self.half, 3, 8, 8)
        count = len(space.normal.edges)
        mixture = torch.zeros(count, len(CANDIDATES))
        mixture[[edge for edge in EDGES if edge < count], CANDIDATES.index(planted)] = 1.0
        with torch.no_grad():
            self.y = self.teacher(self.x, {"normal": mixture})
        if noise:
            self.y = torch.randn(self.y.shape)

    @property
    def steps(self) -> int:
        return self.half // self.batch

    def supernet(self, space: Space, form: Any, seed: int) -> Net:
        torch.manual_seed(seed)
        net = Maps(space, self.channels, 1, 2, form=form)
        kept = {n: v for n, v in self.teacher.plain_state().items() if ".body." not in n}
        net.load_plain_state({**net.plain_state(), **kept})
        for module in [net.stem, *(cell.before for cell in net.cells)]:
            fix(module)
        return net

    def pairs(self, epoch: int) -> Iterator[tuple[Pair, Pair]]:
        generator = torch.Generator().manual_seed(7919 * self.seed + epoch)
        first = torch.randperm(self.half, generator=generator)
        second = self.half + torch.randperm(self.half, generator=generator)
        for step in range(self.steps):
            rows = slice(step * self.batch, (step + 1) * self.batch)
            a, b = first[rows], second[rows]
            yield Pair(self.x[a], self.y[a]), Pair(self.x[b], self.y[b])

    def loss(self, call: Any, mixed: Mixed, batch: Pair, *, training: bool = False) -> Tensor:
        return 1.0 - correlation(call(batch.x, mixed.mixtures, mixed.active), batch.y)

    def evaluate(self, call: Any, mixed: Mixed | None) -> Scores:
        assert mixed is not None
        with torch.no_grad():
            y = call(self.x[self.half :], mixed.mixtures, mixed.active)
        return Scores(1.0 - float(correlation(y, self.y[self.half :])), None)

    def macs(self, net: Net, space: Space, form: str = "plain") -> float:
        return 0.0


def fix(module: Any) -> None:
    """Make the weights of a module constants."""
    for part in module.modules():
        for name in list(part._parameters):
            weight = part._parameters.pop(name)
            part.register_buffer(name, None if weight is None else weight.detach())


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Mean over channels of the correlation of two maps (n, c, h, w)."""
    a, b = a.transpose(0, 1).flatten(1), b.transpose(0, 1).flatten(1)  # (c, n h w)
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return (torch.cosine_similarity(a, b, dim=1, eps=1e-6)).mean()
