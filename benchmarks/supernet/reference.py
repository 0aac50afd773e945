"""quark0/darts, where RUNG_DARTS names the folder `cnn` of a copy; it is made to run on a CPU."""

from __future__ import annotations

import os
import sys
import types
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

VARIABLE = "RUNG_DARTS"


def at_hand() -> bool:
    """Whether there is a copy."""
    return bool(os.environ.get(VARIABLE)) and (Path(os.environ[VARIABLE]) / "model_search.py").exists()


def _module(name: str) -> Any:
    """A module of the reference: `.cuda()` does nothing, and old signatures do not warn."""
    folder = os.environ[VARIABLE]
    if folder not in sys.path:
        sys.path.insert(0, folder)
    nn.Module.cuda = lambda self, device=None: self  # type: ignore[method-assign]
    Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    if "utils" not in sys.modules:  # imports torchvision; only this of it is used here
        utils = types.ModuleType("utils")
        utils.drop_path = _drop_path  # type: ignore[attr-defined]
        sys.modules["utils"] = utils
    warnings.filterwarnings("ignore", message=".*(deprecated|non-tuple|lazy).*")
    return __import__(name)


def _drop_path(x: Tensor, probability: float) -> Tensor:
    if probability > 0.0:
        keep = 1.0 - probability
        x = x / keep * torch.empty(x.size(0), 1, 1, 1).bernoulli_(keep)
    return x


def searched(channels: int, layers: int) -> Any:
    """Its supernet."""
    return _module("model_search").Network(channels, 10, layers, nn.CrossEntropyLoss())


def architect(net: Any) -> Any:
    """Its steps of the alphas."""
    given = SimpleNamespace(momentum=0.9, weight_decay=3e-4, arch_learning_rate=3e-4, arch_weight_decay=1e-3)
    return _module("architect").Architect(net, given)


def derived(channels: int, layers: int) -> Any:
    """Its network of the cell DARTS_V2, without the second head."""
    genotype = _module("genotypes").DARTS_V2
    out = sys.stdout
    with open(os.devnull, "w", encoding="utf-8") as sys.stdout:  # it prints each cell's channels
        net = _module("model").NetworkCIFAR(channels, 10, layers, False, genotype)
    sys.stdout = out
    net.drop_path_prob = 0.2
    return net
