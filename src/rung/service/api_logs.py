"""What jobs printed, over HTTP: workers send it, whoever may read the study reads it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from rung.errors import MissingError
from rung.service import job_logs
from rung.service.access import Principal, Role, Scope, needs
from rung.service.context import Context, context_of, may_work, now_named, same_study
from rung.service.job_logs import JobLogs
from rung.service.problems import Problem

router = APIRouter(prefix="/studies/{name}", tags=["logs"])

Reader = Annotated[Principal, Depends(needs(Role.VIEWER))]
Worker = Annotated[Principal, Depends(needs(Role.MEMBER, Scope.JOBS))]
Here = Annotated[Context, Depends(context_of)]
Number = Annotated[int, Path(ge=0, lt=2**53)]

TEXT = "text/plain; charset=utf-8"


async def _kept(request: Request) -> JobLogs:
    found: JobLogs = request.app.state.job_logs
    return found


Logs = Annotated[JobLogs, Depends(_kept)]


@router.put(
    "/jobs/{trial}/{attempt}/log",
    status_code=204,
    dependencies=[Depends(same_study)],
    summary="What a job printed so far: text.",
)
async def put(
    name: str, trial: Number, attempt: Number, request: Request, who: Worker, here: Here, logs: Logs
) -> None:
    await run_in_threadpool(may_work, here, name, who)
    text = bytearray()
    async for chunk in request.stream():
        text += chunk
        if len(text) > job_logs.MOST:
            raise Problem(
                413,
                "too large",
                f"a job's log may have {job_logs.MOST} bytes: send its beginning and its end",
            )
    await run_in_threadpool(_keep, here, logs, name, (trial, attempt, bytes(text)))


def _keep(here: Context, logs: JobLogs, name: str, printed: tuple[int, int, bytes]) -> None:
    """Keep it, if there was such a job."""
    trial, attempt, text = printed
    name = now_named(here, name)
    row = here.hub.row(name)
    study = here.hub.running(row.key)
    if study is None:
        known = trial < row.summary.trials
    else:
        attempts = study.writer.history.attempts
        known = trial < len(attempts) and attempt < attempts[trial]
    if not known:
        raise MissingError(f"study {name!r} gave out no job of trial {trial}, attempt {attempt}")
    logs.keep(here.hub.storage.folder(name), trial, attempt, text)


@router.get("/logs", summary="Which jobs printed something, and how much of it is kept.")
def listed(
    name: str,
    who: Reader,
    here: Here,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[int, Query(ge=0, lt=2**53)] = 0,
) -> dict[str, Any]:
    here.hub.row(name)
    found = job_logs.kept(here.hub.storage.folder(name))
    items = [one._asdict() for one in found[cursor : cursor + limit]]
    return {"items": items, "next": cursor + limit if cursor + limit < len(found) else None}


@router.get(
    "/logs/{trial}",
    summary="What a trial's jobs printed.",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
def get(name: str, trial: Number, who: Reader, here: Here) -> Response:
    row = here.hub.row(name)
    files = job_logs.files_of(here.hub.storage.folder(name), trial)
    text = b"".join(job_logs.bounded(str(path), 0) for _, path in files)
    study = here.hub.running(row.key)
    trials = row.summary.trials if study is None else len(study.writer.history)
    if not text and trial >= trials:
        raise MissingError(f"there is no trial {trial} in study {name!r}: it has {trials}")
    return Response(text, media_type=TEXT)
