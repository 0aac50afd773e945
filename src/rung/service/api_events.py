"""A study's log over HTTP: as pages of JSON, as a stream of server-sent events, or as the log's own bytes."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from rung.service.access import Principal, Role, needs
from rung.service.context import Context, context_of
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
async def events(  # a door
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
        if last is not None and last.isdecimal():
            start = int(last) + 1
        await run_in_threadpool(here.hub.row, name)
        return StreamingResponse(_stream(here, name, start), media_type=STREAM)
    found = await run_in_threadpool(_page, here, name, start, limit)
    if RAW in accept:
        return Response(encode_all(found), media_type=RAW, headers={"Rung-Count": str(len(found))})
    items = [_item(number, event) for number, event in enumerate(found, start)]
    body = {"items": items, "next": start + limit if len(found) == limit else None}
    return Response(_json.encode(body), media_type="application/json")


def _item(number: int, event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event, str_keys=True)
    return {"number": number, **fields}


async def _stream(here: Context, name: str, start: int) -> AsyncIterator[bytes]:
    """All events, then each as it comes, until the study runs no more: then one named "end"."""
    yield b"retry: 1000\n\n"
    while not here.signals.ending:
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


def _sent(number: int, event: Event) -> bytes:
    kind = type(event).__name__.encode()
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, kind, _json.encode(_item(number, event)))
