"""What leaves a node of the fused supernet, by kind of operation: its weights side by side, of all edges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from rung.nas.fused_functions import Depth, depthwise, pictures, pixels, pointwise
from rung.nas.fused_mixing import Dense, Shared, mix, total
from rung.nas.operations import Separable

Moved = list[tuple[nn.Parameter, nn.Parameter | None, Tensor | None]]


class Statistics(nn.BatchNorm2d):
    """Running means and variances of the normalisations of many edges, side by side."""

    def __init__(self, edges: int, channels: int) -> None:
        super().__init__(edges * channels, affine=False)
        self.channels = channels
        self.register_buffer("num_batches_tracked", torch.zeros(edges, dtype=torch.long))

    def mean(self, which: list[int] | None) -> Tensor:
        """(k, c) running means."""
        return _some(cast(Tensor, self.running_mean).view(-1, self.channels), which)

    def variance(self, which: list[int] | None) -> Tensor:
        """(k, c) running variances."""
        return _some(cast(Tensor, self.running_var).view(-1, self.channels), which)

    @torch.no_grad()
    def update(self, mean: Tensor, variance: Tensor, count: int, which: list[int] | None) -> None:
        """Move towards those of a batch.

        Args:
            mean: (k, c).
            variance: (k, c), biased.
            count: of pixels.
        """
        if not self.track_running_stats:
            return
        momentum = cast(float, self.momentum)
        pairs = ((self.running_mean, mean), (self.running_var, variance * (count / max(count - 1, 1))))
        for buffer, new in pairs:
            view = cast(Tensor, buffer).view(-1, self.channels)
            if which is None:
                view.lerp_(new.to(view.dtype).expand_as(view), momentum)
            else:
                view[which] = view[which].lerp(new.to(view.dtype), momentum)
        tracked = cast(Tensor, self.num_batches_tracked)
        tracked[slice(None) if which is None else which] += 1

    def keep(self, groups: list[int]) -> None:
        """Only these edges stay."""
        for name in ("running_mean", "running_var"):
            view = cast(Tensor, getattr(self, name)).view(-1, self.channels)
            setattr(self, name, view[groups].reshape(-1).clone())
        self.num_batches_tracked = cast(Tensor, self.num_batches_tracked)[groups].clone()
        self.num_features = len(groups) * self.channels

    def state(self, k: int) -> dict[str, Tensor]:
        """Of one edge, as a normalisation of its own has them."""
        names = ("running_mean", "running_var")
        state = {n: cast(Tensor, getattr(self, n)).view(-1, self.channels)[k].clone() for n in names}
        return {**state, "num_batches_tracked": cast(Tensor, self.num_batches_tracked)[k].clone()}

    @torch.no_grad()
    def load(self, k: int, state: Mapping[str, Tensor]) -> None:
        """What `state` gave."""
        for name in ("running_mean", "running_var"):
            cast(Tensor, getattr(self, name)).view(-1, self.channels)[k] = state[name]
        cast(Tensor, self.num_batches_tracked)[k] = state["num_batches_tracked"]


def _some(values: Tensor, which: list[int] | None) -> Tensor:
    return values if which is None else values[which]


@dataclass
class Parts:
    """What is to be mixed of one node; edges by number.

    Attributes:
        dense: convolutions with a normalisation, its statistics, and which of its edges they are.
        shared: maps that go to several edges.
        constant: (k, o) to be added, and to which edges.
    """

    dense: list[tuple[Dense, Statistics, list[int] | None]] = field(default_factory=list)
    shared: list[Shared] = field(default_factory=list)
    constant: list[tuple[Tensor, tuple[int, ...]]] = field(default_factory=list)

    def mixed(self) -> list[tuple[int, Tensor]]:
        """(number of the edge, (p, o) what goes to it)."""
        found = {edge for part, *_ in self.dense for edge in part.edges} | {
            edge for base in self.shared for edge in base.edges
        }
        edges = sorted(found)
        place = {edge: number for number, edge in enumerate(edges)}
        dense = [p._replace(edges=tuple(place[e] for e in p.edges)) for p, *_ in self.dense]
        shared = [p._replace(edges=tuple(place[e] for e in p.edges)) for p in self.shared]
        if not edges:
            return []
        norms = [norm for _, norm, _ in self.dense]
        if norms and norms[0].training:
            outs, moments = mix(len(edges), dense, shared, norms[0].eps)
            for part, (_, norm, which), one in zip(dense, self.dense, moments, strict=True):
                norm.update(one.mean, one.variance, len(part.x), which)
        else:
            folded = [
                (part, *_as_running(part, norm, which))
                for part, (_, norm, which) in zip(dense, self.dense, strict=True)
            ]
            outs = total(len(edges), folded, shared)
        for value, at in self.constant:
            for k, edge in enumerate(at):
                outs[place[edge]] = outs[place[edge]] + value[k]
        return list(zip(edges, outs, strict=True))


@dataclass(frozen=True)
class Leaving:
    """A node, as what leaves it sees it.

    Attributes:
        x: (n, c, h, w).
        rectified: the same after the ReLU.
        copies: the same, so many times side by side, of every so many pixels.
        mixture: (E, O) weights.
    """

    x: Tensor
    rectified: Tensor
    copies: Callable[[int, int], Tensor]
    mixture: Tensor


class Group(nn.Module):
    """The edges that leave one node and have the same operation.

    Args:
        column: the operation's, in mixtures.
        edges: their numbers.
    """

    def __init__(self, column: int, edges: Sequence[int]) -> None:
        super().__init__()
        self.column, self.edges = column, list(edges)
        self.weights = nn.ParameterDict()
        self.norms = nn.ModuleDict()
        self._rows: Tensor | None = None  # of the mixture

    def add(self, leaving: Leaving, chosen: list[int], parts: Parts) -> None:
        """Put what these edges contribute among the parts."""
        raise NotImplementedError

    def which(self, chosen: list[int]) -> list[int] | None:
        """Places of edges in this group; None for all of it."""
        return None if len(chosen) == len(self.edges) else [self.edges.index(edge) for edge in chosen]

    def weight(self, name: str, which: list[int] | None) -> Tensor:
        """(k, rows, ...): weights of some edges."""
        value = self.weights[name]
        return _some(value.view(len(self.edges), -1, *value.shape[1:]), which)

    def scale(self, leaving: Leaving, which: list[int] | None) -> Tensor:
        """(k,): the mixture's weights of some edges."""
        if self._rows is None or self._rows.device != leaving.mixture.device:
            self._rows = torch.tensor(self.edges, device=leaving.mixture.device)
        rows = _some(self._rows, which)
        return leaving.mixture.select(1, self.column).index_select(0, rows)

    def statistics(self, name: str) -> Statistics:
        """By the name of a normalisation."""
        return cast(Statistics, self.norms[name])

    def prune(self, edge: int, moved: Moved) -> None:
        """Take an edge out: its rows of all weights."""
        gone = self.edges.index(edge)
        kept = [k for k in range(len(self.edges)) if k != gone]
        for name, old in list(self.weights.items()):
            each = len(old) // len(self.edges)
            rows = torch.cat([torch.arange(k * each, (k + 1) * each) for k in kept]) if kept else None
            new = None if rows is None else nn.Parameter(old.detach()[rows.to(old.device)].clone())
            moved.append((old, new, rows))
            if new is None:
                del self.weights[name]
            else:
                self.weights[name] = new
        for norm in self.norms.values():
            cast(Statistics, norm).keep(kept)
        del self.edges[gone]
        self._rows = None

    def names(self) -> dict[str, str]:
        """Weights' and normalisations' names in the plain form, by their names here."""
        raise NotImplementedError

    def state(self, edge: int) -> dict[str, Tensor]:
        """Of one edge, under the plain form's names."""
        k, found = self.edges.index(edge), {}
        for name, plain in self.names().items():
            if name in self.weights:
                found[f"{plain}.weight"] = self.weight(name, [k])[0].detach().clone()
            else:
                state = self.statistics(name).state(k)
                found |= {f"{plain}.{part}": value for part, value in state.items()}
        return found

    @torch.no_grad()
    def load(self, edge: int, state: Mapping[str, Tensor]) -> None:
        """What `state` gave; KeyError where something is missing."""
        k = self.edges.index(edge)
        for name, plain in self.names().items():
            if name in self.weights:
                self.weight(name, None)[k] = state[f"{plain}.weight"]
            else:
                begin = f"{plain}."
                part = {n.removeprefix(begin): v for n, v in state.items() if n.startswith(begin)}
                self.statistics(name).load(k, part)


