"""REINFORCE (Williams 1992) with a moving average as the baseline, on either of two policies.

Independent choices, as in the baseline of NAS-Bench-201 (Dong and Yang 2020); or the controller of NASNet
(Zoph et al. 2018, section 3), which draws the same choices one after the other from an LSTM. NASNet takes
steps by PPO on twenty networks at a time; here each is a step of REINFORCE by Adam (Zoph and Le 2017).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rung.nas.choice import Chosen, allowed, choice_of
from rung.nas.controller import Controller, following, sampled
from rung.nas.discrete.history import History
from rung.nas.genotype import Genotype
from rung.nas.space import Cell, Space

Table = NDArray[np.float64]
LSTM: Final = Controller()


@dataclass(frozen=True)
class Reinforce:
    """Of each cell: which inputs a node has, and which operation each edge.

    The policy is a fold over the history, so that nothing is kept between suggestions.

    Attributes:
        policy_rate: of the logits of independent choices, in units of the rewards' deviation.
        baseline_decay: of the moving average of rewards.
        controller: "independent" choices, or the "lstm" of `rung.nas.controller.Controller`. That one learns
            anew from all of the history at each suggestion, some milliseconds a network.
        controller_rate: Adam's, of the LSTM: larger than the papers' 6e-4 and 3.5e-4, since networks are few.
    """

    policy_rate: float = 0.3
    baseline_decay: float = 0.9
    controller: Literal["independent", "lstm"] = "independent"
    controller_rate: float = 0.02

    def suggest(self, space: Space, history: History, generator: torch.Generator) -> Genotype:
        """A sample of the policy after all of the history."""
        if self.controller == "lstm":
            weights = self.weights(space, history)
            return space.genotype(LSTM.draw(weights, space, sampled(generator)).chosen)
        policy = self.policy(space, history)
        return space.genotype(
            {cell.name: _sample(cell, *policy[cell.name], generator) for cell in space.cells}
        )

    def policy(self, space: Space, history: History) -> dict[str, tuple[Table, Table]]:
        """By cell, the logits of its edges (E,) and of their operations (E, O), minus infinity where none."""
        logits = {
            cell.name: (
                np.where(allowed(cell).any(1), 0.0, -np.inf),
                np.where(allowed(cell), 0.0, -np.inf),
            )
            for cell in space.cells
        }
        for (genotype, _), advantage in zip(history, self._advantages(history), strict=True):
            _ascend(space, logits, choice_of(space, genotype), self.policy_rate * advantage)
        return logits

    def weights(self, space: Space, history: History) -> dict[str, Tensor]:
        """Of the LSTM after all of the history; it begins with the same ones whatever the seed."""
        weights = LSTM.begin(space, 0)
        optimizer = torch.optim.Adam(weights.values(), lr=self.controller_rate)
        for (genotype, _), advantage in zip(history, self._advantages(history), strict=True):
            drawn = LSTM.draw(weights, space, following(choice_of(space, genotype)))
            if drawn.decisions:
                optimizer.zero_grad()
                torch.autograd.backward(-advantage * drawn.log_probability)
                optimizer.step()
        return weights

    def _advantages(self, history: History) -> Iterator[float]:
        """How much better each was than usual, in units of the rewards' deviation, at most three of them."""
        baseline, spread = None, None
        for _, score in history:
            reward = -score
            baseline = reward if baseline is None else baseline
            advantage = reward - baseline
            spread = abs(advantage) if spread is None else spread
            spread = self.baseline_decay * spread + (1 - self.baseline_decay) * abs(advantage)
            baseline = self.baseline_decay * baseline + (1 - self.baseline_decay) * reward
            yield float(np.clip(advantage / (spread + 1e-12), -3.0, 3.0))


def _ascend(space: Space, logits: dict[str, tuple[Table, Table]], chosen: Chosen, step: float) -> None:
    """Add `step` times the gradient of the log-probability of a choice, in place.

    Inputs are drawn without replacement, one after the other; their order is not in a genotype, so that a
    node's probability is that of all orders in which its inputs can have been drawn.
    """
    for cell in space.cells:
        edges, operations = logits[cell.name]
        for edge, column in chosen[cell.name]:
            gradient = -_softmax(operations[edge])
            gradient[column] += 1.0
            operations[edge] += step * np.where(np.isfinite(operations[edge]), gradient, 0.0)
        for left, taken in _draws(cell, chosen):
            edges[left] += step * _gradient(edges[left], [left.index(edge) for edge in taken])


def _draws(cell: Cell, chosen: Chosen) -> Iterator[tuple[list[int], list[int]]]:
    """(edges there are to choose from, edges taken) of each node that leaves some out."""
    kept = {edge for edge, _ in chosen[cell.name]}
    for target in cell.targets:
        left = [edge for edge in cell.entering(target) if allowed(cell)[edge].any()]
        taken = [edge for edge in left if edge in kept]
        if len(taken) < len(left):
            yield left, taken


def _gradient(logits: Table, taken: list[int]) -> Table:
    """That of the log-probability of drawing these positions, in whatever order, in the logits (n,).

    Of every set of them that can have been drawn first: how probable it is with what leads to it, and the
    sum over those ways of probability times gradient. There are as many sets as the powers of two, and not
    as many as orders.
    """
    ways = {0: (1.0, np.zeros(len(logits)))}  # by the set, as bits of positions in `taken`
    for drawn in range((1 << len(taken)) - 1):
        probable, gradient = ways[drawn]
        gone = [at for bit, at in enumerate(taken) if drawn >> bit & 1]
        rest = logits.copy()
        rest[gone] = -np.inf
        shares = _softmax(rest)
        for bit, at in enumerate(taken):
            if drawn >> bit & 1:
                continue
            further = -probable * shares
            further[at] += probable
            before, summed = ways.get(drawn | 1 << bit, (0.0, 0.0))
            ways[drawn | 1 << bit] = (
                before + probable * shares[at],
                summed + shares[at] * (gradient + further),
            )
    probable, gradient = ways[(1 << len(taken)) - 1]
    found: Table = gradient / max(probable, 1e-300)  # as good as impossible: no step
    return found


def _sample(
    cell: Cell, edges: Table, operations: Table, generator: torch.Generator
) -> tuple[tuple[int, int], ...]:
    kept = []
    for target in cell.targets:
        left = [edge for edge in cell.entering(target) if np.isfinite(edges[edge])]
        count = len(left) if cell.keep is None else min(cell.keep, len(left))
        for _ in range(count):
            edge = left[_draw(_softmax(edges[left]), generator)]
            left.remove(edge)
            kept.append((edge, _draw(_softmax(operations[edge]), generator)))
    return tuple(sorted(kept))


def _softmax(logits: Table) -> Table:
    weights = np.exp(logits - logits.max())
    found: Table = weights / weights.sum()
    return found


def _draw(probabilities: Table, generator: torch.Generator) -> int:
    return int(torch.multinomial(torch.from_numpy(probabilities), 1, generator=generator))
