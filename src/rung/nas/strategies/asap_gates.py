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

Rows = NDArray[np.float64]

_ABSENT: Final = -1e30  # a claim of no edge: finite, so that its gradient is zero
_HALVINGS: Final = 60  # of the interval that holds a node's threshold: as fine as float64
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
    entering = [[edge for edge in cell.entering(target) if there[edge]] for target in cell.targets]
    contested = [own for own in entering if len(own) > cell.keep]
    whole = torch.from_numpy(there).to(claims)
    if not contested:
        return whole
    width = max(len(own) for own in contested)
    at = torch.tensor([own + [0] * (width - len(own)) for own in contested], device=claims.device)
    real = torch.tensor([[i < len(own) for i in range(width)] for own in contested], device=claims.device)
    soft = soft_top(claims[at].masked_fill(~real, _ABSENT), cell.keep)  # (contested nodes, width)
    return whole.index_put((at[real],), soft[real])


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
    """(m, n): in each row sigmoid(claims - tau) with tau such that the row's sum is k. Differentiable.

    As the claims grow apart it becomes the k largest, without a jump; equal claims share k alike.

    Args:
        claims: (m, n), with more than k that are not `_ABSENT` in each row.
    """
    values = claims.detach().cpu().double().numpy()
    middle = _thresholds(values, k)  # (m, 1)
    hard = expit(values - middle)
    slopes = torch.from_numpy(hard * (1.0 - hard)).to(claims)
    total = slopes.sum(1, keepdim=True).clamp_min(_FLAT)
    drift = (slopes * (claims - claims.detach())).sum(1, keepdim=True) / total  # zero, with tau's gradient
    return torch.sigmoid(claims - (torch.from_numpy(middle).to(claims) + drift))


def _thresholds(claims: Rows, k: int) -> Rows:
    """The roots tau (m, 1) of sum(sigmoid(claims - tau)) = k, by bisection."""
    if np.isnan(claims).any():  # the training broke, and its loss will say so
        return np.full((len(claims), 1), np.nan)
    there = claims > 0.5 * _ABSENT
    share = logit(k / there.sum(1))
    low = np.where(there, claims, np.inf).min(1) - share  # where the sum is at least k
    high = claims.max(1) - share  # and at most
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        over = expit(claims - middle[:, None]).sum(1) > k
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return np.asarray(0.5 * (low + high))[:, None]


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
