"""What each candidate of a supernet costs: parameters and multiply-adds, exact, and measured latency."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rung.nas.counting import by_module
from rung.nas.plain import Mask, candidates_mask
from rung.nas.skeleton import StemName
from rung.nas.space import Space
from rung.nas.supernet import Form, SearchCell, Supernet, uniform_mixtures
from rung.nas.task import Weighted

Table = NDArray[np.float64]

_EDGES: Final = "body.edges."
_SMALL: Final = 64  # side of a picture, in pixels


@dataclass(frozen=True)
class Costs:
    """A cost that is a sum over operations.

    Attributes:
        rest: of all that stands on no edge: stem, what comes before cells, classifier.
        edges: by cell, (E, O): of each operation, over all cells of that kind together.
        unit: "multiply-adds", "parameters" or "seconds".
    """

    rest: float
    edges: Mapping[str, Table]
    unit: str = "multiply-adds"

    def of(self, present: Mapping[str, Mask]) -> float:
        """Of a network that has these operations, by cell (E, O): a supernet's `alive`, or what is chosen."""
        return self.rest + float(sum((table * present[name]).sum() for name, table in self.edges.items()))

    def of_chosen(self, chosen: Mapping[str, Iterable[tuple[int, int]]]) -> float:
        """Of the network of a choice: by cell, (edge, column) of what is kept."""
        return self.rest + float(
            sum(table[edge, column] for name, table in self.edges.items() for edge, column in chosen[name])
        )

    @property
    def whole(self) -> float:
        """Of the supernet with everything in it."""
        return self.rest + float(sum(table.sum() for table in self.edges.values()))

    def belongs(self, space: Space) -> bool:
        """Whether these are costs of a space's operations."""
        shapes = {cell.name: (len(cell.edges), len(cell.operations)) for cell in space.cells}
        return shapes == {name: table.shape for name, table in self.edges.items()}

    def to_dict(self) -> dict[str, Any]:
        """For a log."""
        edges = {name: table.tolist() for name, table in self.edges.items()}
        return {"rest": self.rest, "edges": edges, "unit": self.unit}

    @staticmethod
    def from_dict(form: Mapping[str, Any]) -> Costs:
        """The inverse."""
        edges = {name: np.asarray(table, dtype=float) for name, table in form["edges"].items()}
        return Costs(form["rest"], edges, form["unit"])

    def weighted(self, weight: float) -> Weighted:
        """A term for the loss of alphas: `weight` nats for the cost of the whole supernet.

        The expected cost of the edges is what mixtures give; what stands on no edge is constant and left out.
        """
        return Weighted({name: torch.from_numpy(t / self.whole) for name, t in self.edges.items()}, weight)


def expected(term: Weighted, mixtures: Mapping[str, Tensor]) -> Tensor:
    """The term for these (E, O) weights by cell, in nats: a scalar, differentiable."""
    parts = [(term.cost[name].to(mixture) * mixture).sum() for name, mixture in mixtures.items()]
    return term.weight * torch.stack(parts).sum()


def supernet_costs(  # noqa: PLR0913  # one network, all that describes it
    space: Space,
    channels: int,
    layers: int,
    classes: int,
    *,
    image_size: int = 32,
    pictures: int = 3,
    stem: StemName = "cifar",
    form: Form = "plain",
) -> Costs:
    """Multiply-adds of one picture's forward pass, exact; the same for the derived network of a choice.

    The convention is that of `rung.nas.counting`: convolutions and linear layers are counted, not
    normalisations, pools, activations and sums.

    Args:
        image_size: side of a picture, in pixels.
        form: "partial" for PC-DARTS' narrower operations; "plain" and "fused" cost the same.
    """
    device = "cpu" if image_size <= _SMALL else "meta"  # sizes alone are slower than small numbers
    with torch.random.fork_rng(devices=[]), torch.device(device):
        net = Supernet(space, channels, layers, classes, pictures=pictures, stem=stem, form=_counted(form))
        x = torch.zeros(1, pictures, image_size, image_size)
        mixtures = {name: mixture.to(device) for name, mixture in uniform_mixtures(space).items()}
        spent = by_module(net, x, mixtures)
    return _collected(space, net, spent, "multiply-adds")


