"""Checkpoints on their way through the API: a tar of the folder, with its SHA-256."""

from __future__ import annotations

import errno
import hashlib
import math
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from rung.errors import MissingError, StudyError
from rung.executors.checkpoint_files import DamagedError, check
from rung.service.http import Api, Call, part
from rung.service.wire import Job

_TAR: Final = "application/x-tar"
_TRIES: Final = 3  # of a download that arrives damaged
_IN_MEMORY: Final = 1 << 20  # bytes of a tar that needs no file
_MOST_FILES: Final = 100_000
_OF_TAR: Final = (  # what is wrong with a tar, not with the disk
    *(errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY),
    *(errno.ELOOP, errno.EINVAL, errno.EILSEQ, errno.EFBIG),
)


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
        StudyError: it cannot be unpacked, see `unpack`.
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
                folder.mkdir(parents=True)
                unpack(packed, folder)
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


def unpack(packed: IO[bytes], folder: Path, most: float = math.inf) -> None:
    """Unpack a tar into a folder. One that is compressed is taken for none: it would have any size.

    Args:
        most: bytes that its files may have together.

    Raises:
        StudyError: it is none, or holds what is too much, no plain file, or would lie outside of the folder.
    """
    try:
        with tarfile.open(fileobj=packed, mode="r:") as tar:
            _check(tar, most)
            tar.extractall(folder, filter="data")
    except tarfile.FilterError as error:  # whose own text has the folder's path
        name = error.tarinfo.name
        raise StudyError(
            f"the checkpoint cannot be unpacked: {name!r} is no plain file of its own"
        ) from error
    except (tarfile.TarError, ValueError, KeyError, OverflowError) as error:
        raise StudyError(f"the checkpoint cannot be unpacked: {error}") from error
    except OSError as error:
        if error.errno not in _OF_TAR:
            raise
        raise StudyError(f"the checkpoint cannot be unpacked: {error.strerror}") from error


def _check(tar: tarfile.TarFile, most: float) -> None:
    """Refuse what its headers say, before anything is written: a file with holes may be of any size.

    Raises:
        ValueError: a name is no UTF-8.
    """
    size = 0
    for number, member in enumerate(tar, 1):
        member.name.encode()
        size += member.size
        if size > most or number > _MOST_FILES:
            raise StudyError(
                f"the checkpoint has more than {_MOST_FILES:,} files, or more than {most:,} bytes in them"
            )
