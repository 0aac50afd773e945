"""What leaves a node of the fused supernet: normalised pointwise convolutions and maps, mixed by edge.

A pointwise convolution, its normalisation and the mixing weight are one convolution: mean and variance of a
convolution's output follow from those of its input, W mu and the diagonal of W Sigma W^T. So neither what an
operation gives nor its normalised form is ever in memory, and sums over operations are accumulated in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from rung.nas.fused_functions import applied, replay


class Dense(NamedTuple):
    """Pointwise convolutions of one kind, each with a normalisation.

    Attributes:
        x: (p, k, i), or (p, 1, i) where all read the same.
        weight: (k, o, i).
        scale: (k,) of the mixture.
        edges: the edge of each.
    """

    x: Tensor
    weight: Tensor
    scale: Tensor
    edges: tuple[int, ...]


class Shared(NamedTuple):
    """A map that goes to several edges.

    Attributes:
        x: (p, o).
        scale: (k,), or (k, o).
        edges: those edges.
    """

    x: Tensor
    scale: Tensor
    edges: tuple[int, ...]


def _dense(tensors: Sequence[Tensor], edges: tuple[int, ...]) -> Dense:
    x, weight, scale = tensors
    return Dense(x, weight, scale, edges)


def _shared(tensors: Sequence[Tensor], edges: tuple[int, ...]) -> Shared:
    x, scale = tensors
    return Shared(x, scale, edges)


class _Layout(NamedTuple):
    edges: int
    dense: tuple[tuple[int, ...], ...]
    shared: tuple[tuple[int, ...], ...]
    eps: float

    def split(self, tensors: Sequence[Tensor]) -> tuple[list[Dense], list[Shared]]:
        n = len(self.dense)
        dense = [_dense(tensors[3 * i : 3 * i + 3], edges) for i, edges in enumerate(self.dense)]
        rest = tensors[3 * n :]
        shared = [_shared(rest[2 * j : 2 * j + 2], edges) for j, edges in enumerate(self.shared)]
        return dense, shared


class _Folded(NamedTuple):
    """Of one dense part.

    Attributes:
        first: (k, i) mean of the input.
        covariance: (k, i, i) of it.
        mean: (k, o) of the output.
        variance: (k, o), biased.
        inverse: (k, o): one over its root.
        weight: (k, o, i), folded.
        bias: (k, o).
    """

    first: Tensor
    covariance: Tensor
    mean: Tensor
    variance: Tensor
    inverse: Tensor
    weight: Tensor
    bias: Tensor


def _fold(part: Dense, eps: float) -> _Folded:
    x, w = part.x, part.weight
    first = x.mean(0)
    second = torch.bmm(x.permute(1, 2, 0), x.permute(1, 0, 2)) / len(x)
    covariance = second - first.unsqueeze(2) * first.unsqueeze(1)
    mean = torch.matmul(w, first.unsqueeze(2)).squeeze(2)
    variance = (torch.matmul(w, covariance) * w).sum(2).clamp_min(0.0)
    inverse = torch.rsqrt(variance + eps)
    factor = part.scale.unsqueeze(1) * inverse
    return _Folded(first, covariance, mean, variance, inverse, w * factor.unsqueeze(2), -mean * factor)


def _unfold(part: Dense, made: _Folded, by_weight: Tensor, by_bias: Tensor) -> tuple[Tensor, ...]:
    """Gradients of `_fold`, from those by the folded weights and the bias.

    Returns:
        By the weights; by the scale; and what mean and covariance of the input owe to each pixel: (k, i), to
        be added, and (k, i, i), to be multiplied with it.
    """
    w, count = part.weight, len(part.x)
    factor = part.scale.unsqueeze(1) * made.inverse
    by_factor = (by_weight * w).sum(2) - by_bias * made.mean  # (k, o)
    by_mean = -by_bias * factor
    by_variance = -0.5 * by_factor * part.scale.unsqueeze(1) * made.inverse**3
    spread = w * by_variance.unsqueeze(2)
    gw = by_weight * factor.unsqueeze(2) + by_mean.unsqueeze(2) * made.first.unsqueeze(1)
    gw += 2.0 * torch.matmul(spread, made.covariance)
    by_covariance = torch.bmm(w.transpose(1, 2), spread)  # (k, i, i), symmetric
    by_first = torch.matmul(by_mean.unsqueeze(1), w).squeeze(1)
    by_first = by_first - 2.0 * torch.matmul(by_covariance, made.first.unsqueeze(2)).squeeze(2)
    if len(made.first) < len(w):
        by_first, by_covariance = by_first.sum(0, keepdim=True), by_covariance.sum(0, keepdim=True)
    return gw, (by_factor * made.inverse).sum(1), by_first / count, by_covariance * (2.0 / count)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layout: _Layout, *tensors: Tensor) -> Any:
        ctx.layout, ctx.inputs = layout, len(tensors)
        ctx.set_materialize_grads(False)
        dense, shared = layout.split(tensors)
        made = [_fold(part, layout.eps) for part in dense]
        outs = _accumulate(layout.edges, dense, made, shared)
        ctx.save_for_backward(*tensors, *(value for one in made for value in one))
        found = [value for one in made for value in (one.mean, one.variance)]
        ctx.mark_non_differentiable(*found)
        return (*outs, *found)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        layout, saved = ctx.layout, ctx.saved_tensors
        tensors, rest = saved[: ctx.inputs], saved[ctx.inputs :]
        by_edge = grads[: layout.edges]
        if torch.is_grad_enabled():
            return (None, *replay(lambda *given: _native(layout, given), tensors, by_edge))
        n = len(_Folded._fields)
        made = [_Folded(*rest[i : i + n]) for i in range(0, len(rest), n)]
        return (None, *_derivative(layout, tensors, made, by_edge))


def _accumulate(
    edges: int, dense: Sequence[Dense], made: Sequence[_Folded], shared: Sequence[Shared]
) -> list[Tensor]:
    outs: dict[int, Tensor] = {}
    for part, one in zip(dense, made, strict=True):
        for k, edge in enumerate(part.edges):
            x, w = part.x[:, k % part.x.shape[1]], one.weight[k].t()
            if edge in outs:
                outs[edge].addmm_(x, w).add_(one.bias[k])
            else:
                outs[edge] = torch.addmm(one.bias[k], x, w)
    for base in shared:
        for k, edge in enumerate(base.edges):
            if edge in outs:
                outs[edge].addcmul_(base.x, base.scale[k])
            else:
                outs[edge] = base.x * base.scale[k]
    return [outs[edge] for edge in range(edges)]


def _derivative(
    layout: _Layout, tensors: Sequence[Tensor], made: Sequence[_Folded], grads: Sequence[Tensor | None]
) -> list[Tensor]:
    dense, shared = layout.split(tensors)
    like = next(g for g in grads if g is not None)
    given = [torch.zeros_like(like) if g is None else g.contiguous() for g in grads]
    sums = torch.stack([g.sum(0) for g in given]) if dense else like.new_empty(0)
    found: list[Tensor] = []
    for part, one in zip(dense, made, strict=True):
        x, groups = part.x, part.x.shape[1]
        by_weight = torch.stack([torch.mm(given[e].t(), x[:, k % groups]) for k, e in enumerate(part.edges)])
        gw, gs, constant, linear = _unfold(part, one, by_weight, sums[list(part.edges)])
        gx = torch.empty_like(x)
        for k in range(groups):
            torch.addmm(constant[k], x[:, k], linear[k], out=gx[:, k])
        for k, edge in enumerate(part.edges):
            gx[:, k % groups].addmm_(given[edge], one.weight[k])
        found += [gx, gw, gs]
    for base in shared:
        gb, scales = torch.zeros_like(base.x), []
        for k, edge in enumerate(base.edges):
            gb.addcmul_(given[edge], base.scale[k])
            scales.append(torch.dot(given[edge].view(-1), base.x.reshape(-1)))
        found += [gb, torch.stack(scales)]
    return found


def _native(layout: _Layout, tensors: Sequence[Tensor]) -> list[Tensor]:
    dense, shared = layout.split(tensors)
    folded = [(part, *_fold(part, layout.eps)[-2:]) for part in dense]
    return total(layout.edges, folded, shared)


def total(
    edges: int, dense: Sequence[tuple[Dense, Tensor, Tensor]], shared: Sequence[Shared]
) -> list[Tensor]:
    """The sum of all parts, by edge, of operations that can be differentiated as often as one likes.

    Args:
        dense: parts with their folded weights (k, o, i) and bias (k, o).
    """
    outs: dict[int, Tensor] = {}
    for part, weight, bias in dense:
        for k, edge in enumerate(part.edges):
            y = torch.addmm(bias[k], part.x[:, k % part.x.shape[1]], weight[k].t())
            outs[edge] = outs[edge] + y if edge in outs else y
    for base in shared:
        for k, edge in enumerate(base.edges):
            y = base.x * base.scale[k]
            outs[edge] = outs[edge] + y if edge in outs else y
    return [outs[edge] for edge in range(edges)]


class Moments(NamedTuple):
    """Of what a convolution gave: mean (k, o) and biased variance (k, o)."""

    mean: Tensor
    variance: Tensor


def mix(
    edges: int, dense: Sequence[Dense], shared: Sequence[Shared], eps: float
) -> tuple[list[Tensor], list[Moments]]:
    """What leaves a node, one map an edge, with its convolutions normalised by the batch.

    Returns:
        By edge (p, o), the sum of all parts that go to it; and by dense part the moments of its convolutions.
    """
    layout = _Layout(edges, tuple(p.edges for p in dense), tuple(p.edges for p in shared), eps)
    tensors = [t for part in dense for t in part[:3]] + [t for part in shared for t in part[:2]]
    found = cast(tuple[Tensor, ...], applied(_Mix, layout, *tensors))
    rest = found[edges:]
    return list(found[:edges]), [Moments(*rest[i : i + 2]) for i in range(0, len(rest), 2)]
