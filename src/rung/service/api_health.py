"""For those who look after the service: whether it lives, whether it can serve, what it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool

from rung import __version__
from rung.errors import StorageError
from rung.service.access import Role, known, needs
from rung.service.metrics import MEDIA, Metrics
from rung.service.problems import Problem

router = APIRouter(tags=["health"])


@router.get("/health", summary="Whether the process lives; no token.")
async def health() -> dict[str, str]:
    return {"status": "ok", "rung": __version__}


@router.get("/ready", summary="Whether it can serve: its storage answers, and it is not ending; no token.")
async def ready(request: Request) -> dict[str, str]:
    state = request.app.state
    if getattr(state, "draining", False):
        raise Problem(
            503, "ending", "the service is ending: ask another, or again later", {"Retry-After": "1"}
        )
    checks: list[Callable[[], Any]] = [state.accounts.check, *getattr(state, "checks", ())]
    for check in checks:
        try:
            await run_in_threadpool(check)
        except StorageError as error:
            raise Problem(
                503, "storage", "the service's storage does not answer", {"Retry-After": "1"}
            ) from error
    return {"status": "ready", "rung": __version__}


_reader = needs(Role.VIEWER)


@router.get("/metrics", response_class=PlainTextResponse, summary="What it counts, as Prometheus reads it.")
async def metrics(request: Request) -> Response:
    """With a token that may read, unless the service is on loopback."""
    state = request.app.state
    if not state.limits.open_metrics:
        await _reader(request, await known(request))
    counted: Metrics | None = state.metrics
    text = b"" if counted is None else await run_in_threadpool(counted.text)
    return Response(text, media_type=MEDIA)
