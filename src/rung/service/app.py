"""The service's application: its parts put together, and what looks after them while it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from rung import __version__
from rung.errors import UserError
from rung.service import (
    api_admin,
    api_checkpoints,
    api_events,
    api_health,
    api_jobs,
    api_logs,
    api_studies,
    api_workers,
    guards,
    page,
    problems,
)
from rung.service.context import Caps, Context
from rung.service.desks import Desks
from rung.service.facts import facts_of
from rung.service.job_logs import JobLogs
from rung.service.ledger import SqlLedger
from rung.service.metrics import Metrics
from rung.service.signals import Signals
from rung.service.workers import Workers

if TYPE_CHECKING:
    from rung.service.accounts import Accounts
    from rung.service.hub import Hub

PREFIX = "/api/v1"
_TICK = 1.0  # seconds between two looks at all studies and workers
_log = logging.getLogger("rung.service")


def create_app(
    hub: Hub, accounts: Accounts, limits: guards.Limits | None = None, caps: Caps | None = None
) -> FastAPI:
    """The application over these studies and users.

    Args:
        limits: of requests, see `rung.service.guards`.
        caps: of users, see `rung.service.context`.
    """
    signals = Signals()
    hub.listeners.append(signals.ring)
    desks = Desks(hub.now)
    context = Context(hub, Workers(hub, ledger=SqlLedger(accounts)), signals, desks, caps or Caps())
    metrics = Metrics(lambda: facts_of(context))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        signals.attach()
        await run_in_threadpool(hub.start)
        ticking = asyncio.create_task(_ticking(context))
        try:
            yield
        finally:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking
            await run_in_threadpool(desks.close)
            await run_in_threadpool(_let_go, context)

    app = FastAPI(
        title="rung",
        version=__version__,
        description="Studies that many users share workers for.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.context = context
    app.state.accounts = accounts
    app.state.job_logs = JobLogs(context.caps.logs)
    app.state.at_end = [signals.end]
    app.state.checks = (lambda: hub.storage.find(""),)
    for each in (api_jobs, api_studies, api_events, api_checkpoints, api_logs, api_workers, api_admin):
        app.include_router(each.router, prefix=PREFIX)
    app.include_router(api_health.router)
    app.include_router(page.router)
    problems.install(app, hidden=(hub.storage.url,))
    guards.install(app, limits or guards.Limits(), accounts, metrics)
    return app


def _let_go(context: Context) -> None:
    """Note what studies got, and leave them as they are."""
    try:
        context.workers.close()
    except UserError as error:  # the storage is away: what changed since the last note is forgotten
        _log.warning("what studies got of the workers was not kept: %s", error)
    context.hub.close()


async def _ticking(context: Context) -> None:
    """Look after studies and workers, for as long as the service runs."""
    while True:
        await asyncio.sleep(_TICK)
        try:
            await run_in_threadpool(context.hub.tick)
            await run_in_threadpool(context.workers.tick)
        except UserError as error:  # the storage is away: the next look may find it
            _log.error("looking after the studies: %s", error)
