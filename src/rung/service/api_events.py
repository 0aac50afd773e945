"""A study's log over HTTP: as pages of JSON, as a stream of server-sent events, or as the log's own bytes."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from rung.service.access import Principal, Role, Scope, needs, see
from rung.service.context import Context, context_of
from rung.service.problems import Problem
from rung.trials.codec import encode_all
from rung.trials.events import Event

router = APIRouter(prefix="/studies/{name}", tags=["studies"])

Reader = Annotated[Principal, Depends(needs(Role.VIEWER))]
Here = Annotated[Context, Depends(context_of)]

RAW: Final = "application/vnd.rung.events"
STREAM: Final = "text/event-stream"
_BATCH: Final = 500  # events that a stream reads at once
_ALIVE: Final = 15.0  # seconds after which a stream that has nothing to tell says that it is alive

_json = msgspec.json.Encoder()


def _page(here: Context, name: str, start: int, limit: int) -> list[Event]:
    return list(itertools.islice(here.hub.storage.read(name, start), limit))


@router.get(
    "/events",
    summary="Its log, from event number `start` on.",
    responses={200: {"content": {"application/json": {}, STREAM: {}, RAW: {}}}},
)
async def events(
    name: str,
    request: Request,
    who: Reader,
    here: Here,
    start: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=20_000)] = 1000,
    last: Annotated[str | None, Header(alias="Last-Event-ID", max_length=20)] = None,
) -> Response:
    accept = request.headers.get("accept", "")
    if STREAM in accept:
        begin = _after(last) if last else start
        await run_in_threadpool(here.hub.row, name)
        return StreamingResponse(_stream(here, name, begin, request), media_type=STREAM)
    found = await run_in_threadpool(_page, here, name, start, limit)
    if RAW in accept:
        return Response(encode_all(found), media_type=RAW, headers={"Rung-Count": str(len(found))})
    items = [_item(number, event) for number, event in enumerate(found, start)]
    body = {"items": items, "next": start + limit if len(found) == limit else None}
    return Response(_json.encode(body), media_type="application/json")


def _item(number: int, event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event, str_keys=True)
    return {"number": number, **fields}


def _after(last: str) -> int:
    """The number of the event behind the one that a client had last.

    Raises:
        Problem: it is none that a stream gave.
    """
    if re.fullmatch(r"[0-9]{1,15}", last) is None:
        raise Problem(
            422, "not usable", f"Last-Event-ID {last!r} is no event's number: give the last id, or none"
        )
    return int(last) + 1


async def _stream(here: Context, name: str, start: int, request: Request) -> AsyncIterator[bytes]:
    """All events, then each as it comes, until the study runs no more: then one named "end".

    It ends without that when the token is revoked or has expired: whoever comes again is told why.
    """
    yield b"retry: 1000\n\n"
    while not here.signals.ending and await _counts(request):
        rung = here.signals.number
        key = (await run_in_threadpool(here.hub.row, name)).key
        runs = here.hub.running(key) is not None  # before reading: what it wrote last is not missed
        found = await run_in_threadpool(_page, here, name, start, _BATCH)
        if found:
            yield b"".join(_sent(number, event) for number, event in enumerate(found, start))
            start += len(found)
        elif not runs:
            yield b"event: end\ndata: {}\n\n"
            return
        elif await here.signals.wait(rung, _ALIVE) == rung:
            yield b": alive\n\n"


async def _counts(request: Request) -> bool:
    """Whether the token with which a stream was opened still lets its user read."""
    seen = await see(request.app.state.accounts, request.headers.get("authorization"))
    return seen.principal is not None and seen.principal.may(Role.VIEWER, Scope.READ)


def _sent(number: int, event: Event) -> bytes:
    kind = type(event).__name__.encode()
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, kind, _json.encode(_item(number, event)))
