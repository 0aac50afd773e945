"""Ask and tell over HTTP, for whoever runs a study's jobs."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path
from starlette.concurrency import run_in_threadpool

from rung.executors.checkpoint_files import Saved
from rung.service.access import Principal, Role, Scope, needs
from rung.service.context import Context, context_of, may_work, may_work_for, same_study
from rung.service.hosting import Answer, HostedStudy, Told
from rung.service.models import Ask, Attributes, Renew, Report, Tell, numbers
from rung.service.views import job_view

router = APIRouter(prefix="/studies/{name}", tags=["jobs"])

Member = Annotated[Principal, Depends(needs(Role.MEMBER, Scope.JOBS))]
Here = Annotated[Context, Depends(context_of)]
Number = Annotated[int, Path(ge=0, lt=2**53)]
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]

SAME: Final = [Depends(same_study)]

RETRY_AFTER = 1.0  # seconds after which a worker that was given nothing may ask again


async def _running(here: Context, name: str, who: Principal) -> HostedStudy | None:
    """The study, if this user may run its jobs; None if it does not run."""
    study = here.hub.named(name)
    if study is not None:
        may_work_for(here, study.key, name, who)
    else:
        await run_in_threadpool(may_work, here, name, who)
    return study


async def _surely_running(here: Context, name: str, who: Principal) -> HostedStudy:
    study = await _running(here, name, who)
    return study if study is not None else await run_in_threadpool(here.hub.study, name)


@router.post("/ask", summary="A job to run, or null: see `done` for whether there will be one.")
async def ask(name: str, body: Ask, who: Member, here: Here, key: Key = "") -> dict[str, Any]:
    study = await _running(here, name, who)
    hub = here.hub
    if study is None:  # ended is an answer
        return {"job": None, "done": True, "retry_after": None, "lease_seconds": hub.lease}

    def answer() -> dict[str, Any]:
        job = study.ask(body.worker, key, hub.now())
        return {
            "job": None if job is None else job_view(study, job),
            "done": job is None and study.closed,
            "retry_after": RETRY_AFTER if job is None else None,
            "lease_seconds": hub.lease,
        }

    return await here.desks.do(study, answer)


@router.post("/jobs/{trial}/{attempt}/report", dependencies=SAME, summary="A value on the way.")
async def report(
    name: str, trial: Number, attempt: Number, body: Report, who: Member, here: Here
) -> dict[str, Any]:
    study = await _surely_running(here, name, who)
    metrics = numbers(body.metrics) or {}
    if body.checkpoint is not None and body.digest:
        study.uploaded(Saved(body.checkpoint, body.size, body.digest))

    def answer() -> Answer:
        return study.report(trial, attempt, body.resource, metrics, body.checkpoint, here.hub.now())

    return (await here.desks.do(study, answer))._asdict()


@router.post(
    "/jobs/{trial}/{attempt}/attributes", dependencies=SAME, summary="Keep something beside the metrics."
)
async def attributes(
    name: str, trial: Number, attempt: Number, body: Attributes, who: Member, here: Here
) -> dict[str, Any]:
    study = await _surely_running(here, name, who)

    def answer() -> Answer:
        return study.keep(trial, attempt, body.attributes, here.hub.now())

    return (await here.desks.do(study, answer))._asdict()


@router.post("/jobs/{trial}/{attempt}/renew", dependencies=SAME, summary="A sign of life.")
async def renew(
    name: str, trial: Number, attempt: Number, body: Renew, who: Member, here: Here
) -> dict[str, Any]:
    study = await _surely_running(here, name, who)

    def answer() -> Answer:
        return study.renew(trial, attempt, here.hub.now(), body.worker)

    return (await here.desks.do(study, answer))._asdict()


@router.post(
    "/jobs/{trial}/{attempt}/tell",
    dependencies=SAME,
    summary="How a job ended. Telling it again does no harm.",
)
async def tell(
    name: str, trial: Number, attempt: Number, body: Tell, who: Member, here: Here
) -> dict[str, Any]:
    study, hub = await _running(here, name, who), here.hub
    told = Told(body.outcome, numbers(body.metrics), body.message, body.checkpoint)
    if study is None:
        return {"already": await run_in_threadpool(hub.tell, name, trial, attempt, told)}
    return {"already": await here.desks.do(study, lambda: study.tell(trial, attempt, told, hub.now()))}
