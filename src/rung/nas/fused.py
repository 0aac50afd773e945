"""A cell of the supernet in fused form: all edges that leave a node are computed together.

It gives the same numbers as the plain form, at less cost:

- one ReLU, each pooling and each skip once a node instead of once an edge;
- one depthwise convolution for all edges that leave a node and have the same kernel;
- the last pointwise convolution, its normalisation and the mixing are one convolution (`folded`);
- the zero operation is left out;
- maps lie in memory with their channels last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from rung.errors import SpaceError
from rung.nas.fused_functions import copies, pictures
from rung.nas.fused_groups import (
    Group,
    IdentityGroup,
    Leaving,
    Moved,
    Parts,
    PoolGroup,
    ReduceGroup,
    SeparableGroup,
)
from rung.nas.operations import FactorizedReduce, Operation
from rung.nas.plain import Mask, PlainBody, candidates_mask
from rung.nas.space import Cell


class FusedBody(nn.Module):
    """The edges of one cell, and its nodes as sums of what enters them; in place of a `PlainBody`.

    An operation without a fused form stays a module on each edge. For the same random state before, the
    weights are the plain form's.

    Args:
        cell: what is searched.
        channels: of each node.
        reduction: whether edges from inputs have stride 2.
        table: operations by name.

    Attributes:
        alive: (E, O): what has not been pruned.
        skip_dropout: probability with which an element of a skip's output is zeroed while training.
        moved: since it was last cleared, what pruning did to parameters: the old one, the one in its place
            (None if nothing is left of it), and which of the old one's rows it has.
    """

    def __init__(self, cell: Cell, channels: int, reduction: bool, table: Mapping[str, Operation]) -> None:
        super().__init__()
        self.cell, self.channels = cell, channels
        self.alive: Mask = candidates_mask(cell)
        self.skip_dropout = 0.0
        self.moved: Moved = []
        self.strides = [2 if reduction and source < cell.inputs else 1 for source in range(cell.targets[-1])]
        self.groups = nn.ModuleDict()  # by source and operation
        self.modules_of = nn.ModuleDict()  # by edge and operation: those without a fused form
        plain = PlainBody(cell, channels, reduction, table)
        for source in range(cell.targets[-1]):
            for column, name in enumerate(cell.operations):
                edges = [e for e, (s, _) in enumerate(cell.edges) if s == source and self.alive[e, column]]
                if edges and not table[name].zero:
                    modules = [cast(nn.ModuleDict, plain.edges[edge])[name] for edge in edges]
                    group = group_of(column, edges, table[name], (channels, self.strides[source]), modules[0])
                    if group is None:
                        self.modules_of.update(
                            {f"{e}-{column}": m for e, m in zip(edges, modules, strict=True)}
                        )
                    else:
                        self.groups[f"{source}-{column}"] = group
        self.load_plain_state(plain.plain_state())

    def forward(self, inputs: list[Tensor], mixture: Tensor, active: Mask | None = None) -> Tensor:
        """The cell's output; see `rung.nas.plain.PlainBody.forward`."""
        used = self.alive if active is None else self.alive & active
        states = [x.contiguous(memory_format=torch.channels_last) for x in inputs]
        mixture = mixture.to(states[0].dtype)
        totals: dict[int, Tensor] = {}
        for node in range(self.cell.targets[-1] + 1):
            if node >= self.cell.inputs:
                states.append(totals.pop(node) if node in totals else self._nothing(states))
            if node < self.cell.targets[-1]:
                for edge, y in self._leave(node, states[node], mixture, used):
                    target = self.cell.edges[edge][1]
                    totals[target] = totals[target] + y if target in totals else y
        nodes = [states[node] for node in self.cell.concat]
        if self.cell.output == "mean":
            return torch.stack(nodes).mean(0)
        return nodes[0] if len(nodes) == 1 else torch.cat(nodes, 1)

    def _leave(self, node: int, x: Tensor, mixture: Tensor, used: Mask) -> list[tuple[int, Tensor]]:
        """What leaves a node: (number of the edge, what it adds to its target)."""
        rectified = torch.relu(x)
        cache: dict[tuple[int, int], Tensor] = {}

        def several(times: int, step: int) -> Tensor:
            if (times, step) not in cache:
                every = rectified if step == 1 else rectified[:, :, ::step, ::step]
                cache[times, step] = copies(every.contiguous(memory_format=torch.channels_last), times)
            return cache[times, step]

        leaving, parts = Leaving(x, rectified, several, mixture), Parts()
        found: list[tuple[int, Tensor]] = []
        for group in self._leaving(node):
            chosen = [edge for edge in group.edges if used[edge, group.column]]
            skip = self.cell.operations[group.column] == "skip_connect"
            if chosen and skip and self.skip_dropout and self.training:
                found += self._dropped(group, leaving, chosen)
            elif chosen:
                group.add(leaving, chosen, parts)
        found += self._mixed(parts, x, self.strides[node])
        for key, module in self.modules_of.items():
            edge, column = map(int, key.split("-"))
            if self.cell.edges[edge][0] == node and used[edge, column]:
                found.append((edge, mixture[edge, column] * module(x)))
        return found

    def _dropped(self, group: Group, leaving: Leaving, chosen: list[int]) -> list[tuple[int, Tensor]]:
        parts = Parts()
        group.add(leaving, chosen, parts)
        node = self.cell.edges[chosen[0]][0]
        outs = self._mixed(parts, leaving.x, self.strides[node])
        return [(edge, nn.functional.dropout(y, self.skip_dropout)) for edge, y in outs]

    def _mixed(self, parts: Parts, x: Tensor, stride: int) -> list[tuple[int, Tensor]]:
        n, c, h, w = x.shape
        like = (n, c, -(-h // stride), -(-w // stride))
        return [(edge, pictures(out, like)) for edge, out in parts.mixed()]

    def _leaving(self, node: int) -> list[Group]:
        columns = range(len(self.cell.operations))
        return [group for column in columns if (group := self._group(node, column)) is not None]

    def _group(self, source: int, column: int) -> Group | None:
        key = f"{source}-{column}"
        return cast(Group, self.groups[key]) if key in self.groups else None

    def _nothing(self, states: list[Tensor]) -> Tensor:
        """A node that nothing enters: zeros, of the size of the other nodes."""
        if len(states) > self.cell.inputs:
            return torch.zeros_like(states[-1])
        return torch.zeros_like(states[0][:, :, :: self.strides[0], :: self.strides[0]])

    def prune(self, edge: int, column: int) -> None:
        """Remove an operation from an edge: its weights; `moved` says what became of the parameters."""
        self.alive[edge, column] = False
        source = self.cell.edges[edge][0]
        group, key = self._group(source, column), f"{edge}-{column}"
        if group is not None:
            group.prune(edge, self.moved)
            if not group.edges:
                del self.groups[f"{source}-{column}"]
        elif key in self.modules_of:
            self.moved += [(old, None, None) for old in self.modules_of[key].parameters()]
            del self.modules_of[key]

    def plain_state(self) -> dict[str, Tensor]:
        """Weights and statistics under the plain form's names, such as `edges.3.sep_conv_3x3.1.weight`."""
        state: dict[str, Tensor] = {}
        for edge, column in np.argwhere(self.alive):
            part = self._state(int(edge), int(column))
            start = f"edges.{edge}.{self.cell.operations[column]}."
            state |= {f"{start}{name}": value for name, value in part.items()}
        return state

    def _state(self, edge: int, column: int) -> dict[str, Tensor]:
        group, key = self._group(self.cell.edges[edge][0], column), f"{edge}-{column}"
        if group is not None:
            return group.state(edge)
        return dict(self.modules_of[key].state_dict()) if key in self.modules_of else {}

    def load_plain_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `plain_state` gave.

        Raises:
            SpaceError: it is of another cell, or one that was pruned otherwise.
        """
        own = set(self.plain_state())
        if own != set(state):
            some = sorted(own ^ set(state))[:3]
            raise SpaceError(f"these are the weights of another cell, or one pruned otherwise: see {some}")
        for edge, column in np.argwhere(self.alive):
            start = f"edges.{edge}.{self.cell.operations[column]}."
            part = {name.removeprefix(start): v for name, v in state.items() if name.startswith(start)}
            group, key = self._group(self.cell.edges[edge][0], int(column)), f"{edge}-{column}"
            if group is not None:
                group.load(int(edge), part)
            elif key in self.modules_of:
                self.modules_of[key].load_state_dict(part)


def group_of(
    column: int, edges: list[int], operation: Operation, place: tuple[int, int], module: nn.Module
) -> Group | None:
    """The fused form of an operation, if it has one.

    Args:
        place: channels and stride.
        module: the plain form of one edge.
    """
    channels, stride = place
    if operation.separable is not None:
        return SeparableGroup(column, edges, channels, stride, operation.separable)
    if operation.pool and isinstance(module, nn.Sequential) and not module[0].state_dict():
        return PoolGroup(column, edges, channels, module[0])
    if isinstance(module, nn.Identity):
        return IdentityGroup(column, edges)
    if isinstance(module, FactorizedReduce):
        return ReduceGroup(column, edges, channels)
    return None
