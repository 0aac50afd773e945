"""The mixed recurrent cell over all steps as one function of autograd, its gradient written out.

The same sums as `rung.nas.recurrent.stepwise`, which autograd differentiates by itself, at a
third of its overhead: autograd would record some forty small operations for each node of each step. A second
derivative (the exact mode of second-order DARTS) goes through `stepwise`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

import torch
from torch import Tensor, nn

from rung.nas.recurrent.masks import masked
from rung.nas.recurrent.stepwise import Inputs, Wiring, read, rearranged, stepwise


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


@dataclass
class Tape:
    """What the gradient needs of a step.

    Attributes:
        h: the output of the step before (rows, hidden).
        gates: sigmoid(c0) and tanh(h0) beside each other (rows, 2 hidden).
        raw: states before they are normalised, by number.
        moments: of the normalisations, by number.
        states, seen: after it, and masked (1 + nodes, rows, hidden).
        products: of each node, sigmoid(c) and h beside each other (states read, rows, 2 hidden).
    """

    h: Tensor
    gates: Tensor
    raw: list[Tensor]
    moments: list[tuple[Tensor, Tensor]]
    states: Tensor
    seen: Tensor
    products: list[Tensor]


def _tanh_slope(y: Tensor, _: Tensor) -> Tensor:
    return 1.0 - y * y


def _relu_slope(_: Tensor, x: Tensor) -> Tensor:
    return (x > 0).to(x)


def _sigmoid_slope(y: Tensor, _: Tensor) -> Tensor:
    return y * (1.0 - y)


_SLOPES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "tanh": _tanh_slope,
    "relu": _relu_slope,
    "sigmoid": _sigmoid_slope,
}
_VALUES: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
}


def _add(total: Tensor, sources: tuple[int, ...], part: Tensor) -> None:
    if sources == tuple(range(len(sources))):
        total[: len(sources)] += part
    else:
        total.index_add_(0, torch.tensor(sources, device=total.device), part)


def _forward_step(wiring: Wiring, norm: Norm | None, given: Inputs, begun: Tensor, h: Tensor) -> Tape:
    """One step: all states."""
    rows, size = h.shape
    gates = torch.addmm(begun, masked(h, given.mask), given.first)
    gates[:, :size].sigmoid_()
    gates[:, size:].tanh_()
    states = h.new_empty(1 + len(wiring.nodes), rows, size)
    seen = states if given.mask is None else torch.empty_like(states)
    tape = Tape(h, gates, [], [], states, seen, [])
    _settle(tape, 0, torch.lerp(h, gates[:, size:], gates[:, :size]), norm, given.mask)
    at = 0
    for number, (sources, names) in enumerate(wiring.nodes, 1):
        if not sources:
            _settle(tape, number, torch.zeros_like(h), norm, given.mask)
            continue
        weights = given.weights[at].t()[:, :, None, None]  # (activations, states read, 1, 1)
        product = read(seen, sources) @ given.matrices[at]
        c, x = product[..., :size].sigmoid_(), product[..., size:]
        mixed = _mixed(names, x, weights)
        kept = weights.sum(0) * read(states, sources)
        tape.products.append(product)
        _settle(tape, number, torch.lerp(kept, mixed, c).sum(0), norm, given.mask)
        at += 1
    return tape


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


def _mixed(names: tuple[str, ...], x: Tensor, weights: Tensor) -> Tensor:
    """sum_f p_f f(x)."""
    total: Tensor | None = None
    for name, weight in zip(names, weights, strict=True):
        y = x if name not in _VALUES else _VALUES[name](x)
        total = y * weight if total is None else total.addcmul_(y, weight)
    assert total is not None
    return total


@dataclass
class Slopes:
    """Gradients under way, of everything that steps share."""

    begun: Tensor
    first: Tensor
    weights: list[Tensor]
    matrices: list[Tensor]

    @staticmethod
    def zero(given: Inputs) -> Slopes:
        """Before the last step."""
        return Slopes(
            torch.empty_like(given.begun),
            torch.zeros_like(given.first),
            [torch.zeros_like(weight) for weight in given.weights],
            [torch.zeros_like(matrix) for matrix in given.matrices],
        )


def _backward_step(
    wiring: Wiring, norm: Norm | None, given: Inputs, tape: Tape, slope: Tensor, slopes: Slopes, step: int
) -> Tensor:
    """The gradient of the step's first state h, from that of its output."""
    size = slope.shape[1]
    own = torch.zeros_like(tape.states)  # of the states
    through = own if given.mask is None else torch.zeros_like(tape.states)  # of the states as seen
    share = slope / len(wiring.concat)
    for number in wiring.concat:
        own[number] += share
    at = len(given.matrices)
    for number in range(len(wiring.nodes), 0, -1):
        sources, names = wiring.nodes[number - 1]
        if not sources:
            continue
        at -= 1
        g = _raw_slope(tape, number, own, through, norm, given.mask)
        product, kept = _node_slopes(
            names, given.weights[at], tape.products[at], read(tape.states, sources), g, slopes.weights[at]
        )
        flat = product.view(-1, 2 * size)
        slopes.matrices[at].addmm_(read(tape.seen, sources).reshape(-1, size).t(), flat)
        _add(own, sources, kept)
        _add(through, sources, (flat @ given.matrices[at].t()).view_as(kept))
    g = _raw_slope(tape, 0, own, through, norm, given.mask)
    c, y = tape.gates[:, :size], tape.gates[:, size:]
    gc = g * c
    begun = slopes.begun[step]
    begun[:, :size] = (y - tape.h) * gc * (1.0 - c)
    begun[:, size:] = gc * (1.0 - y * y)
    slopes.first.addmm_(masked(tape.h, given.mask).t(), begun)
    return g - gc + masked(begun @ given.first.t(), given.mask)


