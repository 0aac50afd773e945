"""Tensors in what networks take and return: alone, or in mappings, sequences, dataclasses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def tensors(given: Any) -> Iterator[Tensor]:
    """All of them, in order."""
    from torch import Tensor

    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, Mapping):
        for value in given.values():
            yield from tensors(value)
    elif isinstance(given, list | tuple):
        for value in given:
            yield from tensors(value)
    elif is_dataclass(given) and not isinstance(given, type):
        for field in fields(given):
            yield from tensors(getattr(given, field.name))


def mapped(change: Callable[[Tensor], Tensor], given: Any) -> Any:
    """The same with each tensor of its mappings, lists and tuples changed."""
    from torch import Tensor

    if isinstance(given, Tensor):
        return change(given)
    if isinstance(given, Mapping):
        return {name: mapped(change, value) for name, value in given.items()}
    if isinstance(given, list | tuple):
        values = [mapped(change, value) for value in given]
        return type(given)(*values) if hasattr(given, "_fields") else type(given)(values)
    return given


def resized(example: Any, batch: int) -> Any:
    """The example with `batch` samples: its own, over and over."""
    import torch

    def one(tensor: Tensor) -> Tensor:
        if tensor.ndim == 0:
            return tensor
        return tensor[torch.arange(batch, device=tensor.device) % len(tensor)]

    return mapped(one, example)
