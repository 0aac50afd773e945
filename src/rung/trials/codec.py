"""Events to bytes and back: MessagePack, so that floats, NaN and infinities come back bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from rung.errors import DamageError, StorageError, StudyError
from rung.trials.events import AnyEvent, Event

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyEvent)
_list_decoder = msgspec.msgpack.Decoder(list[AnyEvent])

encode = _encoder.encode
"""encode(event) -> bytes"""


UNSOUND: Final = (LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError)
"""What folding events raises that do not follow from each other."""


def as_kept(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the log has of a user's data: scalars and arrays of NumPy or torch become numbers and lists.

    Raises:
        StudyError: it holds something that the log cannot.
    """
    try:
        return cast("dict[str, Any]", msgspec.msgpack.decode(_encoder_of_data.encode(dict(data))))
    except (TypeError, ValueError, OverflowError) as error:
        raise StudyError(f"the log cannot keep {data!r}: {error}") from error


def _plainly(value: object) -> object:
    for kind in (int, float, str):
        if isinstance(value, kind):  # of a class that is derived from it
            return kind(value)
    if callable(getattr(value, "tolist", None)):
        return value.tolist()  # type: ignore[attr-defined]
    raise TypeError(f"it has no form for a {type(value).__name__}")


_encoder_of_data = msgspec.msgpack.Encoder(enc_hook=_plainly)


def decode(data: bytes) -> Event:
    """The event that `data` holds.

    Raises:
        StorageError: the bytes are no event that this version knows.
    """
    try:
        return cast(Event, _decoder.decode(data))
    except msgspec.DecodeError as error:
        raise _unreadable(error) from error


def encode_all(events: Sequence[Event]) -> bytes:
    """Many events, one behind the other: the same bytes as `encode` of each, joined, at half the cost."""
    count = len(events)
    header = 1 if count < 16 else 3 if count < 65536 else 5  # MessagePack's array of `count` entries
    return _encoder.encode(events)[header:]


def decode_all(count: int, data: bytes | bytearray) -> list[Event]:
    """The `count` events that lie in `data`, one behind the other.

    Raises:
        StorageError: the bytes are not that many events that this version knows.
    """
    try:
        return cast("list[Event]", _list_decoder.decode(b"\xdd" + count.to_bytes(4, "big") + data))
    except msgspec.DecodeError as error:
        raise _unreadable(error) from error


def damaged(what: str) -> DamageError:
    """The error of a log that is not as it was written; `what` says how, and where if that is known."""
    return DamageError(
        f"{what}: the log is damaged. Go on with a copy of it, or keep what lies before the damage: "
        "`rung storage check` shows where it is, `rung storage copy --until-damage` copies up to there"
    )


def _unreadable(error: msgspec.DecodeError) -> StorageError:
    return StorageError(f"the log holds an event that this version of rung cannot read ({error})")
