"""Files of torch as plain data with tensors: whatever is wrong with one, it is one kind of error."""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import torch

_BROKEN: Final = (  # what torch's reader stumbles over, by where a byte is wrong
    *(RuntimeError, EOFError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(struct.error, pickle.UnpicklingError, zipfile.BadZipFile),
)


class Damaged(Exception):  # noqa: N818  # what it is
    """A file that was not written by torch, or is no longer as it was written."""


def plain_data(source: Path | bytes) -> dict[str, Any]:
    """What a file keeps, on the CPU: a mapping of tensors and plain values, never an object.

    Args:
        source: the file, or what stands in it.

    Raises:
        Damaged: it is no such file, or a byte of it has changed: torch writes checksums, and reads past them.
        OSError: it cannot be opened.
    """
    file = BytesIO(source if isinstance(source, bytes) else source.read_bytes())
    try:
        with warnings.catch_warnings(), zipfile.ZipFile(file) as archive:
            warnings.simplefilter("ignore")  # of pickles that no torch wrote
            wrong = archive.testzip()
            file.seek(0)
            form = None if wrong else torch.load(file, map_location="cpu", weights_only=True)
    except _BROKEN as error:
        raise Damaged("it is damaged, or no file of rung's") from error
    if not isinstance(form, dict):
        raise Damaged("it is damaged, or no file of rung's")
    return form
