"""Arrays as people store them, made into pictures of 8 bits and codes of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.nas.data.pictures import Bytes, Pictures
from rung.nas.data.strata import Indices

Array = NDArray[Any]
_CHANNELS = range(1, 5)
_EXACT = 2.0**53  # floating-point numbers from here on leave whole ones out
_OVER = 0.05  # of the range: as far beyond it smooth resizing goes, or arithmetic in 16 bits
_FEW = 16.0  # below which rounding to whole levels would leave little of a picture


@dataclass(frozen=True, eq=False)
class Raw:
    """What a source gave, before anything is checked.

    Attributes:
        name: of the data, for messages too.
        x, y: pictures and labels to train on: (N, H, W[, C]) or (N, C, H, W), and (N,).
        x_test, y_test: the same to test on; None where there are none.
        names: of the classes, where the labels are positions in them.
        notes: for the user.
    """

    name: str
    x: Any
    y: Any
    x_test: Any = None
    y_test: Any = None
    names: Sequence[str] | None = None
    notes: tuple[str, ...] = ()


def checked(raw: Raw) -> Pictures:
    """Pictures of a source, or one sentence that says why there are none.

    Raises:
        DataError: no labels, other lengths, one class, pictures of several sizes, values that are no picture.
    """
    x = _layout(raw.name, raw.x)
    x_test = None if raw.x_test is None else _layout(f"{raw.name}, test", raw.x_test)
    y = _labels(raw.name, raw.y, len(x))
    if (x_test is None) != (raw.y_test is None):
        raise DataError(f"{raw.name}: the test part needs pictures and labels: give both, or neither")
    y_test = None if x_test is None else _labels(f"{raw.name}, test", raw.y_test, len(x_test))
    if x_test is not None and x_test.shape[1:] != x.shape[1:]:
        raise DataError(
            f"{raw.name}: pictures to train on are {_shape(x)} and pictures to test on {_shape(x_test)}: "
            "bring them to one size"
        )
    codes, codes_test, classes = encoded(raw.name, y, y_test, raw.names)
    bytes_, bytes_test, notes = _eight_bits(raw.name, x, x_test)
    return Pictures(raw.name, bytes_, codes, bytes_test, codes_test, classes, (*raw.notes, *notes))


def _layout(name: str, given: Any) -> Array:
    """(N, H, W, C), of whatever type."""
    try:
        x = np.asarray(given)
    except ValueError:
        x = np.empty(0, dtype=object)
    if x.dtype == object:
        raise DataError(f"{name}: the pictures have mixed sizes: scale them to one size first")
    if x.dtype.kind not in "buif":
        raise DataError(f"{name}: the pictures are of type {x.dtype}: give numbers, best uint8 from 0 to 255")
    if x.ndim == 3:
        x = x[..., None]
    elif x.ndim == 4 and x.shape[-1] not in _CHANNELS and x.shape[1] in _CHANNELS:
        x = x.transpose(0, 2, 3, 1)
    if x.ndim != 4 or x.shape[-1] not in _CHANNELS or 0 in x.shape:
        shape = _shape(given, 0) or "one of single numbers"
        raise DataError(f"{name}: the array of pictures is {shape}: give N x H x W or N x H x W x 3")
    return x


def _eight_bits(name: str, x: Array, x_test: Array | None) -> tuple[Bytes, Bytes | None, list[str]]:
    """Both parts on one scale, each from what its own type and values say of it."""
    parts = {name: x} if x_test is None else {name: x, f"{name}, test": x_test}
    if all(part.dtype == np.uint8 for part in parts.values()):
        done = [np.ascontiguousarray(part) for part in parts.values()]
        return done[0], done[1] if len(done) > 1 else None, []
    ranges = {whose: _range(whose, part) for whose, part in parts.items()}
    scales = _scales(parts, {whose: high for whose, (_, high) in ranges.items()})
    for whose, part in parts.items():
        _check_range(whose, part, *ranges[whose], scales[whose])
    done = [
        np.ascontiguousarray(np.rint(np.clip(scales[whose] * part, 0, 255)).astype(np.uint8))
        for whose, part in parts.items()
    ]
    floating = any(part.dtype.kind == "f" for part in parts.values())
    notes = (
        ["the pictures were floating-point numbers and were rounded to 8 bits a channel"] if floating else []
    )
    return done[0], done[1] if len(done) > 1 else None, notes


def _range(name: str, part: Array) -> tuple[float, float]:
    """The least and the greatest value."""
    low, high = float(part.min()), float(part.max())
    if not np.isfinite([low, high]).all():
        raise DataError(
            f"{name}: the pictures hold values that are no numbers (NaN or infinite): repair them"
        )
    return low, high


def _scales(parts: Mapping[str, Array], highs: Mapping[str, float]) -> dict[str, float]:
    """What each part is multiplied with: 255 where white is 1, as in truth values, and in fractions up to 1.

    Parts of fractions share their scale; so do whole numbers of 0 and 1 beside a part in which white is 1.
    """
    kinds = {whose: part.dtype.kind for whose, part in parts.items()}
    fractions = [highs[whose] for whose in parts if kinds[whose] == "f"]
    unit = {
        whose: kind == "b" or (kind == "f" and max(fractions) <= 1 + _OVER) for whose, kind in kinds.items()
    }
    beside = any(unit.values())
    return {whose: 255.0 if unit[whose] or (beside and highs[whose] <= 1) else 1.0 for whose in parts}


def _check_range(name: str, part: Array, low: float, high: float, scale: float) -> None:
    """Refuse values that no scale makes a picture of."""
    if scale * low < -255 * _OVER or scale * high > 255 * (1 + _OVER):
        raise DataError(
            f"{name}: the pictures' values go from {low:g} to {high:g}: give them from 0 to 255 "
            "or from 0 to 1, not normalised (that is done here, as measured)"
        )
    if scale == 1.0 and high < _FEW and (part != np.rint(part)).any():
        raise DataError(
            f"{name}: the pictures' values go from {low:g} to {high:g}, and are no whole numbers: give them "
            "from 0 to 1, or from 0 to 255"
        )


def _labels(name: str, given: Any, count: int) -> Array:
    """(count,) labels of whatever type."""
    if given is None:
        raise DataError(f"{name}: there are no labels: give the class of each picture")
    y = np.asarray(given)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    elif y.ndim == 2 and y.dtype.kind in "buif" and _one_hot(y):
        y = y.argmax(axis=1)
    if y.ndim != 1:
        raise DataError(f"{name}: the labels are {_shape(y, 0)}: give one class a picture, in N values")
    if len(y) != count:
        raise DataError(f"{name}: there are {count} pictures and {len(y)} labels: give as many of both")
    return _plain(name, y)


def _one_hot(y: Array) -> bool:
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def _plain(name: str, y: Array) -> Array:
    """Whole numbers, truth values or text."""
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            raise DataError(f"{name}: some pictures have no label (NaN): label them, or leave them out")
        if (y != np.rint(y)).any():
            raise DataError(
                f"{name}: a label is {y[y != np.rint(y)][0]:g}: classes are whole numbers or names"
            )
        if np.abs(y).max() >= _EXACT:
            raise DataError(f"{name}: a label is {np.abs(y).max():.0f} in size: too large to be exact")
        return y.astype(np.int64)
    if y.dtype.kind in "biu":
        return y
    if any(each is None or each != each for each in y.tolist()):  # NaN is not itself
        raise DataError(f"{name}: some pictures have no label: label them, or leave them out")
    return np.array([each.decode() if isinstance(each, bytes) else str(each) for each in y.tolist()])


def encoded(
    name: str, y: Array, y_test: Array | None, names: Sequence[str] | None
) -> tuple[Indices, Indices | None, tuple[str, ...]]:
    """Codes of the classes that the training part shows, in the order of their values.

    Args:
        name: for messages.
        y: (N,) labels to train on.
        y_test: (M,) labels to test on, or None.
        names: what labels stand for, if they are positions.

    Returns:
        (N,) codes, (M,) codes or None, names by code.

    Raises:
        DataError: fewer than two classes; a label without a name, or to test on only.
    """
    values, codes = np.unique(y, return_inverse=True)
    if len(values) < 2:
        raise DataError(f"{name}: all pictures are of one class, {values[0]}: there is nothing to tell apart")
    if names is not None and y.dtype.kind in "iu":
        if values[0] < 0 or values[-1] >= len(names):
            wrong = values[0] if values[0] < 0 else values[-1]
            raise DataError(
                f"{name}: a label is {wrong}, but {len(names)} classes are named: name each class"
            )
        classes = tuple(str(names[int(value)]) for value in values)
    else:
        classes = tuple(str(value) for value in values)
    if y_test is None:
        return codes.astype(np.int64), None, classes
    if (y_test.dtype.kind in "US") != (y.dtype.kind in "US"):
        y_test, values = y_test.astype(str), values.astype(str)
    strange = ~np.isin(y_test, values)
    if strange.any():
        raise DataError(f"{name}: a picture to test on is of class {y_test[strange][0]}, none to train on is")
    order = np.argsort(values, kind="stable")
    return (
        codes.astype(np.int64),
        order[np.searchsorted(values, y_test, sorter=order)].astype(np.int64),
        classes,
    )


def _shape(x: Any, start: int = 1) -> str:
    return " x ".join(str(length) for length in np.shape(x)[start:])
