"""What makes a checkpoint whole: a manifest of its files, written last, and checked before a job starts.

The manifest is the file `.rung-checkpoint.json` in the checkpoint's own folder:

    {"format": 1, "folders": ["deep"], "files": [["deep/weights", 400, "<sha256>"], ...]}

Its own SHA-256 is the checkpoint's digest, which the log holds (`CheckpointSaved.digest`), so that neither a
file nor the manifest can change unnoticed. Links to files count as the files; what is no file is left out.
"""

from __future__ import annotations

import errno
import os
from typing import Any, Final, NamedTuple

import msgspec

from rung.errors import StorageError

MANIFEST: Final = ".rung-checkpoint.json"
FORMAT: Final = 1


class DamagedError(StorageError):
    """A checkpoint that is not there, or not what was saved: one sentence says which file and how."""


class NotSavedError(StorageError):
    """A checkpoint that could not be written, through no fault of the objective: one sentence says why."""


class Entry(NamedTuple):
    """A file of a checkpoint: its path in the folder with "/", its bytes, and their SHA-256 in hex."""

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a checkpoint's folder holds."""

    files: tuple[Entry, ...]
    folders: tuple[str, ...] = ()  # in an order in which they can be made
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)


class Saved(NamedTuple):
    """A checkpoint that has its name: where it lies, its bytes, its digest."""

    path: str
    size: int
    digest: str


def seal(folder: str) -> tuple[Manifest, str]:
    """Write the manifest of what lies in `folder`; returns it and the checkpoint's digest."""
    path = os.path.join(folder, MANIFEST)
    if os.path.lexists(path):  # copied along from the checkpoint that the job started from
        os.remove(path)
    files: list[Entry] = []
    folders: list[str] = []
    for parent, below, names in os.walk(folder):
        below.sort()
        inside = os.path.relpath(parent, folder).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        folders += [prefix + name for name in below if not os.path.islink(os.path.join(parent, name))]
        for name in sorted(names):
            file = os.path.join(parent, name)
            if os.path.isfile(file):
                files.append(Entry(prefix + name, *_measured(file)))
    manifest = Manifest(tuple(files), tuple(folders))
    data = encode(manifest)
    with open(path, "wb") as out:
        out.write(data)
    return manifest, digest_of(data)


def encode(manifest: Manifest) -> bytes:
    """The manifest as it is written."""
    return msgspec.json.encode(manifest)


def decode(data: bytes, digest: str, where: str) -> Manifest:
    """The manifest that `data` holds.

    Args:
        digest: that it must have; "" if unknown.
        where: names the checkpoint in the message.

    Raises:
        DamagedError: it is another, or none.
        StorageError: a later version of rung wrote it.
    """
    if digest and digest_of(data) != digest:
        raise DamagedError(f"the checkpoint {where} is not the one that was saved: its manifest has changed")
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise DamagedError(f"the checkpoint {where} has a manifest that cannot be read: {error}") from error
    if manifest.format > FORMAT:
        raise StorageError(f"the checkpoint {where} was written by a later version of rung: update rung")
    if any(_leaves(name) for name in (*manifest.folders, *(entry.path for entry in manifest.files))):
        raise DamagedError(f"the checkpoint {where} has a manifest that names files outside of it")
    return manifest


def check(folder: str, digest: str = "", where: str | None = None) -> None:
    """Make sure that a checkpoint in a local folder is what was saved.

    One without a manifest and without a digest, as earlier versions wrote, is taken as it is.

    Raises:
        DamagedError: a file is missing, or has changed.
    """
    where = where or folder
    try:
        with open(os.path.join(folder, MANIFEST), "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        if not os.path.exists(folder):
            raise DamagedError(f"the checkpoint {where} is not there") from None
        if digest:
            raise DamagedError(f"the checkpoint {where} is not whole: its manifest is missing") from None
        return
    for entry in decode(data, digest, where).files:
        _check_file(os.path.join(folder, *entry.path.split("/")), entry, where)


def _check_file(path: str, entry: Entry, where: str) -> None:
    try:
        size, sha256 = _measured(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise DamagedError(f"the checkpoint {where} is damaged: its file {entry.path} is missing") from None
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise DamagedError(f"the checkpoint {where} is damaged: the disk cannot read {entry.path}") from error
    if size != entry.size:
        raise DamagedError(
            f"the checkpoint {where} is damaged: its file {entry.path} has {size} bytes, not {entry.size}"
        )
    if sha256 != entry.sha256:
        raise DamagedError(
            f"the checkpoint {where} is damaged: the content of its file {entry.path} has changed"
        )


def digest_of(data: bytes) -> str:
    """SHA-256 in hex."""
    import hashlib  # not before it is needed: a worker starts without it

    return hashlib.sha256(data).hexdigest()


def _measured(path: str) -> tuple[int, str]:
    """A file's bytes and their SHA-256."""
    import hashlib

    with open(path, "rb") as file:
        sha256: Any = hashlib.file_digest(file, "sha256")
        return file.tell(), sha256.hexdigest()


def _leaves(name: str) -> bool:
    """Whether a path of a manifest leads out of the checkpoint's folder."""
    return name.startswith("/") or "\\" in name or any(part in ("", "..") for part in name.split("/"))
