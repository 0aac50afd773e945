"""Differentiable kernels of the fused supernet: depthwise and pointwise convolutions of many edges at once.

Pictures are held as channels_last, so that (n, k * c, h, w) is also a matrix of pixels (p, k, c), uncopied.
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


def applied(function: Any, *given: Any) -> Any:
    """`torch.autograd.Function.apply`, which has no types."""
    return function.apply(*given)


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
        gx = applied(_DepthwiseData, g, w, tuple(x.shape), ctx.form) if ctx.needs_input_grad[0] else None
        gw = applied(_DepthwiseWeight, g, x, tuple(w.shape), ctx.form) if ctx.needs_input_grad[1] else None
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
        gg = applied(_Depthwise, h, w, ctx.form) if ctx.needs_input_grad[0] else None
        gw = applied(_DepthwiseWeight, g, h, tuple(w.shape), ctx.form) if ctx.needs_input_grad[1] else None
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
        gg = applied(_Depthwise, x, v, ctx.form) if ctx.needs_input_grad[0] else None
        gx = applied(_DepthwiseData, g, v, tuple(x.shape), ctx.form) if ctx.needs_input_grad[1] else None
        return gg, gx, None, None


def _input_gradient(g: Tensor, w: Tensor, shape: tuple[int, ...], form: Depth) -> Tensor:
    if form.stride == 1:  # the transposed convolution is one with the kernel turned round: faster if dilated
        return torch.conv2d(g, w.flip(2, 3), None, 1, form.padding, form.dilation, w.shape[0])
    like = torch.empty(shape, dtype=g.dtype, device=g.device, memory_format=_LAST)
    return cast(Tensor, _gradients(g, like, w, form, (True, False, False))[0])


def _weight_gradient(g: Tensor, x: Tensor, shape: tuple[int, ...], form: Depth) -> Tensor:
    even = x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0
    if form.stride == 2 and form.dilation == 1 and shape[2] > 3 and even and not g.is_cuda:
        return _weight_gradient_by_parity(g, x, shape, form.padding)
    same = form.stride == 1 and 2 * form.padding == form.dilation * (shape[2] - 1)
    phases = all(side % form.dilation == 0 for side in x.shape[2:])
    if g.is_cuda or not same or not phases or (shape[2] <= 3 and form.dilation == 1):
        like = g.new_empty(shape)
        return cast(Tensor, _gradients(g, x, like, form, (False, True, False))[1])
    return _weight_gradient_by_columns(g, x, shape, form.dilation)


class _Taps(NamedTuple):
    """Those of a kernel's row that fall on pixels of one parity, and their places in a kernel of stride 1."""

    taps: slice
    place: slice


def _parities(kernel: int, padding: int) -> tuple[tuple[_Taps, _Taps], int]:
    """(even, odd) taps of a kernel of stride 2, and half the width of kernels of stride 1 that hold them."""
    half = max((padding + 1) // 2, (kernel - 1 - padding) // 2)
    found = []
    for parity in range(2):
        first = (padding + parity) % 2
        start = (first - padding - parity) // 2 + half
        found.append(_Taps(slice(first, None, 2), slice(start, start + len(range(first, kernel, 2)))))
    return (found[0], found[1]), half


def _weight_gradient_by_parity(g: Tensor, x: Tensor, shape: tuple[int, ...], padding: int) -> Tensor:
    """A convolution of stride 2 is the sum of four of stride 1, on every other pixel: faster on a CPU."""
    pair, half = _parities(shape[2], padding)
    out = g.new_empty(shape)
    one = (shape[0], 1, 2 * half + 1, 2 * half + 1)
    for a, rows in enumerate(pair):
        for b, columns in enumerate(pair):
            every = x[:, :, a::2, b::2].contiguous(memory_format=_LAST)
            part = _weight_gradient(g, every, one, Depth(1, half, 1))
            out[:, :, rows.taps, columns.taps] = part[:, :, rows.place, columns.place]
    return out


def _weight_gradient_by_columns(g: Tensor, x: Tensor, shape: tuple[int, ...], dilation: int) -> Tensor:
    """The same in steps that are fast on a CPU, whose library is slow where kernels are dilated or wide.

    A convolution dilated by d is one that is not, on the d * d pictures of every d-th pixel. A kernel's
    columns are found three at a time, from rows that are shifted by looking at them a pixel later.
    """
    k = shape[2]
    starts = sorted({*range(0, k - 2, 3), k - 3})
    shifts = [start + 1 - k // 2 for start in starts]  # of the middle of three columns
    slack = max(abs(shift) for shift in shifts)
    rows_g, rows_x = _Rows(g, dilation, slack, k), _Rows(x, dilation, slack, k)
    out = g.new_empty(shape)
    for start, shift in zip(starts, shifts, strict=True):
        left, right = rows_g.after(max(shift, 0)), rows_x.after(max(-shift, 0))
        like = g.new_empty(shape[0], 1, k, 3)
        out[:, :, :, start : start + 3] = _backward(
            left,
            right,
            like,
            None,
            [1, 1],
            [k // 2, 1],
            [1, 1],
            False,
            [0, 0],
            shape[0],
            [False, True, False],
        )[1]
    return out


class _Rows:
    """Pictures (n, c, h, w), every d-th pixel together, with zeros between their rows.

    They may be looked at from any of the zeros before the first pixel on, so that they are shifted for free.
    They are filled up with rows of zeros to the least height that the library's fast kernel takes.
    """

    def __init__(self, x: Tensor, dilation: int, slack: int, least: int) -> None:
        n, c, h, w = x.shape
        d = dilation
        height = max(h // d, least)
        self.slack, self.channels = slack, c
        self.shape = (d * d * n, height, w // d + slack, c)
        self.memory = x.new_empty(slack * c + self.shape[0] * self.shape[1] * self.shape[2] * c)
        self.memory[: slack * c] = 0.0
        rows = self.memory[slack * c :].view(d, d, n, height, w // d + slack, c)
        rows[..., w // d :, :] = 0.0
        rows[..., h // d :, :, :] = 0.0
        rows[..., : h // d, : w // d, :] = (
            x.permute(0, 2, 3, 1).view(n, h // d, d, w // d, d, c).permute(2, 4, 0, 1, 3, 5)
        )

    def after(self, zeros: int) -> Tensor:
        """(d * d * n, c, height, w / d + slack): so many zeros before each row, the others behind it."""
        start = (self.slack - zeros) * self.channels
        count = self.shape[0] * self.shape[1] * self.shape[2] * self.channels
        return self.memory[start : start + count].view(self.shape).permute(0, 3, 1, 2)


def _gradients(g: Tensor, x: Tensor, w: Tensor, form: Depth, mask: tuple[bool, bool, bool]) -> Any:
    two = [form.stride] * 2, [form.padding] * 2, [form.dilation] * 2
    return _backward(g, x, w, None, *two, False, [0, 0], w.shape[0], list(mask))


def depthwise(x: Tensor, w: Tensor, form: Depth) -> Tensor:
    """Depthwise convolution.

    Args:
        x: (n, g, h, w).
        w: (g, 1, k, k).
    """
    return cast(Tensor, applied(_Depthwise, x, w, form))


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
    return x if times == 1 else cast(Tensor, applied(_Copies, x, times))


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
        gx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        gw = torch.empty_like(w) if ctx.needs_input_grad[1] else None
        for k in range(len(w)):
            if gx is not None:
                torch.mm(g[:, k], w[k], out=gx[:, k])
            if gw is not None:
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
    return cast(Tensor, applied(_Pointwise, x, w))
