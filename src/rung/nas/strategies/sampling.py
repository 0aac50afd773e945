"""Samples of operations by Gumbel noise: relaxed (Maddison et al. 2017; Jang et al. 2017), or hard."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rung.nas.plain import Mask
from rung.nas.strategies.base import softmax


def gumbel(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise, float64: -log(-log u)."""
    u = torch.rand(shape, generator=generator, dtype=torch.float64).clamp_min(1e-300)
    return -torch.log(-torch.log(u))


def concrete(logits: Tensor, alive: Mask, temperature: float, generator: torch.Generator) -> Tensor:
    """(E, O): softmax((logits + Gumbel) / temperature) over what is alive, differentiable in the logits.

    As the temperature goes to zero it is one-hot with probabilities softmax(logits); as it grows, uniform.
    """
    noise = gumbel(tuple(logits.shape), generator).to(logits)
    return softmax((logits + noise) / temperature, alive)


def hard(logits: Tensor, alive: Mask, temperature: float, generator: torch.Generator) -> tuple[Tensor, Mask]:
    """A one-hot sample with the gradient of the relaxed one (straight-through), and what it chose.

    Returns:
        (E, O) weights: exactly one on the chosen operation of each edge; and (E, O) true there.
    """
    soft = concrete(logits, alive, temperature, generator)  # (E, O)
    chosen = np.zeros_like(alive)
    best = soft.detach().argmax(1).cpu().numpy()
    chosen[np.arange(len(alive)), best] = True
    chosen &= alive  # of an edge without operations, none
    one = torch.from_numpy(chosen).to(soft)
    return one + (soft - soft.detach()), chosen
