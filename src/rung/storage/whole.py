"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rung.errors import DataError


def write_whole(
    path: str | Path, content: str | bytes | Callable[[Path], object], option: str = "path"
) -> None:
    """Write beside the place first, then move there: a reader sees the old file or the new one.

    Args:
        content: text, for UTF-8; bytes; or what writes a file of the given name.
        option: by which another place is given: of a command, or an argument.

    Raises:
        DataError: the file cannot be written.
    """
    place = Path(path)
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        if callable(content):
            content(draft)
        else:
            draft.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(draft, place)
    except OSError as error:
        raise DataError(
            f"{place} cannot be written ({error.strerror or error}): give another {option}"
        ) from error
    finally:
        with suppress(OSError):  # it was moved, or its folder is none
            draft.unlink()
