"""Pictures from wherever they are: archives, folders, scikit-learn, torch, arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from rung.errors import DataError
from rung.nas.data.archives import read_archive
from rung.nas.data.arrays import Raw, checked
from rung.nas.data.decoding import resized
from rung.nas.data.folders import read_folder
from rung.nas.data.items import Items, read_items
from rung.nas.data.pictures import Pictures


def read_pictures(
    source: Any,
    *,
    limit: int | None = None,
    classes: str | Sequence[str | int] | None = None,
    seed: int = 0,
    size: int | None = None,
    test: bool = False,
) -> Pictures:
    """Read labelled pictures, all into memory, as 8 bits a channel.

    Args:
        source: one of

            - a file `.npz` with arrays `x_train`, `y_train` and, if there, `x_test`, `y_test` and `classes`
              (names), or with streams of JPEG pictures (`rung.nas.data.archives.read_archive`);
            - a folder with a folder of pictures for each class, or with `train` and `test` of that form;
            - the name of a set that scikit-learn carries: `digits`;
            - (x, y) or (x, y, x_test, y_test), arrays or tensors: N x H x W, N x H x W x C or N x C x H x W,
              in uint8 or floating point from 0 to 1 or to 255, and labels of any type;
            - a torch `Dataset` of (picture, label), or a pair of them to train and to test on.
        limit: at most so many training pictures, drawn by class.
        classes: keep only these: names or positions, or a text such as "0-4" or "cat,dog"; numbers are names
            where all classes are called by numbers.
        seed: of what is drawn: the limit's pictures, the test part.
        size: scale and cut all pictures to squares of this side; None wants them equal as they are.
        test: whether a test part is needed; if there is none, a fifth of the pictures becomes it.

    Raises:
        DataError: the source is missing or no source; no labels; one class only; pictures of mixed sizes, or
            none; values that are none.
    """
    for value, what in ((limit, "limit"), (size, "size")):
        if value is not None and value < 1:
            raise DataError(f"a {what} of {value}: give at least 1")
    pictures = checked(_raw(source, size))
    if size is not None:
        pictures = _at(pictures, size)
    if classes is not None:
        pictures = pictures.only(classes)
    if test:
        pictures = pictures.with_test(seed)
    return pictures if limit is None else pictures.limited(limit, seed)


def _raw(source: Any, size: int | None) -> Raw:
    if isinstance(source, str | os.PathLike):
        return _named(os.fspath(source), size)
    if isinstance(source, tuple | list):
        return _several(tuple(source), size)
    if _is_set(source):
        x, y = read_items(type(source).__name__, source, size)
        return Raw(type(source).__name__, x, y, names=_names(source))
    raise DataError(
        f"pictures cannot be read from a {type(source).__name__}: give a path, (x, y), or a data set "
        "with a length, of (picture, label)"
    )


def _named(source: str, size: int | None) -> Raw:
    path = Path(source)
    if path.is_dir():
        return read_folder(path, size)
    if path.is_file():
        return read_archive(path)
    if source in SCIKIT_LEARN:
        return SCIKIT_LEARN[source]()
    known = ", ".join(sorted(SCIKIT_LEARN))
    raise DataError(
        f"there is no file or folder {source!r}, nor such a set of pictures in scikit-learn "
        f"(it has: {known}): check the path"
    )


def _several(source: tuple[Any, ...], size: int | None) -> Raw:
    if len(source) == 2 and all(_is_set(each) for each in source):
        train, test = source
        name = type(train).__name__
        x, y = read_items(name, train, size)
        x_test, y_test = read_items(f"{name}, test", test, size)
        return Raw(name, x, y, x_test, y_test, _names(train))
    if len(source) in (2, 4) and not any(isinstance(each, str | os.PathLike) for each in source):
        return Raw("arrays", *(_array(each) for each in source))
    raise DataError(
        f"{len(source)} values are no pictures and labels: give (x, y), (x, y, x_test, y_test), "
        "or two data sets"
    )


def _is_set(given: Any) -> bool:
    """A data set of (picture, label), not an array or a list of them."""
    return (
        isinstance(given, Items)
        and not isinstance(given, list | tuple | str | Mapping)
        and not hasattr(given, "shape")
    )


def _array(given: Any) -> Any:
    return given.detach().cpu().numpy() if hasattr(given, "detach") else given


def _names(given: Any) -> tuple[str, ...] | None:
    """Of a data set's classes, as torchvision's sets carry them."""
    names = getattr(given, "classes", None)
    return tuple(str(each) for each in names) if isinstance(names, list | tuple) else None


def _at(pictures: Pictures, size: int) -> Pictures:
    x_test = pictures.x_test
    return replace(
        pictures,
        x_train=resized(pictures.x_train, size),
        x_test=None if x_test is None else resized(x_test, size),
    )


def _digits() -> Raw:
    """8 x 8 pictures of handwritten digits (Alpaydin and Kaynak 1998), 0 to 16 scaled to 0 to 255."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return Raw("digits", np.rint(x.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), y)


SCIKIT_LEARN: Final[dict[str, Callable[[], Raw]]] = {"digits": _digits}  # what needs no download
