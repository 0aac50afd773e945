"""A folder of pictures, one folder a class."""

from __future__ import annotations

from pathlib import Path

from rung.errors import DataError
from rung.nas.data.arrays import Raw
from rung.nas.data.decoding import decoded, stacked, suffixes
from rung.nas.data.pictures import Bytes

_TESTS = ("test", "val", "valid", "validation")
_REMEDY = "scale them to one size first, or give a size (--size), to which they are scaled and cut"


def read_folder(path: Path, size: int | None = None) -> Raw:
    """Pictures whose folder is their class: `cat/1.png`, or `train/cat/1.png` and `test/cat/2.png`.

    Files that are hidden, or that no picture's suffix ends, are left out, and a note counts them. A part of
    the name `val`, `valid` or `validation` serves as the test part if there is no `test`.

    Args:
        path: of the folder.
        size: scale and cut each picture to a square of this side.

    Raises:
        DataError: no folders in it, a folder without pictures, a damaged picture, mixed sizes.
    """
    train = path / "train"
    if not _folders(train):
        x, y, left_out = _part(path, size)
        return Raw(path.name, x, y, notes=_notes(left_out))
    x, y, left_out = _part(train, size)
    test = next((path / name for name in _TESTS if _folders(path / name)), None)
    if test is None:
        return Raw(path.name, x, y, notes=_notes(left_out))
    x_test, y_test, more = _part(test, size)
    notes = () if test.name == "test" else (f"the pictures in {test.name} serve as the test part",)
    return Raw(path.name, x, y, x_test, y_test, notes=(*_notes(left_out + more), *notes))


def _part(path: Path, size: int | None) -> tuple[Bytes, list[str], int]:
    """Pictures, the class of each, and how many files are none."""
    classes = _folders(path)
    if not classes:
        raise DataError(f"{path} has no labels: put the pictures of each class in a folder named after it")
    readable = suffixes()
    files: list[tuple[Path, str]] = []
    left_out = 0
    for folder in classes:
        here = [
            each for each in sorted(folder.rglob("*")) if each.is_file() and not each.name.startswith(".")
        ]
        pictures = [each for each in here if each.suffix.lower() in readable]
        if not pictures:
            raise DataError(f"{folder} holds no picture: fill it, or remove it")
        left_out += len(here) - len(pictures)
        files += [(each, folder.name) for each in pictures]
    x = stacked(((str(each), decoded(each, str(each), size)) for each, _ in files), _REMEDY)
    return x, [label for _, label in files], left_out


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))


def _notes(left_out: int) -> tuple[str, ...]:
    if not left_out:
        return ()
    return (f"files left out, because no picture's suffix ends their names: {left_out}",)
