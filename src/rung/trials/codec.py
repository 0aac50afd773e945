"""Events to bytes and back: MessagePack, so that floats, NaN and infinities come back bit for bit."""

from __future__ import annotations

from typing import cast

import msgspec

from rung.errors import StorageError
from rung.trials.events import AnyEvent, Event

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyEvent)

encode = _encoder.encode
"""encode(event) -> bytes"""


def decode(data: bytes) -> Event:
    """The event that `data` holds.

    Raises:
        StorageError: the bytes are no event that this version knows.
    """
    try:
        return cast(Event, _decoder.decode(data))
    except msgspec.DecodeError as error:
        raise StorageError(f"the log holds an event that this version of rung cannot read ({error})") from error
