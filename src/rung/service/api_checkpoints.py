"""Checkpoints over HTTP: a tar of the folder, with its SHA-256."""

from __future__ import annotations

import hashlib
import re
import tarfile
import tempfile
import threading
from pathlib import Path
from typing import IO, Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from rung.errors import MissingError, StudyError
from rung.executors.checkpoint_files import Saved
from rung.executors.files import save_checkpoint, trial_name
from rung.service.access import Principal, Role, Scope, needs
from rung.service.context import Context, context_of, may_work, now_named, same_study
from rung.service.problems import Problem
from rung.service.tars import unpack

router = APIRouter(prefix="/studies/{name}/checkpoints", tags=["checkpoints"])

Reader = Annotated[Principal, Depends(needs(Role.VIEWER))]
Worker = Annotated[Principal, Depends(needs(Role.MEMBER, Scope.JOBS))]
Here = Annotated[Context, Depends(context_of)]
Number = Annotated[int, InPath(ge=0, lt=2**53)]
Digest = Annotated[str | None, Header(alias="Rung-Digest", max_length=100)]

TAR: Final = "application/x-tar"
_TURNS: Final = [threading.Lock() for _ in range(64)]  # of one trial two at once would share their draft
_FILE: Final = re.compile(r"(?:resource-)?(\d{1,15})(-\d{1,6})?")


@router.get("", summary="Its checkpoints, as paths below its folder.")
def listed(name: str, who: Reader, here: Here) -> dict[str, Any]:
    folder = here.hub.storage.folder(name)
    found = sorted(path.relative_to(folder).as_posix() for path in folder.glob("trial-*/[!.]*"))
    return {"items": found, "next": None}


@router.put(
    "/{trial}/{file}",
    status_code=201,
    dependencies=[Depends(same_study)],
    summary="Save one: a tar; `file` is its resource.",
)
async def put(
    name: str, trial: Number, file: str, request: Request, who: Worker, here: Here, digest: Digest = None
) -> dict[str, Any]:
    await run_in_threadpool(may_work, here, name, who)
    name = await run_in_threadpool(now_named, here, name)
    row = await run_in_threadpool(here.hub.row, name)
    if trial >= row.summary.trials:
        raise MissingError(f"study {name!r} has no trial {trial}")
    resource = _resource(file)
    with tempfile.TemporaryFile() as sent:
        found = await _received(request, sent, here.caps.checkpoint)
        if digest is not None and digest != f"sha256={found}":
            raise Problem(
                400, "digest", f"what arrived has sha256={found}, not {digest}: it was damaged, send it again"
            )
        saved = await run_in_threadpool(_saved, here, name, trial, resource, sent)
    study = here.hub.running(row.key)
    if study is not None:
        study.uploaded(saved)
    return saved._asdict()


def _resource(file: str) -> int:
    match = _FILE.fullmatch(file)
    if match is None:
        raise Problem(
            422, "not valid", f"a checkpoint is named by its resource, as in resource-9, not {file!r}"
        )
    return int(match[1])


async def _received(request: Request, sent: IO[bytes], most: int) -> str:
    """Write the body down as it comes; returns its digest."""
    digest, size = hashlib.sha256(), 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise Problem(
                    413, "too large", f"a checkpoint may have {most} bytes when it is sent this way"
                )
            digest.update(chunk)
            sent.write(chunk)
    except ClientDisconnect as error:
        raise Problem(400, "not whole", "the body ended before it was whole: send it again") from error
    sent.seek(0)
    return digest.hexdigest()


def _saved(here: Context, name: str, trial: int, resource: int, sent: IO[bytes]) -> Saved:
    """Unpack it into the study's folder."""
    folder = here.hub.storage.folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _TURNS[trial % len(_TURNS)]:
            return save_checkpoint(
                str(folder), trial, resource, lambda draft: unpack(sent, Path(draft), here.caps.checkpoint)
            )
    except StudyError as error:
        raise Problem(422, "not a tar", str(error)) from error


@router.get("/{trial}/{file}", summary="One checkpoint, as a tar.", response_class=FileResponse)
def get(name: str, trial: Number, file: str, who: Worker, here: Here) -> Response:
    may_work(here, name, who)
    match = _FILE.fullmatch(file)
    place = here.hub.storage.folder(now_named(here, name)) / trial_name(trial)
    folder = place / f"resource-{match[1]}{match[2] or ''}" if match is not None else place / "nothing"
    if not folder.is_dir():
        raise MissingError(f"study {name!r} has no checkpoint {file!r} of trial {trial}")
    packed, digest = _packed(folder)
    headers = {"Rung-Digest": f"sha256={digest}"}
    return FileResponse(packed, media_type=TAR, headers=headers, background=BackgroundTask(packed.unlink))


def _packed(folder: Path) -> tuple[Path, str]:
    with tempfile.NamedTemporaryFile(suffix=".tar", delete=False) as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            tar.add(folder, arcname=".")
        path = Path(file.name)
    with path.open("rb") as packed:
        return path, hashlib.file_digest(packed, "sha256").hexdigest()
