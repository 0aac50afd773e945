"""Splits and samples of labelled pictures that keep the shares of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.nas.data.keys import numbers

Indices = NDArray[np.int64]


def halves(y: Indices, seed: int, share: float = 0.5, classes: Sequence[str] = ()) -> tuple[Indices, Indices]:
    """Split pictures by class, into those that train weights and those that train alphas.

    DARTS (Liu et al. 2019, section 3.1) takes half and half; its code takes them in the order of the file,
    this in an order drawn from the seed.

    Args:
        y: (N,) codes of classes, from 0.
        seed: of the split.
        share: of the pictures, that of the first part; between 0 and 1.
        classes: names by code, for messages.

    Returns:
        Indices of the first part, round(share N) of them, and of the second; both ascend. Each class has at
        least one picture in each.

    Raises:
        DataError: a class has a single picture, or the share is not between 0 and 1.
    """
    if not 0.0 < share < 1.0:
        raise DataError(f"a share of {share:g} splits nothing: give one between 0 and 1, for example 0.5")
    counts = np.bincount(y)
    there = np.flatnonzero(counts)
    lonely = there[counts[there] < 2]
    if len(lonely):
        name = classes[lonely[0]] if classes else lonely[0]
        raise DataError(
            f"class {name} has a single picture left, and a split needs two of each class: add pictures of "
            "it, raise the limit if there is one, or leave the class out"
        )
    total = int(np.floor(share * len(y) + 0.5))
    first = _drawn(
        y, allotted(counts, total, np.minimum(counts, 1), np.maximum(counts - 1, 0)), seed, "halves"
    )
    chosen = np.zeros(len(y), dtype=bool)
    chosen[first] = True
    return first, np.flatnonzero(~chosen).astype(np.int64)


def sample(y: Indices, count: int, seed: int) -> Indices:
    """Indices of `count` pictures, drawn by class: each class keeps its share, and two pictures if they fit.

    A larger sample of the same seed holds nearly all of a smaller one: within a class, it goes on where the
    smaller ended.

    Args:
        y: (N,) codes of classes, from 0.
        count: how many; all are taken if there are no more.
        seed: of the draw.

    Raises:
        DataError: fewer than one a class.
    """
    if count >= len(y):
        return np.arange(len(y), dtype=np.int64)
    counts = np.bincount(y)
    there = int((counts > 0).sum())
    if count < there:
        raise DataError(
            f"{count} pictures cannot show {there} classes: raise the limit to at least {2 * there}"
        )
    two = np.minimum(counts, 2)
    least = two if two.sum() <= count else np.minimum(counts, 1)
    return _drawn(y, allotted(counts, count, least, counts), seed, "sample")


def allotted(counts: Indices, total: int, least: Indices, most: Indices) -> Indices:
    """Share out `total` in proportion to `counts` within bounds, by largest remainders.

    Args:
        counts: (K,) sizes of the classes.
        total: to share out; outside the sums of the bounds, the nearest sum is.
        least, most: (K,) bounds of each class.
    """
    quota = total * counts / counts.sum()
    given: Indices = np.clip(np.floor(quota).astype(np.int64), least, most)
    total = int(np.clip(total, least.sum(), most.sum()))
    while given.sum() < total:
        given[np.argmax(np.where(given < most, quota - given, -np.inf))] += 1
    while given.sum() > total:
        given[np.argmin(np.where(given > least, quota - given, np.inf))] -= 1
    return given


def _drawn(y: Indices, wanted: Indices, seed: int, purpose: str) -> Indices:
    """So many indices of each class, from an order of its own."""
    parts = [
        numbers(seed, purpose, code).permutation(np.flatnonzero(y == code))[:count]
        for code, count in enumerate(wanted.tolist())
        if count
    ]
    return np.sort(np.concatenate(parts)).astype(np.int64)
