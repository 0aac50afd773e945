"""Pictures in files' formats, decoded by Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rung.errors import DataError, UserError
from rung.nas.data.pictures import Bytes


def pillow() -> Any:
    """The module `PIL.Image`.

    Raises:
        UserError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise UserError("reading pictures from their files needs Pillow: pip install pillow") from None
    return Image


def suffixes() -> frozenset[str]:
    """Of file names that Pillow reads, in lower case, with the dot."""
    image = pillow()
    image.init()
    return frozenset(suffix for suffix, kind in image.registered_extensions().items() if kind in image.OPEN)


def decoded(source: Path | bytes, name: str, size: int | None = None) -> Bytes:
    """One picture: (H, W) if it is grey, else (H, W, 3) in red, green, blue.

    Args:
        source: a file, or what one holds.
        name: for messages.
        size: scale and cut it at the centre to a square of this side; None leaves it.

    Raises:
        DataError: no picture, or a damaged one.
    """
    image = pillow()
    stream: Path | BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with image.open(stream) as opened:
            return pixels(opened, size)
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError) as error:
        raise DataError(
            f"{name} is not a picture that can be read ({_short(error)}): repair or remove it"
        ) from None


def pixels(picture: Any, size: int | None = None) -> Bytes:
    """A picture of Pillow, turned as its camera says, as (H, W) or (H, W, 3) of 8 bits."""
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # 16 bits of grey: `convert` would cut them off at 255
        picture = pillow().fromarray(
            (np.asarray(picture).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8)
        )
    elif picture.mode in {"1", "L", "LA", "La"}:
        picture = picture.convert("L")
    else:
        if "transparency" in picture.info:
            picture = picture.convert("RGBA")
        picture = picture.convert("RGB")
    return np.asarray(picture if size is None else ImageOps.fit(picture, (size, size)), dtype=np.uint8)


def stacked(pictures: Iterable[tuple[str, Bytes]], remedy: str) -> Bytes:
    """Pictures of one size as (N, H, W, C), grey if all are.

    Args:
        pictures: names, for messages, and (H, W) or (H, W, C) each.
        remedy: what to do if sizes differ.

    Raises:
        DataError: pictures of several sizes, or none.
    """
    kept: list[Bytes] = []
    first = ""
    for name, picture in pictures:
        first = first or name
        if kept and picture.shape[:2] != kept[0].shape[:2]:
            raise DataError(
                f"pictures of mixed sizes: {first} has {_size(kept[0])} pixels, "
                f"{name} has {_size(picture)}: {remedy}"
            )
        kept.append(picture)
    if not kept:
        raise DataError("there is no picture")
    depth = max(each.shape[2] if each.ndim == 3 else 1 for each in kept)
    out = np.empty((len(kept), *kept[0].shape[:2], depth), dtype=np.uint8)
    for row, picture in enumerate(kept):
        out[row] = picture if picture.ndim == 3 else picture[..., None]
    return out


def resized(x: Bytes, size: int) -> Bytes:
    """(N, H, W, C) scaled and cut at the centre to (N, size, size, C)."""
    if x.shape[1:3] == (size, size):
        return x
    image = pillow()
    from PIL import ImageOps

    out = np.empty((len(x), size, size, x.shape[3]), dtype=np.uint8)
    for row, picture in enumerate(x):
        for channel in range(x.shape[3]):
            fitted = ImageOps.fit(image.fromarray(picture[..., channel]), (size, size))
            out[row, ..., channel] = np.asarray(fitted)
    return out


def _size(picture: Bytes) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"


def _short(error: BaseException) -> str:
    return str(error).split("<")[0].strip().rstrip(":.")[:80] or type(error).__name__
