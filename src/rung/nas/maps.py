"""Maps of a derived network, and what several of their readers make of them, made once.

In DARTS_V2's normal cell five separable convolutions read the two inputs, each behind a ReLU of its own, and
in its reduction cell five poolings are two; a cell's output is read by the next two, behind a ReLU in both.
"""

from __future__ import annotations

from itertools import islice
from typing import cast

import torch
from torch import Tensor, nn

from rung.nas.operations import FactorizedReduce


class Map:
    """A map, and what was made of it.

    Args:
        x: (n, channels, h, w).
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self._rectified: Tensor | None = None
        self._pooled: dict[str, Tensor] = {}

    def rectified(self) -> Tensor:
        """Its ReLU."""
        if self._rectified is None:
            self._rectified = torch.relu(self.x)
        return self._rectified

    def through(self, module: nn.Module, name: str) -> Tensor:
        """What a module gives of it, as `module(x)` does.

        Args:
            name: two poolings of one name, of one map, are the same.
        """
        if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            if name not in self._pooled:
                self._pooled[name] = module(self.x)
            return self._pooled[name]
        if type(module) is FactorizedReduce:
            return module.of_rectified(self.rectified())
        if type(module) is nn.Sequential and len(module) and type(module[0]) is nn.ReLU:
            y = self.rectified()
            for layer in islice(module, 1, None):
                y = layer(y)
            return y
        return cast(Tensor, module(self.x))
