"""Cells of an embedded column: texts as they are; images as paths, or as data URIs where they are arrays.

A frame's cells become texts in one place, and a data URI is an image that is a text: so arrays go through
everything that texts go through.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.tabular.frames import with_columns

if TYPE_CHECKING:
    import pandas as pd

_DATA: Final = "data:image/"


def as_texts(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The frame, images in the cells of these columns replaced by data URIs; the frame itself without any.

    Arrays are (h, w), (h, w, 1), (h, w, 3) or (h, w, 4): of uint8, or of floats from 0 to 1.

    Raises:
        DataError: an array is no image.
    """
    changed = {}
    for name in names:
        if name not in frame.columns or frame[name].dtype != object:
            continue
        values = frame[name].to_numpy(dtype=object)
        if any(_is_image(value) for value in values):
            changed[name] = [
                _uri(value, name, row) if _is_image(value) else value for row, value in enumerate(values, 1)
            ]
    if not changed:
        return frame
    found = with_columns(frame, changed)
    found.attrs = dict(frame.attrs)
    return found


def _is_image(value: Any) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "tobitmap")  # the latter is PIL's


def _uri(value: Any, name: str, row: int) -> str:
    from PIL import Image

    image = value
    if isinstance(value, np.ndarray):
        pixels = value[:, :, 0] if value.ndim == 3 and value.shape[2] == 1 else value
        whole = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
        if not whole or 0 in pixels.shape or pixels.dtype.kind not in "uifb":
            raise DataError(
                f"column {name!r}, row {row}: an array of shape {value.shape} and type {value.dtype} is no "
                "image; give (height, width, 3), uint8 or floats from 0 to 1"
            )
        if pixels.dtype != np.uint8:
            scale = 255.0 if pixels.dtype.kind in "fb" else 1.0
            pixels = np.clip(np.nan_to_num(pixels.astype(np.float64)) * scale, 0, 255).round()
        image = Image.fromarray(pixels.astype(np.uint8))
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG", compress_level=1)
    return f"{_DATA}png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def refuse_paths(cells: Iterable[Any], name: str) -> None:
    """Refuse images that are files.

    Raises:
        DataError: a cell is no data URI.
    """
    for row, cell in enumerate(cells, 1):
        if isinstance(cell, str) and cell.strip() and not cell.startswith(_DATA):
            raise DataError(
                f"column {name!r}, row {row}: images are given here as data URIs, data:image/png;base64,... "
                "and not by path"
            )


def holds_images(cells: Iterable[str], folder: str) -> bool:
    """Whether the first cells are images: for models that take both texts and images."""
    first = [cell for _, cell in zip(range(5), cells, strict=False)]
    return bool(first) and all(cell.startswith(_DATA) or _path(cell, folder) is not None for cell in first)


def image_key(cell: str, folder: str) -> str:
    """What an image is known by: its place, size and time of change, or the data URI itself."""
    path = None if cell.startswith(_DATA) else _path(cell, folder)
    if path is None:
        return cell
    about = path.stat()
    return f"{path.resolve()}\0{about.st_size}\0{about.st_mtime_ns}"


def open_image(cell: str, folder: str, where: str) -> Any:
    """The image of a cell, as PIL's in RGB.

    Args:
        folder: where a relative path is looked for before the working directory.
        where: column and row, for the message.

    Raises:
        DataError: there is no such file, or it is no image.
    """
    from PIL import Image

    file: Any
    if cell.startswith(_DATA):
        file = io.BytesIO(_decoded(cell, where))
    else:
        file = _path(cell, folder)
        if file is None:
            near = f"neither in {folder or '.'} nor in the working directory"
            raise DataError(f"{where}: there is no image {_short(cell)} ({near}); give paths of image files")
    try:
        with Image.open(file) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{where}: {_short(cell)} is no image that can be read; give a PNG, JPEG or the like"
        ) from error


def pixels_of(image: Any, recipe: Mapping[str, Any]) -> NDArray[np.float32]:
    """(3, side, side): resized by the shorter edge, cut to the middle, normalised by mean and spread."""
    side = int(recipe["side"])
    width, height = image.size
    ratio = side / min(width, height)
    size = max(side, round(width * ratio)), max(side, round(height * ratio))
    resized = image.resize(size, resample=3)  # bicubic
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    cut = np.asarray(resized.crop((left, top, left + side, top + side)), dtype=np.float32) / 255.0
    normal = (cut - np.asarray(recipe["mean"], np.float32)) / np.asarray(recipe["std"], np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1), dtype=np.float32)


IMAGENET: Final = {"side": 224, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
"""How models trained on ImageNet expect an image, where their folder says nothing else."""


def _decoded(cell: str, where: str) -> bytes:
    try:
        return base64.b64decode(cell.partition(",")[2], validate=True)
    except ValueError as error:
        raise DataError(f"{where}: the data URI is no base64; give it whole") from error


def _path(cell: str, folder: str) -> Path | None:
    """The file that a cell names, None where there is none."""
    if len(cell) > 1000 or "\0" in cell or not cell.strip():
        return None
    places = [Path(folder) / cell, Path(cell)] if folder else [Path(cell)]
    return next((place for place in places if _is_file(place)), None)


def _is_file(place: Path) -> bool:
    try:
        return place.is_file()
    except OSError:  # a text is no path: too long a name, say
        return False


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 60 else f"{cell[:57]}...")
