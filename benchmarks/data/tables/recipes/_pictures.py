"""Small pictures in three parts: CIFAR-10 shrunken to 8 x 8, and scikit-learn's digits."""

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
    """Pictures (n, channels, 8, 8) float32 of mean 0 and variance 1 on the training part, classes (n,)."""

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
            parts = _decoded(streams, "train", train + valid), _decoded(streams, "test", test)
        x, y = (np.concatenate(both) for both in zip(*parts, strict=True))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, x=x, y=y)
    with np.load(path) as file:
        return _parts(file["x"], file["y"], sizes)


def _decoded(
    streams: Mapping[str, NDArray[Any]], part: str, count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """So many pictures (count, 3, 8, 8), drawn from all classes, and their classes."""
    from PIL import Image

    data, offsets, labels = (streams[f"{part}_{what}"] for what in ("jpeg", "offsets", "labels"))
    chosen = np.random.default_rng(0).permutation(len(labels))[:count]
    found = []
    for number in chosen:
        stream = io.BytesIO(data[offsets[number] : offsets[number + 1]].tobytes())
        picture = np.asarray(Image.open(stream).convert("RGB"), np.float32)
        found.append(picture.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3)).transpose(2, 0, 1))
    return np.stack(found), labels[chosen]


def _parts(x: NDArray[np.float32], y: NDArray[np.int64], sizes: tuple[int, int, int]) -> Pictures:
    known = x[: sizes[0]]
    x = ((x - known.mean(axis=(0, 2, 3), keepdims=True)) / known.std()).astype(np.float32)
    ends = np.cumsum(sizes)[:-1]
    return Pictures(tuple(np.split(x, ends)), tuple(np.split(y.astype(np.int64), ends)))
