"""Small pictures, and the files that hold them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

X = np.random.default_rng(0).integers(0, 256, (12, 4, 5, 3), dtype=np.uint8)
Y = np.array([2, 0, 1] * 4)


def archive(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def jpeg(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="JPEG", quality=90)
    return stream.getvalue()


def streams(x: np.ndarray, y: np.ndarray, part: str = "train") -> dict[str, Any]:
    encoded = [jpeg(each) for each in x]
    return {
        f"{part}_jpeg": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        f"{part}_offsets": np.cumsum([0, *map(len, encoded)]),
        f"{part}_labels": y,
    }


def folder(path: Path, pictures: dict[str, np.ndarray], form: str = "png") -> Path:
    for place, picture in pictures.items():
        target = path / f"{place}.{form}"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(target)
    return path


def halves(count: int) -> tuple[np.ndarray, ...]:
    """Two classes, told by which half of a picture is bright; 16 of the pictures are held out, too."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 100, (count, 8, 8), dtype=np.uint8), np.arange(count) % 2
    x[y == 1, :, 4:] += 120
    return x, y, x[:16], y[:16]
