"""A study's log as it comes over the API: as the log's own bytes, or as a stream that goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from rung.errors import StorageError
from rung.service.http import Api, Call, part
from rung.trials.codec import decode_all
from rung.trials.events import AnyEvent, Event, JobFinished, Reported, Told

_RAW: Final = "application/vnd.rung.events"
_STREAM: Final = "text/event-stream"
_PAGE: Final = 10_000  # events

_decoder = msgspec.json.Decoder(AnyEvent)


def pages(api: Api, study: str, start: int = 0) -> Iterator[list[Event]]:
    """The log from event number `start` on, bit for bit, until there is no more."""
    while True:
        query = {"start": start, "limit": _PAGE}
        response = api.send(
            Call("GET", f"/studies/{part(study)}/events", query=query, headers={"Accept": _RAW})
        )
        found = decode_all(int(response.headers["Rung-Count"]), response.content)
        if found:
            yield found
        if len(found) < _PAGE:
            return
        start += len(found)


def logged(api: Api, study: str, start: int = 0) -> Iterator[tuple[int, Event]]:
    """All events that are there now, with their numbers."""
    for page in pages(api, study, start):
        yield from enumerate(page, start)
        start += len(page)


def followed(api: Api, study: str, start: int = 0) -> Iterator[tuple[int, Event]]:
    """All events, then each as it comes, until the study runs no more."""
    import httpx

    for number, event in logged(api, study, start):
        yield number, event
        start = number + 1
    while True:
        headers = {"Accept": _STREAM, **({"Last-Event-ID": str(start - 1)} if start else {})}
        try:
            with api.streamed(Call("GET", f"/studies/{part(study)}/events", headers=headers)) as response:
                for kind, number, data in _messages(response.iter_lines()):
                    if kind == "end":
                        return
                    if number >= start:
                        yield number, _event(data)
                        start = number + 1
        except httpx.TransportError:
            pass  # it broke: the next one goes on where this one was
        if api.rest(0.2):
            return


def _messages(lines: Iterator[str]) -> Iterator[tuple[str, int, str]]:
    """Server-sent events: kind, id, data. Comments and other fields are passed over."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            number = fields.get("id", "")
            yield fields.get("event", ""), int(number) if number.isdecimal() else -1, fields["data"]
        fields = {}


def _event(data: str) -> Event:
    try:
        event: Any = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise StorageError(
            f"the service sends an event that this version of rung cannot read ({error}): update rung"
        ) from error
    if isinstance(event, Reported | JobFinished | Told) and event.metrics is not None:
        return msgspec.structs.replace(event, metrics=_numbers(event.metrics))
    return event  # type: ignore[no-any-return]


def _numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: it comes as null."""
    return {name: math.nan if value is None else value for name, value in metrics.items()}
