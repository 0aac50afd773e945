"""Copying a study's files: each is complete and has the same hash from the moment it has its name."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from rung.errors import StorageError

_DRAFTS: Final = (".draft-", ".gone-")  # of checkpoints that are being written or deleted
_ARRIVING: Final = ".copying-"


class Tree(NamedTuple):
    """Files that were copied now, their bytes, and how many files there are."""

    copied: int = 0
    size: int = 0
    total: int = 0


def copy_tree(source: Path, target: Path) -> Tree:
    """Make `target` hold what `source` holds: what differs is copied, what is too many is deleted.

    Raises:
        StorageError: a file cannot be read or written, or arrived otherwise than it was sent.
    """
    if not source.is_dir() or (target.exists() and source.samefile(target)):
        return Tree()
    copied = size = 0
    wanted = {path.relative_to(source) for path in _files(source)}
    try:
        for name in sorted(wanted):
            if _copy(source / name, target / name):
                copied, size = copied + 1, size + (target / name).lstat().st_size
        for path in [path for path in _files(target) if path.relative_to(target) not in wanted]:
            path.unlink()
    except OSError as error:
        raise StorageError(f"{error.filename or source} could not be copied: {error.strerror}") from error
    return Tree(copied, size, len(wanted))


def _files(folder: Path) -> Iterator[Path]:
    """Every file and link below `folder` but those of drafts."""
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        folders[:] = [name for name in folders if not name.startswith(_DRAFTS) and name not in links]
        yield from (Path(parent) / name for name in (*files, *links) if not name.startswith(_ARRIVING))


def _copy(source: Path, target: Path) -> bool:
    """Copy one file unless it is there with the same bytes; False if it is."""
    if source.is_symlink():
        return _copy_link(source, target)
    if _same(source, target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    arriving = target.with_name(f"{_ARRIVING}{target.name}")
    digest = _send(source, arriving)
    if _hash(arriving) != digest:
        raise StorageError(f"{target} arrived otherwise than it was sent: check the disk, then copy it again")
    shutil.copystat(source, arriving)
    os.replace(arriving, target)
    return True


def _same(source: Path, target: Path) -> bool:
    if target.is_symlink() or not target.is_file() or target.stat().st_size != source.stat().st_size:
        return False
    return _hash(target) == _hash(source)


def _copy_link(source: Path, target: Path) -> bool:
    if target.is_symlink() and target.readlink() == source.readlink():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(source.readlink())
    return True


def _send(source: Path, target: Path) -> str:
    """Copy the bytes, durably; returns the hash of what was read."""
    found = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while block := reader.read(1 << 20):
            found.update(block)
            writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())
    return found.hexdigest()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
