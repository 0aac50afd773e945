"""Checkpoints on their way through the API: a tar of the folder, with its SHA-256."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from rung.errors import MissingError, StorageError
from rung.executors.checkpoint_files import DamagedError, check
from rung.service.http import Api, Call, part
from rung.service.wire import Job

_TAR: Final = "application/x-tar"
_TRIES: Final = 3  # of a download that arrives damaged
_IN_MEMORY: Final = 1 << 20  # bytes of a tar that needs no file


def upload(api: Api, job: Job, resource: int, folder: Path) -> str:
    """Send a checkpoint to the service; returns the path by which the study knows it.

    Raises:
        UserError: the service does not take it.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as packed:
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(folder, arcname=".")
        digest = hashlib.sha256()
        for chunk in _chunks(packed):
            digest.update(chunk)
        headers = {"Rung-Digest": f"sha256={digest.hexdigest()}", "Content-Type": _TAR, **job.fence}
        path = f"/studies/{part(job.study)}/checkpoints/{job.trial}/resource-{resource}"
        answer = api.json(Call("PUT", path, headers=headers, content=lambda: _chunks(packed)))
    return str(answer["path"])


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_IN_MEMORY):
        yield chunk


def download(api: Api, study: str, path: str, folder: Path, digest: str = "") -> None:
    """Fetch a checkpoint into a folder, which must be new.

    Args:
        path: as the study knows it: `trial-000012/resource-9`.
        digest: of its manifest, as `CheckpointSaved` has it; "" if unknown.

    Raises:
        DamagedError: it is not what was saved, however often it is fetched, or is gone.
        StorageError: it holds what would lie outside of its folder.
        UserError: the service refuses.
    """
    trial, _, file = path.rpartition("/")
    if not trial.removeprefix("trial-").isdecimal():
        raise DamagedError(f"{path!r} names no checkpoint that was uploaded to the service")
    number = int(trial.removeprefix("trial-"))
    call = Call("GET", f"/studies/{part(study)}/checkpoints/{number}/{part(file)}")
    for _ in range(_TRIES):
        with tempfile.TemporaryFile() as packed:
            if _is_fetched(api, call, packed):
                _unpack(packed, folder)
                check(str(folder), digest, where=path)
                return
    raise DamagedError(f"the checkpoint {path} of study {study!r} arrives damaged, {_TRIES} times over")


def _is_fetched(api: Api, call: Call, packed: IO[bytes]) -> bool:
    """Write the body down as it comes; whether it is whole.

    Raises:
        DamagedError: there is nothing.
    """
    try:
        return _fetched(api, call, packed)
    except MissingError as error:
        raise DamagedError(str(error)) from error


def _fetched(api: Api, call: Call, packed: IO[bytes]) -> bool:
    import httpx

    digest = hashlib.sha256()
    with api.streamed(call) as response:
        try:
            for chunk in response.iter_bytes():
                digest.update(chunk)
                packed.write(chunk)
        except httpx.TransportError:
            return False
    packed.seek(0)
    return response.headers.get("Rung-Digest", "") in ("", f"sha256={digest.hexdigest()}")


def _unpack(packed: IO[bytes], folder: Path) -> None:
    """Links and names that lead out of the folder are refused."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=packed) as tar:
            tar.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise StorageError(f"a checkpoint cannot be unpacked: {error}") from error
