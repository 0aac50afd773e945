"""Labelled pictures in memory, as 8 bits a channel, and what is measured on them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.nas.data.strata import Indices, halves, sample

Bytes = NDArray[np.uint8]
_HELD_OUT = 0.2  # of the pictures, when a test part is needed and none is given
_CHUNK = 1024  # pictures summed at a time, so that measuring takes little memory


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one size with their classes.

    Attributes:
        name: of the data, for people.
        x_train: (N, H, W, C) uint8.
        y_train: (N,) int64 codes of `classes`.
        x_test: (M, H, W, C) uint8; None where no test part is.
        y_test: (M,) int64; None where no test part is.
        classes: names, by code.
        notes: sentences that a user should read: what was split off, rounded or left out.
    """

    name: str
    x_train: Bytes
    y_train: Indices
    x_test: Bytes | None
    y_test: Indices | None
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        _, height, width, channels = self.x_train.shape
        return height, width, channels

    @property
    def side(self) -> int:
        """Height and width, of which networks have one: what they cost and what fits them is of squares.

        Raises:
            DataError: they differ.
        """
        height, width, _ = self.shape
        if height != width:
            raise DataError(
                f"{self.name}: pictures of {height} x {width} pixels are no squares, for which networks are "
                f"built and counted: scale and cut them by --size {min(height, width)}"
            )
        return height

    @property
    def mean(self) -> tuple[float, ...]:
        """(C,) mean of the training pictures, where white is 1."""
        return self._moments[0]

    @property
    def std(self) -> tuple[float, ...]:
        """(C,) standard deviation of the training pictures, where white is 1; 1 for a constant channel."""
        return self._moments[1]

    @cached_property
    def checksums(self) -> list[int]:
        """CRC-32 of the training pictures and of their codes: they tell data from other data of its name."""
        return [zlib.crc32(np.ascontiguousarray(array).data) for array in (self.x_train, self.y_train)]

    @cached_property
    def _moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return measured(self.x_train)

    def only(self, classes: str | Sequence[str | int]) -> Pictures:
        """The pictures of some classes, with codes of their own in the old order.

        Args:
            classes: names, or positions from 0 (a number that is a name means the name); as one text,
                they are split at commas, and `0-4` means the positions 0 to 4. Where all names are whole
                numbers, numbers are never positions, and `0-4` means the names 0 to 4.

        Raises:
            DataError: a class that is not there, or fewer than two of them.
        """
        kept = positions(self.classes, classes)
        if len(kept) < 2:
            raise DataError(
                f"{self.name}: a single class, {self.classes[kept[0]]!r}, leaves nothing to tell apart"
            )
        x_train, y_train = _of_classes(self.x_train, self.y_train, kept, len(self.classes))
        x_test, y_test = self.x_test, self.y_test
        if x_test is not None and y_test is not None:
            x_test, y_test = _of_classes(x_test, y_test, kept, len(self.classes))
            if not len(x_test):
                x_test = y_test = None
        names = tuple(self.classes[code] for code in kept)
        return replace(self, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, classes=names)

    def limited(self, limit: int, seed: int = 0) -> Pictures:
        """With at most so many training pictures, drawn by class; the test part stays whole.

        Raises:
            DataError: fewer than one a class.
        """
        if limit >= len(self.y_train):
            return self
        rows = sample(self.y_train, limit, seed)
        return replace(self, x_train=self.x_train[rows], y_train=self.y_train[rows])

    def with_test(self, seed: int = 0) -> Pictures:
        """With a test part: if there is none, a fifth of each class is split off, and a note says so.

        Raises:
            DataError: a class has a single picture.
        """
        if self.x_test is not None:
            return self
        held, kept = halves(self.y_train, seed, _HELD_OUT, self.classes)
        note = f"no test part was given: {len(held)} of {len(self.y_train)} pictures were split off for it"
        return replace(
            self,
            x_train=self.x_train[kept],
            y_train=self.y_train[kept],
            x_test=self.x_train[held],
            y_test=self.y_train[held],
            notes=(*self.notes, note),
        )

    @property
    def flippable(self) -> bool:
        """Whether a mirrored picture shows the same thing, guessed by name: digits and letters do not."""
        name = self.name.lower()
        return "fashion" in name or not any(word in name for word in ("digits", "mnist", "svhn", "letters"))


def measured(x: Bytes) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, exact but for the last rounding.

    Args:
        x: (N, H, W, C) uint8.

    Returns:
        Mean and standard deviation (of the population), where 255 counts as 1; a constant channel has
        deviation 1, so that it can be divided by.
    """
    channels = x.shape[-1]
    sums, squares = [0] * channels, [0] * channels
    for start in range(0, len(x), _CHUNK):
        part = x[start : start + _CHUNK].reshape(-1, channels).astype(np.int64)
        for channel in range(channels):
            sums[channel] += int(part[:, channel].sum())
            squares[channel] += int(np.dot(part[:, channel], part[:, channel]))
    count = x.size // channels
    mean = tuple(total / count / 255.0 for total in sums)
    spread = [
        math.sqrt(count * square - total * total) / count / 255.0
        for total, square in zip(sums, squares, strict=True)
    ]
    return mean, tuple(each or 1.0 for each in spread)


def positions(names: Sequence[str], wanted: str | Sequence[str | int]) -> list[int]:
    """Positions of some classes, ascending; see `Pictures.only`.

    Raises:
        DataError: a class that is not there, or none.
    """
    found = set(_of_text(names, wanted) if isinstance(wanted, str) else (_position(names, w) for w in wanted))
    if not found:
        raise DataError("no class is named: give names or positions, for example 0-4")
    return sorted(found)


def _of_text(names: Sequence[str], text: str) -> list[int]:
    """Of each name, number and range."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        first, dash, last = part.partition("-")
        if dash and first.isdecimal() and last.isdecimal() and part not in names:
            numbers = range(int(first), int(last) + 1)
            found += [_position(names, number, among=_numbered(names)) for number in numbers]
        else:
            found.append(_position(names, part))
    return found


def _numbered(names: Sequence[str]) -> bool:
    """Whether all classes are called by whole numbers: then numbers are names and not positions."""
    return all(name.removeprefix("-").isdecimal() for name in names)


def _position(names: Sequence[str], item: str | int, *, among: bool = True) -> int:
    """Of a class by its name, or by its position where that is meant.

    Args:
        among: whether a number may be a name.
    """
    text = str(item)
    if among and text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names) and not _numbered(names):
        return int(text)
    shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    raise DataError(f"there is no class {item!r}: the {len(names)} classes are {shown}")


def _of_classes(x: Bytes, y: Indices, kept: list[int], count: int) -> tuple[Bytes, Indices]:
    code = np.full(count, -1, dtype=np.int64)
    code[kept] = np.arange(len(kept))
    chosen = code[y] >= 0
    return x[chosen], code[y[chosen]]
