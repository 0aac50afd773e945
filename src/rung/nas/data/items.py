"""Pictures of a torch `Dataset`, read once, item by item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rung.errors import DataError
from rung.nas.data.arrays import Array
from rung.nas.data.decoding import pixels, stacked
from rung.nas.data.pictures import Bytes


@runtime_checkable
class Items(Protocol):
    """A torch `Dataset` with a length, or anything that acts as one: (picture, label) by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def read_items(name: str, items: Items, size: int | None = None) -> tuple[Bytes, list[Any]]:
    """Pictures (N, H, W, C) and labels of all items.

    A picture is one of Pillow, a tensor (C, H, W) or (H, W), or an array (H, W, C) or (H, W); of numbers
    from 0 to 255 in uint8 or from 0 to 1 in floating point, as `ToTensor` gives them. What a random
    transformation of the data set drew once stays: augmentation belongs to the search.

    Raises:
        DataError: an item that is no pair, values outside their range, mixed sizes.
    """
    labels: list[Any] = []

    def pictures() -> Iterator[tuple[str, Bytes]]:
        for index in range(len(items)):
            item = items[index]
            where = f"{name}, item {index}"
            if not isinstance(item, tuple | list) or len(item) < 2:
                raise DataError(f"{where} has no label: a data set gives (picture, label)")
            labels.append(_label(item[1]))
            yield where, _picture(where, item[0], size)

    return stacked(pictures(), "scale them to one size first, or give a size"), labels


def _label(given: Any) -> Any:
    return given.tolist() if hasattr(given, "tolist") else given


def _picture(where: str, given: Any, size: int | None) -> Bytes:
    if hasattr(given, "convert") and hasattr(given, "mode"):
        return pixels(given, size)
    tensor = hasattr(given, "detach")
    x: Array = given.detach().cpu().numpy() if tensor else np.asarray(given)
    if x.ndim == 3 and (tensor or x.shape[-1] > 4):
        x = x.transpose(1, 2, 0)
    if x.ndim not in (2, 3) or (x.ndim == 3 and x.shape[2] not in (1, 2, 3, 4)) or 0 in x.shape:
        raise DataError(f"{where}: a picture of shape {tuple(x.shape)}: give C x H x W with 1 to 4 channels")
    return _bytes(where, x)


def _bytes(where: str, x: Array) -> Bytes:
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind not in "buif":
        raise DataError(f"{where}: a picture of type {x.dtype}: give uint8, or floating point from 0 to 1")
    top = 1 if x.dtype.kind in "fb" else 255
    low, high = float(x.min()), float(x.max())
    if not (low >= 0 and high <= top):
        raise DataError(
            f"{where}: values from {low:g} to {high:g}: give them from 0 to {top}, and leave normalisation "
            "out of the data set's transformation (it is measured here)"
        )
    return np.rint(x * (255.0 / top)).astype(np.uint8)
