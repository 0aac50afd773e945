"""Embeddings that were computed already: in this process, and beside a study for its next session."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rung.tabular.pretrained.source import Source

Vectors = NDArray[np.float32]

_FOLDER: Final = "embeddings"
_MOST: Final = 2**29  # bytes in this process; beyond, the oldest model's are forgotten
_KEY: Final = 16  # bytes of a cell's digest

_kept: dict[str, dict[bytes, Vectors]] = {}


def key_of(text: str) -> bytes:
    """The digest by which a cell is known."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY).digest()


def known(model: str) -> dict[bytes, Vectors]:
    """What is known of a model's embeddings, by the cells' digests; it may be added to."""
    return _kept.setdefault(model, {})


def trim() -> None:
    """Forget the oldest, where more is kept than may be."""
    while _kept and sum(_bytes(one) for one in _kept.values()) > _MOST:
        del _kept[next(iter(_kept))]


def _bytes(one: dict[bytes, Vectors]) -> int:
    return len(one) * next(iter(one.values())).nbytes if one else 0


def write(folder: Path, sources: Sequence[Source]) -> None:
    """Keep what is known of these models in a study's folder, each file whole or not at all."""
    home = folder / _FOLDER
    for source in sources:
        found = _kept.get(source.fingerprint)
        place = home / f"{source.fingerprint}.npz"
        if not found or place.exists():
            continue
        keys = np.frombuffer(b"".join(found), dtype=np.uint8).reshape(-1, _KEY)
        _write(place, {"keys": keys, "vectors": np.stack(list(found.values()))})


def write_tuned(folder: Path, digest: str, weights: Mapping[str, Vectors]) -> None:
    """Keep what was tuned in a study's folder, whole or not at all."""
    _write(folder / _FOLDER / f"tuned-{digest}.npz", dict(weights))


def read_tuned(folder: Path | None, digest: str) -> dict[str, Vectors] | None:
    """What an earlier session of a study tuned; None where it cannot be read."""
    if folder is None:
        return None
    try:
        with np.load(folder / _FOLDER / f"tuned-{digest}.npz", allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _write(place: Path, arrays: dict[str, Any]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=place.parent)
    with os.fdopen(handle, "wb") as file:
        np.savez(file, **arrays)
    Path(temporary).replace(place)


def read(folder: Path, source: Source) -> None:
    """Recall what an earlier session of a study wrote; what cannot be read is computed again."""
    place = folder / _FOLDER / f"{source.fingerprint}.npz"
    try:
        with np.load(place, allow_pickle=False) as file:
            keys, vectors = file["keys"], file["vectors"]
    except (OSError, ValueError, KeyError, EOFError):
        return
    known(source.fingerprint).update(
        (key.tobytes(), vector) for key, vector in zip(keys, vectors, strict=True)
    )
