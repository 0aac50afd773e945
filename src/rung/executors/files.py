"""Where a trial's files lie below a study's folder; checkpoints written atomically, and opened checked."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rung.errors import StorageError, StudyError
from rung.executors.checkpoint_files import DamagedError, Manifest, NotSavedError, Saved, check, seal
from rung.executors.remote import is_url

if TYPE_CHECKING:
    from rung.executors.cache import Cache

_LITTLE: Final = 1 << 16  # bytes that a full disk may have left


def trial_name(trial: int) -> str:
    """The name of a trial's folder and, with `.log`, of its log."""
    return f"trial-{trial:06d}"


def log_path(folder: str, trial: int) -> str:
    """The log of a trial: what its jobs printed, a header line before each."""
    return os.path.join(folder, "logs", trial_name(trial) + ".log")


def log_header(trial: int, attempt: int, when: str) -> str:
    """The line with which a job begins in its trial's log."""
    return f"--- trial {trial}, attempt {attempt}, {when}, process {os.getpid()}\n"


def save_checkpoint(place: str, trial: int, resource: int, save: Callable[[str], object]) -> Saved:
    """Call `save` with a new folder, make what it wrote durable, and give it the checkpoint's name at once.

    Whoever finds the name finds a whole checkpoint. An earlier one of the same resource (an attempt that
    died before it could tell) is left as it is, since a job may start from it: the new one has a number.

    Args:
        place: the folder below which the trials' lie, or a URL that fsspec knows.

    Returns:
        Its path, relative to a `place` that is a folder: `trial-000012/resource-9`, or
        `trial-000012/resource-9-2`; in a store it is a URL.

    Raises:
        NotSavedError: the disk is full, or the store does not take it. What `save` itself raises for any
            other reason comes out as it is.
    """
    if is_url(place):
        return _save_remote(place, trial, resource, save)
    home = os.path.join(place, trial_name(trial))
    draft = os.path.join(home, f".draft-{os.getpid()}@{socket.gethostname()}-{resource}")
    with _full_disk_told(place):
        os.makedirs(home, exist_ok=True)
    _remove(draft)
    try:
        with _full_disk_told(home):
            manifest, digest = _filled(draft, save)
            _sync(draft)
            name = _free_name(home, f"resource-{resource}")
            os.rename(draft, os.path.join(home, name))
    except BaseException:
        _remove(draft)
        raise
    _sync_folder(home)
    return Saved(f"{trial_name(trial)}/{name}", manifest.size, digest)


def _save_remote(place: str, trial: int, resource: int, save: Callable[[str], object]) -> Saved:
    """The same in a store. The cache keeps it too: the trial's next job may run on this machine."""
    from rung.executors.cache import cache
    from rung.executors.remote import upload

    kept = cache()
    with _full_disk_told(kept.folder), kept.draft() as folder:
        manifest, digest = _filled(folder, save)
        url = f"{place}/{trial_name(trial)}/resource-{resource}-{os.urandom(4).hex()}"
        try:
            upload(folder, manifest, url)
        except StorageError as error:
            raise NotSavedError(str(error)) from error
        kept.keep(folder, digest, manifest.size)
    return Saved(url, manifest.size, digest)


def within(place: str, path: str) -> str:
    """The whole path of a checkpoint that `save_checkpoint` made at this place."""
    return path if is_url(place) else f"{place}/{path}"


def _filled(folder: str, save: Callable[[str], object]) -> tuple[Manifest, str]:
    os.makedirs(folder, exist_ok=True)
    save(folder)
    if not os.path.isdir(folder):
        raise StudyError("`save` must write into the folder that it is given, not replace it")
    return seal(folder)


@contextmanager
def _full_disk_told(folder: str) -> Iterator[None]:
    """Tell a full disk from all else that can happen while something is written below `folder`.

    Not every library says it by the system's error: PyTorch's writer raises `RuntimeError`. So whatever was
    raised, a disk on which nothing is left was full.
    """
    try:
        yield
    except NotSavedError:
        raise
    except Exception as error:
        if not _says_full(error) and not _is_full(folder):
            raise
        raise NotSavedError(f"the disk of {folder} is full: the checkpoint cannot be written") from error


def _says_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _is_full(folder: str) -> bool:
    if not hasattr(os, "statvfs"):
        return False
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _LITTLE


@contextmanager
def opened_checkpoint(path: str, digest: str = "") -> Iterator[str]:
    """A checkpoint as a folder of this machine, checked, that stays as long as the context does.

    Args:
        path: a folder, or a URL; of the latter one without a digest is not ours and comes out as it is.
        digest: as `CheckpointSaved` has it; "" if unknown.

    Raises:
        DamagedError: it is not what was saved, or is gone.
        StorageError: the store does not answer.
    """
    if not is_url(path):
        check(path, digest)
        yield path
        return
    if not digest:
        yield path
        return
    from rung.executors.cache import cache

    kept = cache()
    with kept.using(digest) as folder:
        if folder is not None and _is_whole(folder, digest):
            yield folder
            return
    if folder is not None:
        kept.drop(digest)
    with _fetched(kept, path, digest) as folder:
        yield folder


@contextmanager
def _fetched(kept: Cache, url: str, digest: str) -> Iterator[str]:
    """The checkpoint, downloaded; where the cache has lost it again already, it is used from its draft."""
    from rung.executors.remote import download, manifest_at

    with kept.draft() as draft:
        manifest = manifest_at(url, digest)
        download(url, manifest, draft)
        with kept.lending(draft, digest, manifest.size) as folder:
            yield folder


def _is_whole(folder: str, digest: str) -> bool:
    try:
        check(folder, digest)
    except DamagedError:
        return False
    return True


def _free_name(home: str, name: str) -> str:
    number, free = 1, name
    while os.path.lexists(os.path.join(home, free)):
        number += 1
        free = f"{name}-{number}"
    return free


def _sync(folder: str) -> None:
    """Bring all files below `folder` to the disk, then the folders that name them."""
    for parent, _, files in os.walk(folder, topdown=False):
        for file in files:
            path = os.path.join(parent, file)
            if os.path.isfile(path):  # no pipe, no link that leads nowhere
                _sync_one(path)
        _sync_folder(parent)


def _sync_one(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_sync_folder = _sync_one if os.name == "posix" else lambda path: None  # Windows cannot open a folder


def _remove(path: str) -> None:
    if os.path.lexists(path):
        import shutil  # not before it is needed: a worker starts without it

        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
