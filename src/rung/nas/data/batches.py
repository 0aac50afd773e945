"""Batches of pictures: their order and their augmentation are functions of (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from rung.errors import DataError
from rung.nas.data.augment import Augmentation
from rung.nas.data.keys import seed_of


def batches(
    x: Any, y: Any, size: int, *, seed: int, epoch: int, augmentation: Augmentation, device: str = "cpu"
) -> Iterator[tuple[Tensor, Tensor]]:
    """An epoch of training batches; each picture occurs at most once, and a last short batch is left out.

    Nothing is remembered between epochs: the n-th batch of an epoch is the same in a search that goes on as
    in one that was never interrupted. Two streams of one search need two seeds, or they cut and mirror alike.

    Args:
        x: (N, H, W, C) uint8 array or tensor; one on the device already is not copied.
        y: (N,) int64.
        size: B, of a batch.
        seed: any whole number.
        epoch: from 0.
        augmentation: drawn anew for each batch.
        device: of the batches.

    Returns:
        (B, C, H, W) float32 and (B,) int64, N // B times.

    Raises:
        DataError: fewer pictures than a batch takes, or not as many labels.
    """
    x, y = _tensors(x, y, size)
    if len(x) < size:
        raise DataError(f"a batch of {size} needs as many pictures, and there are {len(x)}: make it smaller")
    return _shuffled(x, y, size, (seed, epoch), augmentation, device)


def evaluation_batches(
    x: Any, y: Any, size: int, *, augmentation: Augmentation, device: str = "cpu"
) -> Iterator[tuple[Tensor, Tensor]]:
    """All pictures in their order, normalised and not changed at random; the last batch may be short.

    Args:
        x: (N, H, W, C) uint8 array or tensor.
        y: (N,) int64.
        size: of a batch, at most.
        augmentation: of which the normalisation is used.
        device: of the batches.
    """
    x, y = _tensors(x, y, size)
    return _in_order(x, y, size, augmentation.plain, device)


def _tensors(x: Any, y: Any, size: int) -> tuple[Tensor, Tensor]:
    if size < 1:
        raise DataError(f"a batch of {size}: give at least 1")
    if len(x) != len(y):
        raise DataError(f"there are {len(x)} pictures and {len(y)} labels: give as many of both")
    return torch.as_tensor(x), torch.as_tensor(y)


def _shuffled(
    x: Tensor, y: Tensor, size: int, key: tuple[int, int], augmentation: Augmentation, device: str
) -> Iterator[tuple[Tensor, Tensor]]:
    order = torch.randperm(len(x), generator=_generator(*key, "order")).to(x.device)
    for number in range(len(x) // size):
        rows = order[number * size : (number + 1) * size]
        generator = _generator(*key, number)
        yield augmentation(x[rows].to(device), generator), y[rows.to(y.device)].to(device)


def _in_order(
    x: Tensor, y: Tensor, size: int, augmentation: Augmentation, device: str
) -> Iterator[tuple[Tensor, Tensor]]:
    unused = torch.Generator()
    for start in range(0, len(x), size):
        rows = slice(start, start + size)
        yield augmentation(x[rows].to(device), unused), y[rows].to(device)


def _generator(*key: int | str) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(*key))
