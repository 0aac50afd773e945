"""The mixed recurrent cell over all steps as one function of autograd, its gradient written out.

The same sums as `rung.nas.recurrent.stepwise`, which autograd differentiates by itself, recording some forty
small operations for each node of each step. A second derivative (the exact mode of second-order DARTS) goes
through `stepwise`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

import torch
from torch import Tensor, nn

from rung.nas.recurrent.masks import masked
from rung.nas.recurrent.stepwise import Inputs, Wiring, read, rearranged, stepwise


def _tanh(x: Tensor, y: Tensor) -> None:
    torch.tanh(x, out=y)


def _relu(x: Tensor, y: Tensor) -> None:
    torch.clamp_min(x, 0.0, out=y)


def _sigmoid(x: Tensor, y: Tensor) -> None:
    torch.sigmoid(x, out=y)


def _identity(x: Tensor, y: Tensor) -> None:
    y.copy_(x)


def _tanh_slope(total: Tensor, y: Tensor, weight: Tensor) -> None:
    total.add_(weight).addcmul_(y * y, weight, value=-1.0)


def _relu_slope(total: Tensor, y: Tensor, weight: Tensor) -> None:
    total.addcmul_(torch.sign(y), weight)


def _sigmoid_slope(total: Tensor, y: Tensor, weight: Tensor) -> None:
    total.addcmul_(y - y * y, weight)


def _identity_slope(total: Tensor, _: Tensor, weight: Tensor) -> None:
    total.add_(weight)


# y = f(x), and total += weight f'(x) from y, in place: x, y, total (states read, rows, hidden)
_VALUES: Final = {"tanh": _tanh, "relu": _relu, "sigmoid": _sigmoid, "identity": _identity}
_SLOPES: Final = {
    "tanh": _tanh_slope,
    "relu": _relu_slope,
    "sigmoid": _sigmoid_slope,
    "identity": _identity_slope,
}


class Norm(NamedTuple):
    """A normalisation without weights, as `torch.nn.BatchNorm1d` would do it at this moment.

    Attributes:
        mean, var: running statistics, to be used or updated; None for neither.
        batch: whether the batch's own statistics are used.
        momentum, eps: of the module.
    """

    mean: Tensor | None
    var: Tensor | None
    batch: bool
    momentum: float
    eps: float

    @staticmethod
    def of(module: nn.BatchNorm1d) -> Norm:
        """What it does in its present mode."""
        running = not module.training or module.track_running_stats
        return Norm(
            module.running_mean if running else None,
            module.running_var if running else None,
            module.training or module.running_mean is None,
            module.momentum or 0.0,
            module.eps,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Differentiable, and without touching running statistics while the batch's are used."""
        if self.batch:
            return nn.functional.batch_norm(x, None, None, training=True, eps=self.eps)
        return nn.functional.batch_norm(x, self.mean, self.var, training=False, eps=self.eps)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The value, and what `backward` needs; running statistics are updated."""
        return torch.native_batch_norm(
            x, None, None, self.mean, self.var, self.batch, self.momentum, self.eps
        )

    def backward(self, slope: Tensor, x: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        """The gradient of `x` from that of the value."""
        found = torch.ops.aten.native_batch_norm_backward(
            slope, x, None, self.mean, self.var, mean, scale, self.batch, self.eps, [True, False, False]
        )
        return cast(Tensor, found[0])


class Node(NamedTuple):
    """What is the same of a node at every step.

    Attributes:
        number: its state's.
        sources: states that it reads.
        places: the same as a tensor, where they are not all up to some state; else None.
        names: activations, in the order of `mix`.
        mix: weights (states read, 1, activations).
        kept: their sums (states read, 1, 1).
        matrix: (hidden, 2 hidden).
    """

    number: int
    sources: tuple[int, ...]
    places: Tensor | None
    names: tuple[str, ...]
    mix: Tensor
    kept: Tensor
    matrix: Tensor

    def read(self, states: Tensor) -> Tensor:
        """The states that are read: a view, where it can be one."""
        return states[: len(self.sources)] if self.places is None else states[self.places]

    def add(self, total: Tensor, part: Tensor) -> None:
        """Add to the states that are read."""
        if self.places is None:
            total[: len(self.sources)] += part
        else:
            total.index_add_(0, self.places, part)


def _nodes(wiring: Wiring, given: Inputs) -> list[Node | None]:
    """Of each node that reads anything; None for the others."""
    found: list[Node | None] = []
    pairs = iter(zip(given.weights, given.matrices, strict=True))
    for number, (sources, names) in enumerate(wiring.nodes, 1):
        if not sources:
            found.append(None)
            continue
        weights, matrix = next(pairs)
        mix = weights.to(matrix.dtype)[:, None, :].contiguous()
        first = sources == tuple(range(len(sources)))
        places = None if first else torch.tensor(sources, device=matrix.device)
        found.append(Node(number, sources, places, names, mix, mix.sum(2, keepdim=True), matrix))
    return found


@dataclass
class Read:
    """What a node made of the states that it read, at a step.

    Attributes:
        c: gates sigmoid(c) (states read, rows, hidden).
        values: f(x) of each activation (states read, activations, rows * hidden).
        mixed: their weighted sum, less the weighted state (states read, rows, hidden).
    """

    c: Tensor
    values: Tensor
    mixed: Tensor


@dataclass
class Tape:
    """What the gradient needs of a step.

    Attributes:
        h: the output of the step before (rows, hidden).
        gates: sigmoid(c0) and tanh(h0) beside each other (rows, 2 hidden).
        raw: states before they are normalised, by number.
        moments: of the normalisations, by number.
        states, seen: after it, and masked (1 + nodes, rows, hidden).
        reads: of each node that reads anything, by number.
    """

    h: Tensor
    gates: Tensor
    raw: list[Tensor]
    moments: list[tuple[Tensor, Tensor]]
    states: Tensor
    seen: Tensor
    reads: dict[int, Read]


def _forward_step(
    nodes: list[Node | None], norm: Norm | None, given: Inputs, begun: Tensor, h: Tensor
) -> Tape:
    """One step: all states."""
    rows, size = h.shape
    gates = torch.addmm(begun, masked(h, given.mask), given.first)
    gates[:, :size].sigmoid_()
    gates[:, size:].tanh_()
    states = h.new_empty(1 + len(nodes), rows, size)
    seen = states if given.mask is None else torch.empty_like(states)
    tape = Tape(h, gates, [], [], states, seen, {})
    _settle(tape, 0, torch.lerp(h, gates[:, size:], gates[:, :size]), norm, given.mask)
    for number, node in enumerate(nodes, 1):
        if node is None:
            raw = torch.zeros_like(h)
        else:
            kept = node.kept * node.read(states)
            made = tape.reads[number] = _read(node, seen, kept)
            raw = kept.addcmul_(made.c, made.mixed).sum(0)
        _settle(tape, number, raw, norm, given.mask)
    return tape


def _read(node: Node, seen: Tensor, kept: Tensor) -> Read:
    product = node.read(seen) @ node.matrix
    size = kept.shape[-1]
    c, x = product[..., :size].sigmoid_(), product[..., size:]
    values = x.new_empty(len(x), len(node.names), x[0].numel())
    for column, name in enumerate(node.names):
        _VALUES[name](x, values[:, column].view(x.shape))
    mixed = torch.bmm(node.mix, values).view(x.shape).sub_(kept)
    return Read(c, values, mixed)


def _settle(tape: Tape, number: int, raw: Tensor, norm: Norm | None, mask: Tensor | None) -> None:
    """Write a state down."""
    if norm is None:
        tape.states[number] = raw
    else:
        value, mean, scale = norm.forward(raw)
        tape.states[number] = value
        tape.raw.append(raw)
        tape.moments.append((mean, scale))
    if mask is not None:
        torch.mul(tape.states[number], mask, out=tape.seen[number])


@dataclass
class Slopes:
    """Gradients under way, of everything that steps share; of nodes, by number.

    Attributes:
        learning: whether those of the matrices are wanted.
    """

    learning: bool
    begun: Tensor
    first: Tensor
    mixes: dict[int, Tensor]
    matrices: dict[int, Tensor]

    @staticmethod
    def zero(nodes: list[Node | None], given: Inputs, learning: bool) -> Slopes:
        """Before the last step."""
        return Slopes(
            learning,
            torch.empty_like(given.begun),
            torch.zeros_like(given.first),
            {node.number: torch.zeros_like(node.mix) for node in nodes if node is not None},
            {node.number: torch.zeros_like(node.matrix) for node in nodes if node is not None},
        )


def _backward_step(
    nodes: list[Node | None],
    norm: Norm | None,
    given: Inputs,
    tape: Tape,
    own: Tensor,
    slopes: Slopes,
    step: int,
) -> Tensor:
    """The gradient of the step's first h.

    Args:
        own: of the states, as far as the output reads them (1 + nodes, rows, hidden); written to.
    """
    size = own.shape[2]
    through = own if given.mask is None else torch.zeros_like(own)  # of the states as matrices see them
    for node in reversed(nodes):
        if node is None:
            continue
        g = _raw_slope(tape, node.number, own, through, norm, given.mask)
        product, kept = _node_slopes(node, tape, g, slopes.mixes[node.number])
        flat = product.view(-1, 2 * size)
        if slopes.learning:
            slopes.matrices[node.number].addmm_(node.read(tape.seen).reshape(-1, size).t(), flat)
        node.add(own, kept)
        node.add(through, (flat @ node.matrix.t()).view_as(kept))
    g = _raw_slope(tape, 0, own, through, norm, given.mask)
    c, y = tape.gates[:, :size], tape.gates[:, size:]
    gc = g * c
    begun = slopes.begun[step]
    begun[:, :size] = (y - tape.h) * gc * (1.0 - c)
    begun[:, size:] = gc * (1.0 - y * y)
    if slopes.learning:
        slopes.first.addmm_(masked(tape.h, given.mask).t(), begun)
    return g - gc + masked(begun @ given.first.t(), given.mask)


def _raw_slope(
    tape: Tape, number: int, own: Tensor, through: Tensor, norm: Norm | None, mask: Tensor | None
) -> Tensor:
    """The gradient of a state before it is normalised."""
    g = own[number] if mask is None else torch.addcmul(own[number], through[number], mask)
    return g if norm is None else norm.backward(g, tape.raw[number], *tape.moments[number])


def _node_slopes(node: Node, tape: Tape, g: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """Of a node, the gradients of its product (states read, rows, 2 hidden) and of the states it keeps.

    Args:
        g: of the node before it is normalised.
        total: (states read, 1, activations), to which the gradient of the weights is added.
    """
    made, size = tape.reads[node.number], g.shape[1]
    gc = g * made.c
    rest = g - gc
    count = len(gc)
    total += torch.bmm(gc.view(count, 1, -1), made.values.transpose(1, 2))
    total += torch.bmm(rest.view(count, 1, -1), node.read(tape.states).reshape(count, -1, 1))
    found = gc.new_empty(*gc.shape[:2], 2 * size)
    torch.mul(_slope(node, made), gc, out=found[..., size:])
    torch.mul(gc.mul_(made.mixed), 1.0 - made.c, out=found[..., :size])
    return found, rest.mul_(node.kept)


def _slope(node: Node, made: Read) -> Tensor:
    """The weighted sum of f'(x) (states read, rows, hidden)."""
    total = made.mixed.new_zeros(made.mixed.shape)
    for column, name in enumerate(node.names):
        _SLOPES[name](total, made.values[:, column].view(total.shape), node.mix[:, :, column, None])
    return total


