"""Checkpoints from a store by URL, kept on this machine by their content: whoever needs one again has it.

The folder is `$RUNG_CACHE`, else `rung/checkpoints` below `$XDG_CACHE_HOME` or `~/.cache`; it holds at most
`$RUNG_CACHE_SIZE` bytes (10 GB), and more only while running jobs use more. Several processes share it:

- An entry is a folder with the checkpoint's digest as its name, complete from the moment it has it. In it
  are `content`, the checkpoint itself, and `lock`, which holds its size and is locked by all that use it.
- What was used longest ago goes first, unless it is in use.

Linux and macOS.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Final

import psutil

from rung.errors import StudyError

SIZE: Final = 10 * 10**9  # bytes
_DRAFT: Final = ".draft-"
_OLD: Final = 86_400.0  # seconds after which a draft that nobody touched is left over


class Cache:
    """The checkpoints that this machine has.

    Args:
        folder: made when first used.
        limit: bytes.
    """

    def __init__(self, folder: str, limit: int = SIZE) -> None:
        self.folder = folder
        self.limit = limit

    @contextmanager
    def draft(self) -> Iterator[str]:
        """An empty folder `content`, to be filled and then kept; gone afterwards, if it was not."""
        os.makedirs(self.folder, exist_ok=True)
        self._clear()
        home = tempfile.mkdtemp(prefix=f"{_DRAFT}{socket.gethostname()}-{os.getpid()}-", dir=self.folder)
        try:
            content = os.path.join(home, "content")
            os.mkdir(content)
            yield content
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def keep(self, content: str, digest: str, size: int) -> None:
        """Give the filled `content` of a draft its name; if another process was faster, nothing."""
        with self.lending(content, digest, size):
            pass
        self.shrink()

    @contextmanager
    def lending(self, content: str, digest: str, size: int) -> Iterator[str]:
        """Keep it, and use it: the folder stays as long as the context does."""
        import fcntl

        home = os.path.dirname(content)
        lock = os.path.join(home, "lock")
        with open(lock, "w", encoding="ascii") as file:
            file.write(str(size))
        with open(lock, "rb") as file_in_use:
            fcntl.flock(file_in_use, fcntl.LOCK_SH)
            try:
                os.rename(home, self._entry(digest))
            except OSError:  # another process was faster: the draft does as well
                yield content
                return
            self.shrink()
            yield os.path.join(self._entry(digest), "content")

    @contextmanager
    def using(self, digest: str) -> Iterator[str | None]:
        """The folder of this checkpoint, which stays as long as the context does; None if it is not here."""
        lock = self._locked(digest)
        if lock is None:
            yield None
            return
        with lock:
            os.utime(lock.name)
            yield os.path.join(self._entry(digest), "content")

    def _locked(self, digest: str) -> IO[bytes] | None:
        """The entry's lock, shared with others that use it; None if there is no such entry."""
        import fcntl

        path = os.path.join(self._entry(digest), "lock")
        try:
            file = open(path, "rb")  # noqa: SIM115  # the caller closes it
        except FileNotFoundError:
            return None
        with suppress(FileNotFoundError):
            fcntl.flock(file, fcntl.LOCK_SH)  # whoever holds it alone is deleting it
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()
        return None

    def drop(self, digest: str) -> None:
        """Delete an entry whose content is not what its name says, even if somebody uses it."""
        with suppress(OSError):
            self._delete(digest)

    def shrink(self) -> None:
        """Delete what was used longest ago until the rest fits, sparing what is in use."""
        found = []
        for name in os.listdir(self.folder) if os.path.isdir(self.folder) else ():
            if name.startswith("."):
                continue
            lock = os.path.join(self.folder, name, "lock")
            with suppress(OSError, ValueError), open(lock, encoding="ascii") as file:
                found.append((os.stat(lock).st_mtime, name, int(file.read())))
        over = sum(size for _, _, size in found) - self.limit
        for _, name, size in sorted(found):
            if over <= 0:
                break
            over -= size if self._evict(name) else 0

    def _evict(self, name: str) -> bool:
        import fcntl

        with suppress(OSError), open(os.path.join(self._entry(name), "lock"), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._delete(name)
            return True
        return False

    def _delete(self, name: str) -> None:
        gone = tempfile.mkdtemp(prefix=f"{_DRAFT}{socket.gethostname()}-{os.getpid()}-", dir=self.folder)
        try:
            os.rename(self._entry(name), os.path.join(gone, "entry"))
        finally:
            shutil.rmtree(gone, ignore_errors=True)

    def _entry(self, digest: str) -> str:
        return os.path.join(self.folder, digest)

    def _clear(self) -> None:
        """Remove the drafts that dead processes left."""
        ours = f"{_DRAFT}{socket.gethostname()}-"
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if not name.startswith(_DRAFT):
                continue
            with suppress(OSError):
                pid = name.removeprefix(ours).partition("-")[0] if name.startswith(ours) else ""
                dead = pid.isdigit() and not psutil.pid_exists(int(pid))
                if dead or time.time() - os.stat(path).st_mtime > _OLD:
                    shutil.rmtree(path, ignore_errors=True)


def cache() -> Cache:
    """This machine's cache, as the environment has it.

    Raises:
        StudyError: `RUNG_CACHE_SIZE` is no number of bytes.
    """
    folder = os.environ.get("RUNG_CACHE")
    if not folder:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        folder = os.path.join(home, "rung", "checkpoints")
    text = os.environ.get("RUNG_CACHE_SIZE", "").strip()
    if text and not text.isdigit():
        raise StudyError(f"RUNG_CACHE_SIZE must be a number of bytes, as 10000000000, not {text!r}")
    return Cache(os.path.abspath(folder), int(text) if text else SIZE)