def supernet_parameters(  # noqa: PLR0913  # one network, all that describes it
    space: Space,
    channels: int,
    layers: int,
    classes: int,
    *,
    pictures: int = 3,
    stem: StemName = "cifar",
    form: Form = "plain",
    derived: bool = False,
) -> Costs:
    """Parameters, exact.

    Args:
        derived: as in the derived network: normalisations have two parameters a channel, pools have none.
    """
    with torch.device("meta"):
        net = Supernet(space, channels, layers, classes, pictures=pictures, stem=stem, form=_counted(form))
    spent: dict[str, float] = {}
    for name, module in net.named_modules():
        spent[name] = float(sum(p.numel() for p in module.parameters(recurse=False)))
        if derived and isinstance(module, nn.BatchNorm2d) and not module.affine:
            spent[name] += 0.0 if _of_a_pool(net, name) else 2.0 * module.num_features
    return _collected(space, net, spent, "parameters")


def measured_costs(  # noqa: PLR0913  # one network, all that describes it
    space: Space,
    channels: int,
    layers: int,
    classes: int,
    *,
    image_size: int = 32,
    pictures: int = 3,
    stem: StemName = "cifar",
    batch: int = 8,
    repeats: int = 7,
    device: str = "cpu",
) -> Costs:
    """Latency of each operation in seconds: the median over repeated forward passes in evaluation.

    The zero operation counts nothing: a derived network leaves it out.

    Args:
        batch: pictures in a pass.
        repeats: passes that are measured, after one that is not.
    """
    net = Supernet(space, channels, layers, classes, pictures=pictures, stem=stem).to(device).eval()
    mixtures = {name: m.to(device) for name, m in uniform_mixtures(space).items()}
    x = torch.zeros(batch, pictures, image_size, image_size, device=device)
    parts = _parts(net)
    taken: dict[str, list[float]] = {name: [] for name in parts}
    hooks = [hook for name, module in parts.items() for hook in _timed(module, taken[name], device)]
    try:
        with torch.no_grad():
            for _ in range(repeats + 1):
                net(x, mixtures)
    finally:
        for hook in hooks:
            hook.remove()
    spent = {name: statistics.median(times[1:]) for name, times in taken.items() if times[1:]}
    return _collected(space, net, spent, "seconds")


def _counted(form: Form) -> Form:
    return "plain" if form == "fused" else form


def _parts(net: Supernet) -> dict[str, nn.Module]:
    """By name: the operations on edges, and what stands before, between and after the cells."""
    parts: dict[str, nn.Module] = {f"stem.{name}": module for name, module in net.stem.named_children()}
    for index, cell in enumerate(net.cells):
        start = f"cells.{index}."
        if not isinstance(cell, SearchCell):
            parts[start] = cell
            continue
        parts |= {f"{start}before.{name}": module for name, module in cell.before.named_children()}
        for edge, candidates in cast(nn.Module, cell.body.edges).named_children():
            parts |= {f"{start}{_EDGES}{edge}.{op}": module for op, module in candidates.named_children()}
    return parts | {"last": net.last, "classifier": net.classifier}


def _timed(module: nn.Module, times: list[float], device: str) -> tuple[Any, Any]:
    began = 0.0
    wait: Callable[[], None] = torch.cuda.synchronize if device.startswith("cuda") else lambda: None

    def before(*_: object) -> None:
        nonlocal began
        wait()
        began = time.perf_counter()

    def after(*_: object) -> None:
        wait()
        times.append(time.perf_counter() - began)

    return module.register_forward_pre_hook(before), module.register_forward_hook(after)


def _collected(space: Space, net: Supernet, spent: Mapping[str, float], unit: str) -> Costs:
    """Sums over cells of a kind from figures by the names of modules."""
    edges = {cell.name: np.zeros(candidates_mask(cell).shape) for cell in space.cells}
    rest = 0.0
    for name, value in spent.items():
        place = _placed(net, name)
        if place is None:
            rest += value
            continue
        kind, edge, operation = place
        if not net.table[operation].zero:
            edges[kind][edge, space[kind].operations.index(operation)] += value
    return Costs(rest, edges, unit)


def _placed(net: Supernet, name: str) -> tuple[str, int, str] | None:
    """Kind of cell, edge and operation of a module's name such as `cells.3.body.edges.5.sep_conv_3x3.1`."""
    if f".{_EDGES}" not in name:
        return None
    parts = name.split(".")
    cell = net.cells[int(parts[1])]
    if len(parts) < 6 or not isinstance(cell, SearchCell):
        return None
    return cell.name, int(parts[4]), parts[5]


def _of_a_pool(net: Supernet, name: str) -> bool:
    place = _placed(net, name)
    return place is not None and net.table[place[2]].pool
