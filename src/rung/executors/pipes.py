"""What goes over the pipe between supervisor and worker: frames of MessagePack, each a list of messages.

The supervisor sends `Begin` once, then `Run`, `Go` and `Cancel`; the worker sends `Ready` once, then events
as they happen, `Waiting` right after a report at a gate, and `Beat` every second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from rung.executors.base import Job
from rung.executors.log_size import MOST
from rung.trials.events import AnyEvent

_HEAD = 4  # bytes that hold a frame's length


class Message(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag=True, omit_defaults=True):
    """Anything that is no event."""


class Begin(Message, frozen=True):
    """What a worker must know before its first job."""

    style: str
    metric: str
    folder: str
    spool: str  # where it prints, see `rung.executors.logs`
    save_every: float
    arguments: tuple[str, ...]  # `sys.argv` of the supervisor
    checkpoints: str | None = None  # see `Setup.checkpoints`
    log_size: int = MOST  # bytes of a trial's log


class Run(Message, frozen=True):
    job: Job


class Go(Message, frozen=True):
    """The report at a gate may return."""

    trial: int
    attempt: int


class Cancel(Message, frozen=True):
    """Stop at the next report."""

    trial: int
    attempt: int


class Ready(Message, frozen=True):
    """The objective is loaded, or known not to be loadable."""


class Beat(Message, frozen=True):
    """The worker is alive."""


class Waiting(Message, frozen=True):
    """The event before this one is a report at a gate, and waits for `Go`."""


_encode = msgspec.msgpack.Encoder().encode
from_worker = msgspec.msgpack.Decoder(list[AnyEvent | Ready | Beat | Waiting])
to_worker = msgspec.msgpack.Decoder(list[Begin | Run | Go | Cancel])


def frame(*messages: Any) -> bytes:
    """These messages, ready to be sent."""
    body = _encode(messages)
    return len(body).to_bytes(_HEAD, "big") + body


class Frames:
    """Puts what was received together again."""

    __slots__ = ("_buffer", "_decoder")

    def __init__(self, decoder: msgspec.msgpack.Decoder[Any]) -> None:
        self._buffer = b""
        self._decoder = decoder

    def feed(self, data: bytes) -> Iterator[Any]:
        """The messages that are whole now that `data` has come, in order."""
        data = self._buffer + data if self._buffer else data
        start, size = 0, len(data)
        while start + _HEAD <= size:
            end = start + _HEAD + int.from_bytes(data[start : start + _HEAD], "big")
            if end > size:
                break
            yield from self._decoder.decode(memoryview(data)[start + _HEAD : end])
            start = end
        self._buffer = data[start:]
