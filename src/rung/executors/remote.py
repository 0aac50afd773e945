"""Checkpoints in a store that fsspec knows by URL: `s3://bucket/prefix`, `gs://...`, `sftp://...`.

A checkpoint is a folder of objects below the study's place, `<place>/trial-000012/resource-9-<8 hex digits>`:
its files first, its manifest last. The manifest is the commit: without it there is no checkpoint of this
name, whatever else lies there. A name is never used twice, and deleting removes the manifest first.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from rung.errors import StorageError, StudyError
from rung.executors.checkpoint_files import MANIFEST, DamagedError, Manifest, check, decode, encode

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(::|://)")
_OURS: Final = re.compile(r"trial-\d{6,}/[^/.][^/]*")
_OBJECTS: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci", "b2"})
_PROBE: Final = ".rung-probe"


def is_url(place: str) -> bool:
    """Whether `place` is a URL and no folder of this machine."""
    return _URL.match(place) is not None


def check_url(url: str) -> None:
    """Refuse a URL that cannot be used, before anything runs.

    Raises:
        StudyError: it holds a password, or fsspec or the library for its kind of store is missing.
        StorageError: the store does not answer.
    """
    from urllib.parse import urlsplit  # not before it is needed: a worker starts without it

    parts = urlsplit(url)
    if parts.password is not None or parts.query:
        raise StudyError(
            f"the URL for checkpoints at {parts.scheme}://{parts.hostname or ''}... holds a password or a "
            "query, which would end up in the log: give credentials as that store's own settings or "
            "environment variables, such as AWS_ACCESS_KEY_ID or FSSPEC_SFTP_PASSWORD"
        )
    _file_system(url)


def probe(place: str) -> None:
    """Write a small object there and remove it again, so that wrong credentials show before a job runs.

    Raises:
        StorageError: it cannot be written; the message says why.
    """
    with _told(f"checkpoints cannot be written to {place}"):
        files, path = _file_system(place)
        _make_folder(files, path)
        files.pipe_file(f"{path}/{_PROBE}", b"")
        files.rm_file(f"{path}/{_PROBE}")


def upload(folder: str, manifest: Manifest, url: str) -> None:
    """Put a sealed local folder at `url`, the manifest last.

    Raises:
        StorageError: it cannot be written. Without its manifest, what is there is no checkpoint.
    """
    with _told(f"the checkpoint cannot be written to {url}"):
        files, path = _file_system(url)
        _make_folders(files, path, manifest)
        for entry in manifest.files:
            files.put_file(os.path.join(folder, *entry.path.split("/")), f"{path}/{entry.path}")
        files.pipe_file(f"{path}/{MANIFEST}", encode(manifest))


def _make_folders(files: Any, path: str, manifest: Manifest) -> None:
    """Each must be there before its files."""
    folders = {posixpath.dirname(entry.path) for entry in manifest.files}
    for name in sorted({"", *folders}):
        _make_folder(files, f"{path}/{name}".rstrip("/"))


def _make_folder(files: Any, path: str) -> None:
    """Where there are folders; where there are none it would make a bucket, for a name that is misspelt."""
    names = (files.protocol,) if isinstance(files.protocol, str) else files.protocol
    if _OBJECTS.isdisjoint(names):
        files.makedirs(path, exist_ok=True)


def manifest_at(url: str, digest: str) -> Manifest:
    """The manifest of the checkpoint at `url`.

    Raises:
        DamagedError: there is none, or it is another than `digest` says.
        StorageError: the store does not answer.
    """
    with _told(f"the checkpoint {url} cannot be read"):
        files, path = _file_system(url)
        try:
            data = files.cat_file(f"{path}/{MANIFEST}")
        except FileNotFoundError:
            raise DamagedError(f"the checkpoint {url} is not there, or not whole") from None
    return decode(data, digest, url)


def download(url: str, manifest: Manifest, folder: str) -> None:
    """Fetch a checkpoint's files into a local folder, which must be empty, and check them all.

    Raises:
        DamagedError: a file is missing or has changed.
        StorageError: the store does not answer.
    """
    with _told(f"the checkpoint {url} cannot be read"):
        files, path = _file_system(url)
        for name in manifest.folders:
            os.makedirs(os.path.join(folder, *name.split("/")), exist_ok=True)
        for entry in manifest.files:
            try:
                files.get_file(f"{path}/{entry.path}", os.path.join(folder, *entry.path.split("/")))
            except FileNotFoundError:
                text = f"the checkpoint {url} is damaged: its file {entry.path} is missing"
                raise DamagedError(text) from None
    with open(os.path.join(folder, MANIFEST), "wb") as out:
        out.write(encode(manifest))
    check(folder, where=url)


class RemoteCheckpoints:
    """The checkpoints of one study in such a store, for whoever deletes them. Paths are whole URLs.

    Args:
        place: the study's own, as `Setup.checkpoints`.
    """

    def __init__(self, place: str) -> None:
        self._place = place

    def paths(self) -> list[str]:
        """All that looks like a checkpoint, whole or not, in order of trial and name."""
        with _told(f"the checkpoints in {self._place} cannot be listed"):
            files, root = _file_system(self._place)
            files.invalidate_cache()
            try:
                below = [name[len(root) + 1 :] for name in files.find(root)]
            except FileNotFoundError:
                below = []
        found = {"/".join(name.split("/")[:2]) for name in below}
        return sorted(f"{self._place}/{name}" for name in found if _OURS.fullmatch(name))

    def delete(self, path: str) -> bool:
        """Delete one, its manifest first; False if it is gone already, or not one of this place."""
        if not path.startswith(f"{self._place}/") or not _OURS.fullmatch(path[len(self._place) + 1 :]):
            return False
        with _told(f"the checkpoint {path} cannot be deleted"):
            files, inside = _file_system(path)
            with suppress(FileNotFoundError):
                files.rm_file(f"{inside}/{MANIFEST}")
            try:
                files.rm(inside, recursive=True)
            except FileNotFoundError:
                return False
        return True


def _file_system(url: str) -> tuple[Any, str]:
    """The file system that `url` names, and the path in it.

    Raises:
        StudyError: fsspec, or the library for this kind of store, is not installed.
        StorageError: the store does not answer.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise StudyError(
            f"checkpoints at {url} need fsspec: pip install 'rung[remote]', or name a folder"
        ) from None
    with _told(f"the store of {url} cannot be reached"):  # some connect at once
        try:
            files, path = url_to_fs(url)
        except (ImportError, ValueError) as error:  # no such protocol; its library is missing
            raise StudyError(f"checkpoints cannot lie at {url}: {error}") from error
    return files, str(path).rstrip("/")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn whatever a store's library raises into one sentence that begins with `what`."""
    try:
        yield
    except (StorageError, StudyError):
        raise
    except Exception as error:  # every store's library has exceptions of its own
        lines = str(error).strip().splitlines() or [""]
        raise StorageError(f"{what}: {type(error).__name__}: {lines[0][:300]}") from error
