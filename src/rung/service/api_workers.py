"""Machines that lend slots, over HTTP: they register, then poll for jobs."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool

from rung.service.access import Principal, Role, Scope, needs
from rung.service.context import Context, context_of
from rung.service.models import NewWorker, Poll
from rung.service.problems import Problem
from rung.service.workers import Held, Polled

router = APIRouter(prefix="/workers", tags=["workers"])

Reader = Annotated[Principal, Depends(needs(Role.VIEWER))]
Lender = Annotated[Principal, Depends(needs(Role.MEMBER, Scope.WORKERS))]
Here = Annotated[Context, Depends(context_of)]

_SLICE: Final = 1.0  # seconds between two looks of a poll that waits: time alone changes what is fair
_REST: Final = 0.05  # at least so long between two looks, however much happens


def _lends(who: Principal) -> None:
    if not who.lends:
        raise Problem(
            403,
            "scope",
            "lending a machine takes an admin's token, or one that was made with --scope workers",
        )


@router.post("", status_code=201, summary="Lend a machine.")
def join(body: NewWorker, who: Lender, here: Here) -> dict[str, Any]:
    _lends(who)
    number = here.workers.join(body.name, body.slots, body.labels, who.user, body.run)
    return {"id": number, "lease_seconds": here.hub.lease}


@router.get("", summary="Machines that lend slots now.")
def listed(who: Reader, here: Here) -> dict[str, Any]:
    return {"items": [lender._asdict() for lender in here.workers.lenders()], "next": None}


@router.delete("/{number}", status_code=204, summary="Lend it no more.")
def leave(number: str, who: Lender, here: Here) -> None:
    _lends(who)
    here.workers.leave(number, who.user)


@router.post("/{number}/poll", summary="A sign of life, and the question for jobs; waits for one.")
async def poll(number: str, body: Poll, who: Lender, here: Here) -> dict[str, Any]:
    _lends(who)
    running = [Held(job.study, job.trial, job.attempt, job.key) for job in body.running]
    until = time.monotonic() + body.wait
    turn = here.workers.next_turn(number)
    refuse = body.refuse if isinstance(body.refuse, dict) else dict.fromkeys(body.refuse, "")
    while True:
        rung = here.signals.number
        polled: Polled = await run_in_threadpool(
            here.workers.poll, number, running, body.free, refuse, who.user, lends=body.lends
        )
        refuse = {}  # another study may get such a name meanwhile
        left = until - time.monotonic()
        if polled.jobs or polled.stop or left <= 0 or here.signals.ending:
            return polled._asdict()
        await here.signals.rest(min(_REST, left))
        await here.signals.wait(rung, min(_SLICE, max(0.0, until - time.monotonic())))
        if here.workers.turn(number) != turn:  # a later poll knows more
            return Polled([], [])._asdict()
