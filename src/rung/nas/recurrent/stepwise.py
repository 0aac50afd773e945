"""The mixed recurrent cell step by step, in operations that autograd records."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rung.nas.recurrent.cells import ACTIVATIONS
from rung.nas.recurrent.masks import masked


class Wiring(NamedTuple):
    """Who reads what.

    Attributes:
        nodes: of each node, (states that it reads, activations it mixes); none where nothing enters it.
        concat: states whose mean is the output.
    """

    nodes: tuple[tuple[tuple[int, ...], tuple[str, ...]], ...]
    concat: tuple[int, ...]


class Inputs(NamedTuple):
    """What the steps are a function of.

    Attributes:
        begun: what each step's word adds to [c0, h0] (steps, rows, 2 hidden).
        h: the output before the first step (rows, hidden).
        mask: of every state that a matrix reads (rows, hidden), or None.
        first: the part of W0 that reads h (hidden, 2 hidden).
        weights: of each node that reads anything, (states read, activations).
        matrices: of the same, (hidden, 2 hidden).
    """

    begun: Tensor
    h: Tensor
    mask: Tensor | None
    first: Tensor
    weights: tuple[Tensor, ...]
    matrices: tuple[Tensor, ...]


Mix = Callable[[tuple[str, ...], Tensor, Tensor, Tensor, Tensor], Tensor]
Normalise = Callable[[Tensor], Tensor]


def read(states: Tensor, sources: tuple[int, ...]) -> Tensor:
    """The states that are read: a view, where they are all up to a node."""
    if sources == tuple(range(len(sources))):
        return states[: len(sources)]
    return states[list(sources)]


def term_by_term(names: tuple[str, ...], before: Tensor, c: Tensor, x: Tensor, weights: Tensor) -> Tensor:
    """A node as in the reference: sum_j sum_f p_jf (s_j + c_j (f(x_j) - s_j)).

    Args:
        names: of activations f.
        before, c, x: states s_j, their gates and candidates (states read, rows, hidden).
        weights: p (states read, activations).
    """
    total = torch.zeros_like(before[0])
    for column, name in enumerate(names):
        weight = weights[:, column, None, None]
        total = total + (weight * (before + c * (ACTIVATIONS[name](x) - before))).sum(0)
    return total


def rearranged(names: tuple[str, ...], before: Tensor, c: Tensor, x: Tensor, weights: Tensor) -> Tensor:
    """The same as sum_j (P_j s_j + c_j (sum_f p_jf f(x_j) - P_j s_j)), P_j = sum_f p_jf."""
    mixed = torch.zeros_like(x)
    for column, name in enumerate(names):
        mixed = mixed + weights[:, column, None, None] * ACTIVATIONS[name](x)
    return torch.lerp(weights.sum(1)[:, None, None] * before, mixed, c).sum(0)


def stepwise(wiring: Wiring, normalise: Normalise | None, given: Inputs, mix: Mix) -> Tensor:
    """Outputs of all steps (steps, rows, hidden)."""
    h, outputs = given.h, []
    for begun in given.begun.unbind(0):
        c, x = torch.addmm(begun, masked(h, given.mask), given.first).chunk(2, -1)
        start = torch.lerp(h, torch.tanh(x), torch.sigmoid(c))
        states = [start if normalise is None else normalise(start)]
        at = 0
        for sources, names in wiring.nodes:
            total = torch.zeros_like(start)
            if sources:
                before = torch.stack([states[source] for source in sources])
                c, x = (masked(before, given.mask) @ given.matrices[at]).chunk(2, -1)
                total = mix(names, before, torch.sigmoid(c), x, given.weights[at])
                at += 1
            states.append(total if normalise is None else normalise(total))
        h = torch.stack([states[number] for number in wiring.concat]).mean(0)
        outputs.append(h)
    return torch.stack(outputs)
