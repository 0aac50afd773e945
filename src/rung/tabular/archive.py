"""The zip archive that a model file is: read with a sentence where it is not what was written."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rung.errors import DataError

_NO_ARCHIVE: Final = (zipfile.BadZipFile, RuntimeError, ValueError, OverflowError, struct.error)
"""What zipfile raises of a file that it cannot open; a RuntimeError where it would need more than it has."""
_DAMAGED: Final = (zipfile.BadZipFile, RuntimeError, zlib.error, EOFError, struct.error)
"""And where an entry cannot be read."""
_START: Final = b"PK\x03\x04"


@contextmanager
def opened(place: Path, called: str) -> Iterator[zipfile.ZipFile]:
    """The archive at `place`, to be read.

    Args:
        called: its name in sentences.

    Raises:
        DataError: there is no such file, it is no archive, is cut off, or what is read of it is damaged.
    """
    archive = _open(place, called)
    with archive:
        # zipfile goes by the last end of an archive that there is: in a file of several models that is cut
        # off, this is the end of one of them, which begins somewhere within
        if min((entry.header_offset for entry in archive.infolist()), default=0) != 0:
            raise DataError(_no_archive(place, called))
        try:
            yield archive
        except _DAMAGED as error:
            raise DataError(damaged(called, error)) from error


def _open(place: Path, called: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(place)
    except FileNotFoundError:
        raise DataError(f"there is no file {called}; rung fit writes one with --out {called}") from None
    except IsADirectoryError:
        raise DataError(f"{called} is a folder; name the model file in it") from None
    except OSError as error:
        raise DataError(
            f"{called} cannot be read ({error.strerror or error}); check its permissions"
        ) from error
    except _NO_ARCHIVE as error:
        raise DataError(_no_archive(place, called)) from error


def _no_archive(place: Path, called: str) -> str:
    try:
        with place.open("rb") as file:
            start = file.read(len(_START))
    except (OSError, ValueError):
        start = b""
    if start == _START:
        return f"{called} is cut off: the end of the file is missing; copy it again or fit the model anew"
    return foreign(called)


def foreign(called: str) -> str:
    """That a file is none of rung's, as a sentence."""
    return f"{called} is a file of another program: no rung model; fit one with rung fit"


def damaged(called: str, why: object) -> str:
    """That a file is not what was written, as a sentence."""
    return f"{called} is damaged ({why}); copy it again or fit the model anew"
