"""Differentiable kernels of the fused supernet: depthwise and pointwise convolutions of many edges at once.

Pictures are held as channels_last, so that (n, k * c, h, w) is also a matrix of pixels (p, k, c) without a copy.
Each kernel has a first derivative written by hand; where a graph of the derivative is asked for (second-order
steps), it is replayed with the library's own operations, which can be differentiated as often as one likes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

_LAST = torch.channels_last
_backward = torch.ops.aten.convolution_backward


def pixels(x: Tensor) -> Tensor:
    """(n, c, h, w) as (n * h * w, c); a view where x is channels_last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def pictures(rows: Tensor, like: Sequence[int]) -> Tensor:
    """The inverse of `pixels`: (n * h * w, ...) as (n, c, h, w), with n, h and w of `like`."""
    n, _, h, w = like
    return rows.reshape(n, h, w, -1).permute(0, 3, 1, 2)


class Depth(NamedTuple):
    """The form of a depthwise convolution."""

    stride: int
    padding: int
    dilation: int


class _Depthwise(torch.autograd.Function):
    """y = x * w; this and the two below are each other's derivatives, so that all orders are fast."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, form: Depth) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.form = form
        return torch.conv2d(x, w, None, form.stride, form.padding, form.dilation, w.shape[0])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, w = ctx.saved_tensors
        (g,) = grads
        gx = _DepthwiseData.apply(g, w, tuple(x.shape), ctx.form) if ctx.needs_input_grad[0] else None
        gw = _DepthwiseWeight.apply(g, x, tuple(w.shape), ctx.form) if ctx.needs_input_grad[1] else None
        return gx, gw, None


class _DepthwiseData(torch.autograd.Function):
    """The derivative by the input."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, w: Tensor, shape: tuple[int, ...], form: Depth) -> Tensor:
        ctx.save_for_backward(g, w)
        ctx.form = form
        return _input_gradient(g.contiguous(memory_format=_LAST), w, shape, form)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        g, w = ctx.saved_tensors
        (h,) = grads
        gg = _Depthwise.apply(h, w, ctx.form) if ctx.needs_input_grad[0] else None
        gw = _DepthwiseWeight.apply(g, h, tuple(w.shape), ctx.form) if ctx.needs_input_grad[1] else None
        return gg, gw, None, None


