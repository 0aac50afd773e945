"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from rung.errors import DataError

_DATABASE: Final = b"SQLite format 3\0"  # what every such file begins with


def to_replace(path: str | Path, option: str = "path") -> Path:
    """Where a file may be put in place of what is there: a link's own place is that which it leads to.

    Raises:
        DataError: a folder, a device, a pipe or a database is there.
    """
    place = Path(os.path.realpath(path))
    if place.is_dir():
        raise DataError(f"{path} is a folder: give another {option}")
    if place.exists() and not place.is_file():
        raise DataError(f"{path} is no ordinary file: give another {option}")
    if _is_database(place):
        raise DataError(f"{path} is a database, which would be overwritten: give another {option}")
    return place


def _is_database(place: Path) -> bool:
    try:
        with place.open("rb") as file:
            return file.read(len(_DATABASE)) == _DATABASE
    except OSError:  # it is not there; or it cannot be read, and whether it can be written is asked elsewhere
        return False


def write_whole(
    path: str | Path, content: str | bytes | Callable[[Path], object], option: str = "path"
) -> None:
    """Write beside the place first, then move there: a reader sees the old file or the new one.

    Args:
        content: text, for UTF-8; bytes; or what writes a file of the given name.
        option: by which another place is given: of a command, or an argument.

    Raises:
        DataError: the file cannot be written, or what is there is not to be replaced (see `to_replace`).
    """
    place = to_replace(path, option)
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        if callable(content):
            content(draft)
        else:
            draft.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(draft, place)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror or error}): give another {option}"
        ) from error
    finally:
        with suppress(OSError):  # it was moved, or its folder is none
            draft.unlink()