class _Unrolled(torch.autograd.Function):
    """All steps."""

    @staticmethod
    def forward(ctx: Any, wiring: Wiring, norm: Norm | None, mask: Tensor | None, *tensors: Tensor) -> Tensor:
        """Outputs (steps, rows, hidden)."""
        given = _inputs(mask, tensors)
        nodes = _nodes(wiring, given)
        tapes: list[Tape] = []
        h, outputs = given.h, []
        for begun in given.begun.unbind(0):
            tape = _forward_step(nodes, norm, given, begun, h)
            h = read(tape.states, wiring.concat).mean(0)
            outputs.append(h)
            tapes.append(tape)
        ctx.wiring, ctx.norm, ctx.mask, ctx.nodes, ctx.tapes = wiring, norm, mask, nodes, tapes
        ctx.save_for_backward(*tensors)
        return torch.stack(outputs)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        """Gradients of all tensors; differentiable if a graph is asked for."""
        (slope,) = slopes
        given = _inputs(ctx.mask, ctx.saved_tensors)
        if torch.is_grad_enabled():
            return (None, None, None, *_differentiable(ctx, given, slope))
        found, concat = Slopes.zero(ctx.nodes, given, ctx.needs_input_grad[5]), list(ctx.wiring.concat)
        h = torch.zeros_like(given.h)
        for step in range(len(slope) - 1, -1, -1):
            tape = ctx.tapes[step]
            own = torch.zeros_like(tape.states)
            own[concat] = (slope[step] + h) / len(concat)
            h = _backward_step(ctx.nodes, ctx.norm, given, tape, own, found, step)
        mixes = [
            found.mixes[number][:, 0].to(weights.dtype)
            for number, weights in zip(sorted(found.mixes), given.weights, strict=True)
        ]
        matrices = [found.matrices[number] for number in sorted(found.matrices)]
        return (None, None, None, found.begun, h, found.first, *mixes, *matrices)


def _inputs(mask: Tensor | None, tensors: Sequence[Tensor]) -> Inputs:
    begun, h, first, *rest = tensors
    half = len(rest) // 2
    return Inputs(begun, h, mask, first, tuple(rest[:half]), tuple(rest[half:]))


def _differentiable(ctx: Any, given: Inputs, slope: Tensor) -> tuple[Tensor | None, ...]:
    """The same gradients with a graph, by what autograd makes of the steps one by one."""
    outputs = stepwise(ctx.wiring, ctx.norm, given, rearranged)
    tensors = ctx.saved_tensors
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    found = iter(torch.autograd.grad(outputs, wanted, slope, create_graph=True, allow_unused=True))
    return tuple(next(found) if tensor.requires_grad else None for tensor in tensors)


def unrolled(wiring: Wiring, norm: Norm | None, given: Inputs) -> Tensor:
    """Outputs of all steps (steps, rows, hidden)."""
    tensors = (given.begun, given.h, given.first, *given.weights, *given.matrices)
    return cast(Tensor, _Unrolled.apply(wiring, norm, given.mask, *tensors))  # type: ignore[no-untyped-call]