class _DepthwiseWeight(torch.autograd.Function):
    """The derivative by the weights."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, shape: tuple[int, ...], form: Depth) -> Tensor:
        ctx.save_for_backward(g, x)
        ctx.form = form
        return _weight_gradient(
            g.contiguous(memory_format=_LAST), x.contiguous(memory_format=_LAST), shape, form
        )

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        g, x = ctx.saved_tensors
        (v,) = grads
        gg = _Depthwise.apply(x, v, ctx.form) if ctx.needs_input_grad[0] else None
        gx = _DepthwiseData.apply(g, v, tuple(x.shape), ctx.form) if ctx.needs_input_grad[1] else None
        return gg, gx, None, None


def _input_gradient(g: Tensor, w: Tensor, shape: tuple[int, ...], form: Depth) -> Tensor:
    if form.stride == 1:  # the transposed convolution is one with the kernel turned round: faster if dilated
        return torch.conv2d(g, w.flip(2, 3), None, 1, form.padding, form.dilation, w.shape[0])
    like = g.new_empty(()).expand(shape)
    return cast(Tensor, _gradients(g, like, w, form, (True, False, False))[0])


def _weight_gradient(g: Tensor, x: Tensor, shape: tuple[int, ...], form: Depth) -> Tensor:
    like = g.new_empty(()).expand(shape)
    return cast(Tensor, _gradients(g, x, like, form, (False, True, False))[1])


def _gradients(g: Tensor, x: Tensor, w: Tensor, form: Depth, mask: tuple[bool, bool, bool]) -> Any:
    two = [form.stride] * 2, [form.padding] * 2, [form.dilation] * 2
    return _backward(g, x, w, None, *two, False, [0, 0], w.shape[0], list(mask))


def depthwise(x: Tensor, w: Tensor, form: Depth) -> Tensor:
    """Depthwise convolution.

    Args:
        x: (n, g, h, w).
        w: (g, 1, k, k).
    """
    return cast(Tensor, _Depthwise.apply(x, w, form))


class _Copies(torch.autograd.Function):
    """(n, c, h, w) as (n, k * c, h, w)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, times: int) -> Tensor:
        ctx.times = times
        return torch.cat([x] * times, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (g,) = grads
        rows = pixels(g)
        return pictures(rows.view(len(rows), ctx.times, -1).sum(1), g.shape), None


def copies(x: Tensor, times: int) -> Tensor:
    """The same channels several times: (n, c, h, w) to (n, times * c, h, w)."""
    return x if times == 1 else cast(Tensor, _Copies.apply(x, times))


def replay(native: Callable[..., Any], inputs: Sequence[Tensor], grads: Sequence[Any]) -> list[Any]:
    """Gradients of a function by its inputs, with a graph of their own."""
    with torch.enable_grad():
        inputs = [x.view_as(x) for x in inputs]  # else one input's way to another would count, too
        out = native(*inputs)
    outs = [out] if isinstance(out, Tensor) else list(out)
    pairs = [(y, g) for y, g in zip(outs, grads, strict=True) if g is not None]
    wanted = [x for x in inputs if x.requires_grad]
    found = iter(
        torch.autograd.grad(
            [y for y, _ in pairs], wanted, [g for _, g in pairs], create_graph=True, allow_unused=True
        )
    )
    return [next(found) if x.requires_grad else None for x in inputs]


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        out = x.new_empty(len(x), w.shape[0], w.shape[1])
        for k in range(len(w)):
            torch.mm(x[:, k], w[k].t(), out=out[:, k])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, w = ctx.saved_tensors
        (g,) = grads
        if torch.is_grad_enabled():
            return tuple(replay(_pointwise_native, (x, w), (g,)))
        gx, gw = torch.empty_like(x), torch.empty_like(w)
        for k in range(len(w)):
            torch.mm(g[:, k], w[k], out=gx[:, k])
            torch.mm(g[:, k].t(), x[:, k], out=gw[k])
        return gx, gw


def _pointwise_native(x: Tensor, w: Tensor) -> Tensor:
    return torch.einsum("pki,koi->pko", x, w)


def pointwise(x: Tensor, w: Tensor) -> Tensor:
    """1 x 1 convolutions side by side.

    Args:
        x: (p, k, i).
        w: (k, o, i).

    Returns:
        (p, k, o).
    """
    return cast(Tensor, _Pointwise.apply(x, w))


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Any:
        ctx.save_for_backward(x)
        second = torch.bmm(x.permute(1, 2, 0), x.permute(1, 0, 2)).div_(len(x))
        return x.mean(0), second

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x,) = ctx.saved_tensors
        first, second = grads
        if torch.is_grad_enabled():
            return replay(_moments_native, (x,), grads)[0]
        out = torch.empty_like(x)
        first = first / len(x)
        second = (second + second.transpose(1, 2)) / len(x)
        for k in range(x.shape[1]):
            torch.addmm(first[k], x[:, k], second[k], out=out[:, k])
        return out


def _moments_native(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.mean(0), torch.einsum("pki,pkj->kij", x, x) / len(x)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """First and second moments of each group of channels.

    Args:
        x: (p, k, i).

    Returns:
        Mean (k, i), and mean of the outer product (k, i, i); the covariance is the second less the outer
        product of the first.
    """
    return cast(tuple[Tensor, Tensor], _Moments.apply(x))


class Layout(NamedTuple):
    """Which edge each part of a mixture goes to.

    Attributes:
        edges: how many there are.
        dense: for each dense part, the edge of each of its groups; one group may go to many edges.
        shared: for each shared part, the edges that it goes to.
    """

    edges: int
    dense: tuple[tuple[int, ...], ...]
    shared: tuple[tuple[int, ...], ...]


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layout: Layout, *tensors: Tensor) -> Any:
        ctx.save_for_backward(*tensors)
        ctx.layout = layout
        ctx.set_materialize_grads(False)
        parts, weights, shared, scales, bias = _split(layout, tensors)
        outs: list[Tensor | None] = [None] * layout.edges
        for x, w, edges in zip(parts, weights, layout.dense, strict=True):
            for k, edge in enumerate(edges):
                out = outs[edge]
                group = x[:, k % x.shape[1]]
                if out is None:
                    outs[edge] = torch.addmm(bias[edge], group, w[k].t())
                else:
                    out.addmm_(group, w[k].t())
        for base, scale, edges in zip(shared, scales, layout.shared, strict=True):
            for k, edge in enumerate(edges):
                out = outs[edge]
                if out is None:
                    out = outs[edge] = bias[edge].expand_as(base).clone(memory_format=torch.contiguous_format)
                out.addcmul_(base, scale[k])
        return tuple(outs)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        layout, tensors = ctx.layout, ctx.saved_tensors
        if torch.is_grad_enabled():
            return (None, *replay(lambda *given: _mix_native(layout, given), tensors, grads))
        return (None, *_mix_backward(layout, tensors, grads))


