"""Ask and tell over HTTP, for whoever runs a study's jobs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path

from rung.errors import StudyError
from rung.executors.checkpoint_files import Saved
from rung.service.access import Principal, Role, Scope, needs
from rung.service.context import Context, context_of, may_work
from rung.service.hosting import Told
from rung.service.models import Ask, Renew, Report, Tell, numbers
from rung.service.views import job_view

router = APIRouter(prefix="/studies/{name}", tags=["jobs"])

Member = Annotated[Principal, Depends(needs(Role.MEMBER, Scope.JOBS))]
Here = Annotated[Context, Depends(context_of)]
Number = Annotated[int, Path(ge=0, lt=2**53)]
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]

RETRY_AFTER = 1.0  # seconds after which a worker that was given nothing may ask again


@router.post("/ask", summary="A job to run, or null: see `done` for whether there will be one.")
def ask(name: str, body: Ask, who: Member, here: Here, key: Key = "") -> dict[str, Any]:
    may_work(here, name, who)
    hub = here.hub
    try:
        study = hub.study(name)
    except StudyError:
        hub.row(name)  # unknown is an error, ended is an answer
        return {"job": None, "done": True, "retry_after": None, "lease_seconds": hub.lease}
    job = study.ask(body.worker, key, hub.now())
    plain_study = study.writer.identity.resource is None
    return {
        "job": None if job is None else job_view(study.name, job, plain_study),
        "done": job is None and study.closed,
        "retry_after": RETRY_AFTER if job is None else None,
        "lease_seconds": hub.lease,
    }


@router.post("/jobs/{trial}/{attempt}/report", summary="A value on the way.")
def report(
    name: str, trial: Number, attempt: Number, body: Report, who: Member, here: Here
) -> dict[str, Any]:
    may_work(here, name, who)
    metrics = numbers(body.metrics) or {}
    study = here.hub.study(name)
    if body.checkpoint is not None and body.digest:
        study.uploaded(Saved(body.checkpoint, body.size, body.digest))
    answer = study.report(trial, attempt, body.resource, metrics, body.checkpoint, here.hub.now())
    return answer._asdict()


@router.post("/jobs/{trial}/{attempt}/renew", summary="A sign of life.")
def renew(name: str, trial: Number, attempt: Number, body: Renew, who: Member, here: Here) -> dict[str, Any]:
    may_work(here, name, who)
    return here.hub.study(name).renew(trial, attempt, here.hub.now(), body.worker)._asdict()


@router.post("/jobs/{trial}/{attempt}/tell", summary="How a job ended. Telling it again does no harm.")
def tell(name: str, trial: Number, attempt: Number, body: Tell, who: Member, here: Here) -> dict[str, Any]:
    may_work(here, name, who)
    told = Told(body.outcome, numbers(body.metrics), body.message, body.checkpoint)
    return {"already": here.hub.tell(name, trial, attempt, told)}
