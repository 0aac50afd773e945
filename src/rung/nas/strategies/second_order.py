"""The second-order step of the alphas: the validation loss after one virtual step of the weights.

DARTS (Liu, Simonyan, Yang 2019), equations 5 to 8: with w' = w - xi (momentum buffer + gradient + decay w),

    d/dalpha L_val(w'(alpha), alpha)  =  dL_val/dalpha (w')  -  xi  d/dalpha <dL_train/dw (w, alpha), v>,

where v = dL_val/dw (w') is held fixed. The last term is taken either by the paper's finite difference
(equation 8, two more passes at w plus and minus R v, R = .01 / |v|) or exactly, by a backward pass through
the backward pass of the virtual step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, cast

import torch
from torch import Tensor
from torch.func import functional_call

from rung.nas.moment import Moment
from rung.nas.strategies.base import Passes, Turn
from rung.nas.strategies.bilevel import Mixes, leave
from rung.nas.supernet import frozen_statistics
from rung.nas.task import Call

Hypergradient = Literal["exact", "difference"]

STEP: Final = 0.01  # the paper's epsilon times the norm of v (footnote 2)
Gradients = tuple[Tensor, ...]


def second_order(
    strategy: Mixes, turn: Turn, hypergradient: Hypergradient = "exact", clip: float = 0.0
) -> Passes:
    """Leave the hypergradient in the alphas. Weights, optimiser and running statistics are not touched.

    Args:
        hypergradient: "difference" is the paper's, four passes: two over the training batch at w plus and
            minus R v, besides the virtual step's and the validation batch's. "exact" differentiates the
            virtual step's backward pass: two passes, and a backward pass of a backward pass, counted as two
            (four multiply-adds a weight where a pass takes three). With ReLU or max pooling the finite
            difference crosses kinks and its implicit term is mostly noise; with smooth operations they agree.
        clip: largest norm of both gradients, 0 for none: the reference clips in recurrent cells alone. The
            factor is held fixed.
    """
    with frozen_statistics(turn.net):
        if hypergradient == "exact":
            gradients = _exact(strategy, turn, clip)
        else:
            gradients = _difference(strategy, turn, clip)
    leave(list(turn.alphas.values()), gradients)
    return Passes(4, 3 * turn.weights_batch.size + turn.alphas_batch.size)


def _exact(strategy: Mixes, turn: Turn, clip: float) -> Gradients:
    leaves, names, weights = _variables(turn)
    loss = _train_loss(strategy, turn, turn.net)
    raw = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    present = [(g, w) for g, w in zip(raw, weights, strict=True) if g is not None]
    gradients = _filled(raw, weights)
    factor = _factor(gradients, clip)
    virtual = virtual_weights(turn, [factor * g.detach() for g in gradients])
    direct, v = _validation(strategy, turn, names, virtual, clip)
    kept = {id(w): part for w, part in zip(weights, v, strict=True)}
    inner = torch.stack([(g * kept[id(w)]).sum() for g, w in present]).sum()
    if not inner.requires_grad:  # a training loss whose gradient does not depend on the alphas
        return direct
    mixed = _filled(torch.autograd.grad(inner, leaves, allow_unused=True), leaves)
    return tuple(d - turn.rate * factor * m for d, m in zip(direct, mixed, strict=True))


def _difference(strategy: Mixes, turn: Turn, clip: float) -> Gradients:
    leaves, names, weights = _variables(turn)
    with _alike(turn.moment):
        loss = _train_loss(strategy, turn, turn.net)
        gradients = _filled(torch.autograd.grad(loss, weights, allow_unused=True), weights)
    factor = _factor(gradients, clip)
    virtual = virtual_weights(turn, [factor * g for g in gradients])
    direct, v = _validation(strategy, turn, names, virtual, clip)
    norm = float(_norm(v))
    if norm == 0.0:
        return direct
    step = STEP / norm
    sides = []
    for sign in (1.0, -1.0):
        moved = {n: (w + sign * step * part).detach() for n, w, part in zip(names, weights, v, strict=True)}
        with _alike(turn.moment):
            loss = _train_loss(strategy, turn, _with(turn, moved))
            sides.append(_filled(torch.autograd.grad(loss, leaves, allow_unused=True), leaves))
    scale = turn.rate * factor / (2.0 * step)
    return tuple(d - scale * (up - down) for d, up, down in zip(direct, *sides, strict=True))


def virtual_weights(turn: Turn, gradients: Sequence[Tensor]) -> Gradients:
    """The weights after a step of the optimiser with these gradients: leaves that require gradients.

    Momentum and decay are the optimiser's (w' = w - rate (momentum buffer + gradient + decay w)); a weight
    without a buffer has made no step yet.
    """
    group = turn.optimizer.param_groups[0]
    momentum, decay = float(group.get("momentum", 0.0)), float(group.get("weight_decay", 0.0))
    moved = []
    with torch.no_grad():
        for weight, gradient in zip(turn.net.parameters(), gradients, strict=True):
            update = gradient + decay * weight
            buffer = turn.optimizer.state.get(weight, {}).get("momentum_buffer")
            if buffer is not None:
                update = update + momentum * buffer
            moved.append((weight - turn.rate * update).requires_grad_())
    return tuple(moved)


def _variables(turn: Turn) -> tuple[list[Tensor], list[str], list[Tensor]]:
    """Alphas, and the names and values of the weights."""
    named = dict(turn.net.named_parameters())
    return list(turn.alphas.values()), list(named), list(named.values())


def _train_loss(strategy: Mixes, turn: Turn, call: Call) -> Tensor:
    mixed = strategy.mixed(turn.space, turn.alphas, turn.net.alive, turn.moment)
    return turn.task.loss(call, mixed, turn.weights_batch)


def _validation(
    strategy: Mixes, turn: Turn, names: list[str], virtual: Gradients, clip: float
) -> tuple[Gradients, Gradients]:
    """Gradients of the validation loss at the virtual weights: of the alphas, and of the weights, clipped."""
    leaves = list(turn.alphas.values())
    mixed = strategy.mixed(turn.space, turn.alphas, turn.net.alive, turn.moment)
    call = _with(turn, dict(zip(names, virtual, strict=True)))
    loss = turn.task.loss(call, mixed, turn.alphas_batch)
    both = [*leaves, *virtual]
    gradients = _filled(torch.autograd.grad(loss, both, allow_unused=True), both)
    v = gradients[len(leaves) :]
    factor = _factor(v, clip)
    return gradients[: len(leaves)], tuple(factor * part for part in v) if factor != 1.0 else v


def _with(turn: Turn, weights: dict[str, Tensor]) -> Call:
    """The network with other weights in their place."""

    def call(*arguments: Any) -> Any:
        return functional_call(turn.net, weights, arguments)

    return call


@contextmanager
def _alike(moment: Moment) -> Iterator[None]:
    """The same dropout and noise in every pass of a step: what differs is then the weights alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(moment.number("virtual"))
        yield


def _filled(gradients: Sequence[Tensor | None], like: Sequence[Tensor]) -> Gradients:
    """Zeros where a loss does not depend on a variable."""
    return tuple(torch.zeros_like(x) if g is None else g for g, x in zip(gradients, like, strict=True))


def _norm(parts: Sequence[Tensor]) -> Tensor:
    return cast(Tensor, torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(p) for p in parts])))


def _factor(gradients: Sequence[Tensor], clip: float) -> float:
    if clip <= 0:
        return 1.0
    norm = float(_norm([g.detach() for g in gradients]))
    return min(1.0, clip / (norm + 1e-6))
