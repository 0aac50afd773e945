"""A study's checkpoints on the disk: counted, measured, deleted.

Executors write them, each a folder `trial-000012/resource-9` below the study's own, complete from the moment
it has its name: before, it is a draft, `.draft-<pid>@<host>-...`. Deleting is as atomic: the folder first
loses its name.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from rung.storage.lease import start_of

_HOME: Final = "trial-*"
_DRAFT: Final = re.compile(r"\.draft-(\d+)(?:@(.+))?-\d+")
_OLD: Final = 86_400.0  # seconds after which another host's draft that nobody touched is left over
_GONE: Final = ".gone-"


class CheckpointStore:
    """The checkpoints below a study's folder. Paths are relative to it, as the log has them.

    Opening it removes what a death in the middle of saving or deleting left behind; drafts of processes
    that live stay.

    Args:
        folder: the study's folder; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for leftover in folder.glob(f"{_HOME}/.*"):
            if _is_leftover(leftover):
                shutil.rmtree(leftover, ignore_errors=True)

    @property
    def count(self) -> int:
        """How many checkpoints there are."""
        return sum(1 for _ in self._all())

    @property
    def size(self) -> int:
        """Bytes of all their files."""
        return sum(_bytes(checkpoint) for checkpoint in self._all())

    def paths(self) -> list[str]:
        """All checkpoints, in order of trial and name."""
        return sorted(self._path(checkpoint) for checkpoint in self._all())

    def delete(self, path: str) -> bool:
        """Delete one checkpoint; False if it is gone already, or is not one of ours.

        What does not lie where our checkpoints lie, such as a path that the caller told, is left alone.
        """
        parts = path.split("/")
        if len(parts) != 2 or not parts[0].startswith("trial-") or parts[1].startswith("."):
            return False
        home = self._folder / parts[0]
        gone = home / f"{_GONE}{parts[1]}"
        if home.is_symlink() or not parts[1] or os.sep in parts[1]:
            return False
        shutil.rmtree(gone, ignore_errors=True)  # of an earlier death
        try:
            (home / parts[1]).rename(gone)
        except FileNotFoundError:
            return False
        _remove(gone)
        return True

    def keep_only(self, paths: Collection[str]) -> int:
        """Delete all checkpoints but these; returns how many went."""
        kept = set(paths)
        return sum(self.delete(path) for path in self.paths() if path not in kept)

    def _all(self) -> Iterator[Path]:
        return (path for path in self._folder.glob(f"{_HOME}/[!.]*") if not path.parent.is_symlink())

    def _path(self, checkpoint: Path) -> str:
        return checkpoint.relative_to(self._folder).as_posix()


def _is_leftover(path: Path) -> bool:
    """Whether a death left it; of another host's processes, in a shared folder, nothing can be seen."""
    draft = _DRAFT.match(path.name)
    if draft is None:
        return path.name.startswith(_GONE)
    if draft[2] is not None and draft[2] != socket.gethostname():
        with suppress(FileNotFoundError):
            return time.time() - path.lstat().st_mtime > _OLD
        return False
    return start_of(int(draft[1])) is None


def _remove(path: Path) -> None:
    """Remove a folder with what is in it; of a link or a file, that alone."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def _bytes(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.lstat(os.path.join(parent, file)).st_size
            except FileNotFoundError:  # deleted meanwhile
                continue
    return total
