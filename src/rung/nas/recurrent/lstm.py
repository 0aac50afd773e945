"""The baseline: a long short-term memory with the same dropouts (Hochreiter and Schmidhuber 1997)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rung.nas.recurrent.masks import NOTHING, Masks, masked


class LSTM(nn.Module):
    """One layer. Its state is [h, c] beside each other, so that it passes for any other cell's.

    Gates stand in the order of `torch.nn.LSTM` (input, forget, cell, output), whose weights fit.

    Args:
        width: of what it reads.
        hidden: units.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.width, self.hidden = width, hidden
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden, width))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.bias_ih = nn.Parameter(torch.empty(4 * hidden))
        self.bias_hh = nn.Parameter(torch.empty(4 * hidden))
        bound = 1.0 / math.sqrt(hidden)
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    @property
    def columns(self) -> int:
        """Of the hidden-to-hidden matrix."""
        return 4 * self.hidden

    def forward(self, x: Tensor, state: Tensor, masks: Masks = NOTHING) -> tuple[Tensor, Tensor]:
        """Outputs of all steps (steps, rows, hidden), and the last state (rows, 2 hidden).

        Args:
            x: embedded words (steps, rows, width).
            state: (rows, 2 hidden).
        """
        h, c = state.chunk(2, -1)
        recurrent = masked(self.weight_hh.t(), masks.weights)
        given = masked(x, masks.inputs) @ self.weight_ih.t() + (self.bias_ih + self.bias_hh)
        outputs = []
        for begun in given.unbind(0):
            entry, keep, candidate, out = torch.addmm(begun, masked(h, masks.hidden), recurrent).chunk(4, -1)
            c = torch.sigmoid(keep) * c + torch.sigmoid(entry) * torch.tanh(candidate)
            h = torch.sigmoid(out) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs), torch.cat([h, c], -1)


def lstm_width(parameters: int, vocabulary: int) -> int:
    """The number of units with which a tied model of this vocabulary comes nearest to so many parameters.

    Of H units it has vocabulary (H + 1) + 8 H^2 + 8 H.
    """
    half = (vocabulary + 8) / 16
    root = -half + math.sqrt(half * half + max(parameters - vocabulary, 0) / 8)
    sizes = (max(math.floor(root), 1), max(math.ceil(root), 1))
    return min(sizes, key=lambda h: abs(vocabulary * (h + 1) + 8 * h * h + 8 * h - parameters))