def _as_running(part: Dense, norm: Statistics, which: list[int] | None) -> tuple[Tensor, Tensor]:
    """Weights (k, o, i) and bias (k, o), normalised by the running statistics."""
    factor = part.scale.unsqueeze(1) * torch.rsqrt(norm.variance(which) + norm.eps)
    return part.weight * factor.unsqueeze(2), -norm.mean(which) * factor


class SeparableGroup(Group):
    """Separable and dilated convolutions of one kernel."""

    def __init__(
        self, column: int, edges: Sequence[int], channels: int, stride: int, form: Separable
    ) -> None:
        super().__init__(column, edges)
        self.form, self.channels, self.stride = form, channels, stride
        k = len(edges)
        for turn in range(form.times):
            self.weights[f"depth{turn}"] = nn.Parameter(
                torch.empty(k * channels, 1, form.kernel, form.kernel)
            )
            self.weights[f"point{turn}"] = nn.Parameter(torch.empty(k * channels, channels, 1, 1))
            self.norms[f"norm{turn}"] = Statistics(k, channels)

    def names(self) -> dict[str, str]:
        """See `Group.names`."""
        places = {"depth": 1, "point": 2, "norm": 3}
        return {f"{n}{t}": str(4 * t + place) for t in range(self.form.times) for n, place in places.items()}

    def add(self, leaving: Leaving, chosen: list[int], parts: Parts) -> None:
        """See `Group.add`."""
        which = self.which(chosen)
        k, c = len(chosen), self.channels
        stride, dilation = self.stride, self.form.dilation
        step = 2 if stride == dilation == 2 else 1  # then every other pixel is read, and the rest is not
        y = leaving.copies(k, step)
        stride, dilation = stride // step, dilation // step
        for turn in range(self.form.times):
            padding = dilation * (self.form.kernel - 1) // 2
            weight = self.weight(f"depth{turn}", which).flatten(0, 1)
            y = depthwise(y, weight, Depth(stride if turn == 0 else 1, padding, dilation))
            rows = pixels(y).view(-1, k, c)
            weight = self.weight(f"point{turn}", which).view(k, c, c)
            if turn < self.form.times - 1:
                rows = pointwise(rows, weight)
                y = self._normalised(pictures(rows, y.shape), turn, which).relu_()
        part = Dense(rows, weight, self.scale(leaving, which), tuple(chosen))
        parts.dense.append((part, self.statistics(f"norm{turn}"), which))

    def _normalised(self, y: Tensor, turn: int, which: list[int] | None) -> Tensor:
        return normalised(y, self.statistics(f"norm{turn}"), which, len(y[0]) // self.channels)


def normalised(y: Tensor, norm: Statistics, which: list[int] | None, k: int) -> Tensor:
    """Batch normalisation of the maps of k edges (n, k * c, h, w); k is 1 where all edges share a map."""
    if not norm.training:
        mean, variance = norm.mean(which).reshape(-1), norm.variance(which).reshape(-1)
        return nn.functional.batch_norm(y, mean, variance, training=False, eps=norm.eps)
    mean, variance = y.new_zeros(y.shape[1]), y.new_ones(y.shape[1])
    out = nn.functional.batch_norm(y, mean, variance, training=True, momentum=1.0, eps=norm.eps)
    count = y.numel() // y.shape[1]
    biased = variance * (max(count - 1, 1) / count)
    norm.update(mean.view(k, -1), biased.view(k, -1), count, which)
    return out


class ReduceGroup(Group):
    """Skips of stride 2: two pointwise convolutions, one a pixel further (`FactorizedReduce`)."""

    def __init__(self, column: int, edges: Sequence[int], channels: int) -> None:
        super().__init__(column, edges)
        self.channels, self.narrow = channels, channels // 2
        k = len(edges)
        self.weights["first"] = nn.Parameter(torch.empty(k * self.narrow, channels, 1, 1))
        self.weights["second"] = nn.Parameter(torch.empty(k * (channels - self.narrow), channels, 1, 1))
        self.norms["norm"] = Statistics(k, channels)

    def names(self) -> dict[str, str]:
        """See `Group.names`."""
        return {name: name for name in ("first", "second", "norm")}

    def add(self, leaving: Leaving, chosen: list[int], parts: Parts) -> None:
        """See `Group.add`."""
        which, x = self.which(chosen), leaving.rectified
        h, w = x.shape[2:]
        x = nn.functional.pad(x, (0, w % 2, 0, h % 2)) if h % 2 or w % 2 else x
        both = torch.cat([x[:, :, ::2, ::2], x[:, :, 1::2, 1::2]], 1)
        rows = pixels(both).unsqueeze(1)  # (p, 1, 2 c)
        first, second = self.weight("first", which).flatten(2), self.weight("second", which).flatten(2)
        pad = nn.functional.pad
        c = self.channels
        weight = torch.cat([pad(first, (0, c)), pad(second, (c, 0))], 1)  # (k, c, 2 c)
        part = Dense(rows, weight, self.scale(leaving, which), tuple(chosen))
        parts.dense.append((part, self.statistics("norm"), which))


class PoolGroup(Group):
    """Poolings: done once, and normalised once while training."""

    def __init__(self, column: int, edges: Sequence[int], channels: int, pool: nn.Module) -> None:
        super().__init__(column, edges)
        self.pool = pool
        self.norms["norm"] = Statistics(len(edges), channels)

    def names(self) -> dict[str, str]:
        """See `Group.names`."""
        return {"norm": "1"}

    def add(self, leaving: Leaving, chosen: list[int], parts: Parts) -> None:
        """See `Group.add`."""
        which, norm = self.which(chosen), self.statistics("norm")
        y = self.pool(leaving.x)
        scale, edges = self.scale(leaving, which), tuple(chosen)
        if norm.training:
            parts.shared.append(Shared(pixels(normalised(y, norm, which, 1)), scale, edges))
            return
        factor = scale.unsqueeze(1) * torch.rsqrt(norm.variance(which) + norm.eps)
        parts.shared.append(Shared(pixels(y), factor, edges))
        parts.constant.append((-norm.mean(which) * factor, edges))


class IdentityGroup(Group):
    """Skips of stride 1."""

    def names(self) -> dict[str, str]:
        """See `Group.names`."""
        return {}

    def add(self, leaving: Leaving, chosen: list[int], parts: Parts) -> None:
        """See `Group.add`."""
        scale = self.scale(leaving, self.which(chosen))
        parts.shared.append(Shared(pixels(leaving.x), scale, tuple(chosen)))
