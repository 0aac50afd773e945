"""Pictures in NumPy's archives (.npz): arrays, or streams of JPEG pictures decoded once."""

from __future__ import annotations

import hashlib
import itertools
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.errors import DataError
from rung.nas.data.arrays import Raw
from rung.nas.data.decoding import decoded, pillow, stacked
from rung.nas.data.pictures import Bytes

_PARTS = ("train", "test")
_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"\x93NUM")  # how an archive, an empty one, a single array begin
_BROKEN = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


def read_archive(path: Path) -> Raw:
    """An archive of arrays `x_train`, `y_train`, `x_test`, `y_test`, or of JPEG streams.

    A stream has all pictures of a part one after the other, `train_jpeg` (uint8), where each starts and the
    last ends, `train_offsets` (N + 1), and `train_labels`; the same for `test`. `classes`, in either form,
    names the classes. Streams are decoded once, then read from `cache_folder()`.

    Raises:
        DataError: no archive, or one without these arrays.
    """
    arrays = _loaded(path)
    names = [str(each) for each in arrays["classes"]] if "classes" in arrays else None
    if "train_jpeg" in arrays:
        pictures = _streams(path, arrays)
        return Raw(
            path.stem, pictures["train"], arrays.get("train_labels"), pictures.get("test"),
            arrays.get("test_labels") if "test" in pictures else None, names,
        )  # fmt: skip
    if "x_train" not in arrays:
        found = ", ".join(sorted(arrays)) or "nothing"
        raise DataError(f"{path} has no array x_train (it has {found}): save x_train and y_train in it")
    if "y_train" not in arrays:
        raise DataError(f"{path} has no labels: save them beside x_train, as y_train")
    return Raw(
        path.stem, arrays["x_train"], arrays["y_train"], arrays.get("x_test"), arrays.get("y_test"), names
    )


def cache_folder() -> Path:
    """Where decoded pictures are kept: `rung` in `$XDG_CACHE_HOME`, or in `~/.cache`; it may be deleted."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if given else Path.home() / ".cache") / "rung"


def _loaded(path: Path) -> dict[str, NDArray[Any]]:
    try:
        arrays = _arrays(path)
    except _BROKEN as error:
        raise DataError(
            f"{path} cannot be read as an archive of NumPy ({_short(error)}): write it with numpy.savez, "
            "without Python objects, pictures of one size as one array"
        ) from None
    if arrays is None:
        raise DataError(f"{path} is a single array: save pictures and labels with numpy.savez")
    return arrays


def _arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """All arrays of an archive; None of a file that is a single array."""
    with path.open("rb") as stream:  # NumPy would leave a damaged file open
        if stream.read(len(_MAGIC[0])) not in _MAGIC:  # NumPy would call it pickled
            raise ValueError("it is another kind of file")
        stream.seek(0)
        archive = np.load(stream, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            return None
        return {name: archive[name] for name in archive.files}


def _streams(path: Path, arrays: dict[str, NDArray[Any]]) -> dict[str, Bytes]:
    """By part, (N, H, W, C), from the cache if it has them."""
    kept = cache_folder() / f"{path.stem}-{_fingerprint(path)}.npz"
    try:
        pictures = _arrays(kept)
    except _BROKEN:
        pictures = None
    if pictures is None:
        pictures = {part: _stream(path, arrays, part) for part in _PARTS if f"{part}_jpeg" in arrays}
        _keep(kept, pictures)
    return pictures


def _stream(path: Path, arrays: dict[str, NDArray[Any]], part: str) -> Bytes:
    offsets = arrays.get(f"{part}_offsets")
    data = arrays[f"{part}_jpeg"].tobytes()
    if offsets is None or offsets.ndim != 1 or len(offsets) < 2:
        raise DataError(f"{path} has no {part}_offsets that say where in {part}_jpeg each picture starts")
    bounds = [int(each) for each in offsets]
    if bounds[0] < 0 or bounds[-1] > len(data) or any(b <= a for a, b in itertools.pairwise(bounds)):
        raise DataError(
            f"{path}: {part}_offsets must ascend from 0 to the length of {part}_jpeg, {len(data)}"
        )
    return stacked(
        (
            (f"picture {row}", decoded(data[start:end], f"{path}: {part} picture {row}"))
            for row, (start, end) in enumerate(itertools.pairwise(bounds))
        ),
        "scale them to one size first",
    )


def _fingerprint(path: Path) -> str:
    """Of what is in an archive, by the checksums that it holds, and of what decodes it."""
    told = [f"Pillow {getattr(pillow(), '__version__', '')}"]
    with zipfile.ZipFile(path) as archive:
        told += [f"{each.filename} {each.file_size} {each.CRC}" for each in archive.infolist()]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _keep(path: Path, pictures: dict[str, Bytes]) -> None:
    """A cache that cannot be written costs time at the next reading and nothing else."""
    partial = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            np.savez(partial, **pictures)  # type: ignore[arg-type]  # by name, as NumPy wants them
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError:
        return


def _short(error: BaseException) -> str:
    return str(error).splitlines()[0].rstrip(".")[:80] if str(error) else type(error).__name__
