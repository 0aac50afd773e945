"""Configurations that can be trained together, told apart from those that can't."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.data.tables.recipes import Curves

Configs = Sequence[Mapping[str, Any]]


def by_shape(configs: Configs, names: Sequence[str]) -> list[list[int]]:
    """Numbers of the configurations, those together that have the same values of `names`."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for number, config in enumerate(configs):
        found.setdefault(tuple(config[name] for name in names), []).append(number)
    return list(found.values())


def trained(configs: Configs, names: Sequence[str], steps: int, train: Callable[[Configs], Curves]) -> Curves:
    """The curves of all configurations, (configurations, steps), trained shape by shape."""
    found = Curves(*np.full((len(Curves._fields), len(configs), steps), np.nan))
    for members in by_shape(configs, names):
        for whole, part in zip(found, train([configs[i] for i in members]), strict=True):
            whole[members] = part
    return found
