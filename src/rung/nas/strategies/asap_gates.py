"""How ASAP weighs: a Gibbs softmax over the operations of an edge, a soft choice of k edges at a node."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit
from torch import Tensor

from rung.nas.plain import Mask
from rung.nas.space import Cell
from rung.nas.strategies.base import ranked, softmax

_HALVINGS: Final = 80  # of the interval that holds a node's threshold: more than float64 can tell apart
_FLAT: Final = 1e-12  # sum of slopes under which all edges of a node are decided


def open_edges(cell: Cell, alive: Mask) -> NDArray[np.bool_]:
    """(E,): edges on which an operation other than zero is left."""
    return np.asarray((alive & ranked(cell)[None, :]).any(1))


def gates(cell: Cell, alphas: Tensor, edges: Tensor, alive: Mask, temperature: float) -> Tensor:
    """(E,): how much of each edge passes; at a node that may keep k edges they sum to k.

    G = sigmoid(u - tau) with u = edges / T + ln(1 - Phi_none), where Phi_none is the Gibbs probability of
    the zero operation on the edge, and tau is the node's, such that the sum is k. Where k edges or fewer are
    left, G is one exactly, whatever u is; an edge on which nothing but zero is left has G = 0.

    Args:
        alphas: (E, O).
        edges: (E,), the edges' own logits.
        alive: (E, O).
    """
    assert cell.keep is not None
    claims = edges / temperature + _presence(cell, alphas / temperature, alive)  # (E,)
    there = open_edges(cell, alive)
    parts: list[Tensor] = [claims.new_zeros(())] * len(cell.edges)
    for target in cell.targets:
        entering = [edge for edge in cell.entering(target) if there[edge]]
        if entering:
            for edge, gate in zip(entering, soft_top(claims[entering], cell.keep), strict=True):
                parts[edge] = gate
    return torch.stack(parts)


def _presence(cell: Cell, logits: Tensor, alive: Mask) -> Tensor:
    """(E,): ln(1 - Phi_none); zero where no zero operation is left, or nothing but it."""
    mask = torch.from_numpy(alive).to(logits.device)
    others = torch.from_numpy(ranked(cell)).to(logits.device)[None, :]
    low = torch.finfo(logits.dtype).min / 4  # finite, so that an empty edge has a gradient
    whole = torch.logsumexp(logits.masked_fill(~mask, low), 1)
    part = torch.logsumexp(logits.masked_fill(~(mask & others), low), 1)
    real = torch.from_numpy(open_edges(cell, alive)).to(logits.device)
    return torch.where(real, part - whole, torch.zeros_like(whole))


def soft_top(claims: Tensor, k: int) -> Tensor:
    """(n,): sigmoid(claims - tau) with tau such that the sum is k; ones where n <= k. Differentiable.

    As the claims grow apart it becomes the k largest, without a jump; equal claims share k alike.
    """
    n = len(claims)
    if n <= k:
        return torch.ones_like(claims)
    values = claims.detach().cpu().double().numpy()
    middle = _threshold(values, k)
    hard = expit(values - middle)
    slopes = torch.from_numpy(hard * (1.0 - hard)).to(claims)
    total = slopes.sum().clamp_min(_FLAT)
    tau = middle + (slopes * (claims - claims.detach())).sum() / total  # implicit differentiation of the sum
    return torch.sigmoid(claims - tau)


def _threshold(claims: NDArray[np.float64], k: int) -> float:
    """The root tau of sum(sigmoid(claims - tau)) = k, by bisection."""
    share = float(logit(k / len(claims)))
    low, high = claims.min() - share, claims.max() - share  # where the sum is at least, and at most, k
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if expit(claims - middle).sum() > k:
            low = middle
        else:
            high = middle
    return float(0.5 * (low + high))


def mixture(cell: Cell, alphas: Tensor, edges: Tensor | None, alive: Mask, temperature: float) -> Tensor:
    """(E, O): the weights of a cell's operations.

    Where all edges stay, the Gibbs softmax over all operations of an edge. Where k edges a node stay, that
    over its operations but zero, times the edge's gate; zero, which adds nothing, has its Gibbs probability.
    """
    cold = alphas / temperature
    everything = softmax(cold, alive)
    if cell.keep is None or edges is None:
        return everything
    others = ranked(cell)
    part = softmax(cold, alive & others[None, :])
    gated = part * gates(cell, alphas, edges, alive, temperature)[:, None]
    return torch.where(torch.from_numpy(others).to(cold.device)[None, :], gated, everything)