def _split(layout: Layout, tensors: Sequence[Tensor]) -> Any:
    n, m = len(layout.dense), len(layout.shared)
    return (
        tensors[:n],
        tensors[n : 2 * n],
        tensors[2 * n : 2 * n + m],
        tensors[2 * n + m : 2 * n + 2 * m],
        tensors[-1],
    )


def _mix_backward(layout: Layout, tensors: Sequence[Tensor], grads: Sequence[Tensor | None]) -> list[Tensor]:
    parts, weights, shared, scales, bias = _split(layout, tensors)
    zero = bias.new_zeros(len(parts[0] if parts else shared[0]), bias.shape[1])
    given = [zero if g is None else g.contiguous() for g in grads]
    by_parts, by_weights = [], []
    for x, w, edges in zip(parts, weights, layout.dense, strict=True):
        gx, gw = torch.empty_like(x), torch.empty_like(w)
        for k, edge in enumerate(edges):
            if k < x.shape[1]:
                torch.mm(given[edge], w[k], out=gx[:, k])
            else:
                gx[:, 0].addmm_(given[edge], w[k])
            torch.mm(given[edge].t(), x[:, k % x.shape[1]], out=gw[k])
        by_parts.append(gx)
        by_weights.append(gw)
    by_shared, by_scales = [], []
    for base, scale, edges in zip(shared, scales, layout.shared, strict=True):
        gb, gs = torch.zeros_like(base), torch.empty_like(scale)
        for k, edge in enumerate(edges):
            gb.addcmul_(given[edge], scale[k])
            if scale.dim() == 1:
                gs[k] = torch.dot(given[edge].reshape(-1), base.reshape(-1))
            else:
                gs[k] = (given[edge] * base).sum(0)
        by_shared.append(gb)
        by_scales.append(gs)
    return [*by_parts, *by_weights, *by_shared, *by_scales, torch.stack([g.sum(0) for g in given])]


def _mix_native(layout: Layout, tensors: Sequence[Tensor]) -> list[Tensor]:
    parts, weights, shared, scales, bias = _split(layout, tensors)
    count = len(parts[0] if parts else shared[0])
    outs = [bias[edge].expand(count, -1) for edge in range(layout.edges)]
    for x, w, edges in zip(parts, weights, layout.dense, strict=True):
        for k, edge in enumerate(edges):
            outs[edge] = outs[edge] + x[:, k % x.shape[1]] @ w[k].t()
    for base, scale, edges in zip(shared, scales, layout.shared, strict=True):
        for k, edge in enumerate(edges):
            outs[edge] = outs[edge] + base * scale[k]
    return outs


def mix(
    layout: Layout,
    dense: Sequence[tuple[Tensor, Tensor]],
    shared: Sequence[tuple[Tensor, Tensor]],
    bias: Tensor,
) -> tuple[Tensor, ...]:
    """What leaves a node, one map an edge: y_e = bias_e + sum of x_k w_k^T + sum of base * scale.

    Args:
        dense: (p, k, i), or (p, 1, i) for all, and its weights (k, o, i).
        shared: (p, o), and its scales, (edges,) or (edges, o).
        bias: (edges, o).

    Returns:
        For each edge (p, o).
    """
    tensors = (
        *(x for x, _ in dense),
        *(w for _, w in dense),
        *(x for x, _ in shared),
        *(w for _, w in shared),
        bias,
    )
    return cast(tuple[Tensor, ...], _Mix.apply(layout, *tensors))
