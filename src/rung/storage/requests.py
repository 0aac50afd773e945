"""What other processes ask of a study's writer: how it is packed, and which events fold it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from rung.errors import StorageError
from rung.trials.events import Event, Requested

_decoder = msgspec.msgpack.Decoder(dict[str, Any])


def pack(data: Mapping[str, Any]) -> bytes:
    """A request's data as MessagePack.

    Raises:
        StorageError: it holds something other than plain values.
    """
    try:
        return msgspec.msgpack.encode(dict(data))
    except TypeError as error:
        raise StorageError(
            f"a request takes text, numbers, bools, None, lists and mappings of these ({error})"
        ) from error


def unpack(data: bytes) -> dict[str, Any]:
    """What `pack` packed."""
    return _decoder.decode(data)


def folded_ids(events: Iterable[Event], start: int = 0) -> list[tuple[int, int]]:
    """Number of the event and number of the request, for each request that these events take up."""
    return [
        (seq, event.id)
        for seq, event in enumerate(events, start)
        if type(event) is Requested and event.id is not None
    ]
