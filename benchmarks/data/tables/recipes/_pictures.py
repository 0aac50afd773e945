"""Small pictures in three parts: CIFAR-10, whole or shrunken to 8 x 8, and scikit-learn's digits."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.tables.record import PARTS
from benchmarks.given import given


class Pictures(NamedTuple):
    """Pictures (n, channels, side, side) float32, classes (n,); mean 0, variance 1 on the training part."""

    x: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
    y: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


@cache
def digits(sizes: tuple[int, int, int]) -> Pictures:
    """scikit-learn's 8 x 8 digits."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[: sum(sizes)]
    return _parts(x[order].reshape(-1, 1, 8, 8), y[order], sizes)


@cache
def cifar(sizes: tuple[int, int, int]) -> Pictures:
    """Pictures of CIFAR-10's training part and of its test part, each 4 x 4 pixels averaged to one.

    Raises:
        Unavailable: the data folder has no CIFAR-10.
    """
    train, valid, test = sizes
    path = PARTS / f"cifar-8x8-{train + valid}-{test}.npz"
    if not path.exists():
        with np.load(given("images/cifar10_jpeg.npz")) as streams:
            x, y = _streams(streams, train + valid, test, 8)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, x=x, y=y)
    with np.load(path) as file:
        return _parts(file["x"], file["y"], sizes)


@cache
def whole_cifar(sizes: tuple[int, int, int]) -> Pictures:
    """Like `cifar`, the pictures as they are: (n, 3, 32, 32)."""
    with np.load(given("images/cifar10_jpeg.npz")) as file:
        return _parts(*_streams(dict(file), sizes[0] + sizes[1], sizes[2], 32), sizes)


def _streams(
    streams: Mapping[str, NDArray[Any]], known: int, test: int, side: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pictures of both parts, one after the other."""
    parts = _decoded(streams, "train", known, side), _decoded(streams, "test", test, side)
    x, y = (np.concatenate(both) for both in zip(*parts, strict=True))
    return x, y


def _decoded(
    streams: Mapping[str, NDArray[Any]], part: str, count: int, side: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """So many pictures (count, 3, side, side), drawn from all classes, and their classes."""
    from PIL import Image

    data, offsets, labels = (streams[f"{part}_{what}"] for what in ("jpeg", "offsets", "labels"))
    chosen = np.random.default_rng(0).permutation(len(labels))[:count]
    found = []
    for number in chosen:
        stream = io.BytesIO(data[offsets[number] : offsets[number + 1]].tobytes())
        picture = np.asarray(Image.open(stream).convert("RGB"), np.float32)
        blocks = picture.reshape(side, 32 // side, side, 32 // side, 3)
        found.append(blocks.mean(axis=(1, 3)).transpose(2, 0, 1))
    return np.stack(found), labels[chosen]


def _parts(x: NDArray[np.float32], y: NDArray[np.int64], sizes: tuple[int, int, int]) -> Pictures:
    known = x[: sizes[0]]
    x = ((x - known.mean(axis=(0, 2, 3), keepdims=True)) / known.std()).astype(np.float32)
    ends = np.cumsum(sizes)[:-1]
    return Pictures(tuple(np.split(x, ends)), tuple(np.split(y.astype(np.int64), ends)))