def _raw_slope(
    tape: Tape, number: int, own: Tensor, through: Tensor, norm: Norm | None, mask: Tensor | None
) -> Tensor:
    """The gradient of a state before it is normalised."""
    g = own[number] if mask is None else torch.addcmul(own[number], through[number], mask)
    return g if norm is None else norm.backward(g, tape.raw[number], *tape.moments[number])


def _node_slopes(
    names: tuple[str, ...], weights: Tensor, product: Tensor, states: Tensor, g: Tensor, total: Tensor
) -> tuple[Tensor, Tensor]:
    """Of a node, the gradients of its product (states read, rows, 2 hidden) and of the states it keeps.

    Args:
        total: (states read, activations), to which the gradient of the weights is added.
    """
    size = g.shape[1]
    c, x = product[..., :size], product[..., size:]
    gc = g * c
    mixed = slope = None
    for column, name in enumerate(names):
        y = x if name not in _VALUES else _VALUES[name](x)
        weight = weights[:, column, None, None]
        total[:, column] += (gc * y).sum((1, 2))
        mixed = y * weight if mixed is None else mixed.addcmul_(y, weight)
        part = weight if name not in _SLOPES else _SLOPES[name](y, x).mul_(weight)
        slope = part if slope is None else slope + part
    assert mixed is not None
    assert slope is not None
    kept = weights.sum(1)[:, None, None]
    rest = g - gc
    total += (rest * states).sum((1, 2))[:, None]
    found = torch.empty_like(product)
    torch.mul(gc, slope, out=found[..., size:])
    torch.mul((mixed - kept * states).mul_(gc), 1.0 - c, out=found[..., :size])
    return found, rest.mul_(kept)


class _Unrolled(torch.autograd.Function):
    """All steps."""

    @staticmethod
    def forward(ctx: Any, wiring: Wiring, norm: Norm | None, mask: Tensor | None, *tensors: Tensor) -> Tensor:
        """Outputs (steps, rows, hidden)."""
        given = _inputs(mask, tensors)
        tapes: list[Tape] = []
        h, outputs = given.h, []
        for begun in given.begun.unbind(0):
            tape = _forward_step(wiring, norm, given, begun, h)
            h = read(tape.states, wiring.concat).mean(0)
            outputs.append(h)
            tapes.append(tape)
        ctx.wiring, ctx.norm, ctx.mask, ctx.tapes = wiring, norm, mask, tapes
        ctx.save_for_backward(*tensors)
        return torch.stack(outputs)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        """Gradients of all tensors; differentiable if a graph is asked for."""
        (slope,) = slopes
        given = _inputs(ctx.mask, ctx.saved_tensors)
        if torch.is_grad_enabled():
            return (None, None, None, *_differentiable(ctx, given, slope))
        found = Slopes.zero(given)
        h = torch.zeros_like(given.h)
        for step in range(len(slope) - 1, -1, -1):
            h = _backward_step(ctx.wiring, ctx.norm, given, ctx.tapes[step], slope[step] + h, found, step)
        return (None, None, None, found.begun, h, found.first, *found.weights, *found.matrices)


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
