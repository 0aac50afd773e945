"""How a log and a list of studies are read, whatever database holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from rung.storage.base import StudyRow, Summary
from rung.storage.lease import Holder, is_held
from rung.trials.codec import decode_all
from rung.trials.events import Event

_PAGE: Final = 4096  # events read at once; a reader holds no snapshot between pages


class Bodies(Protocol):
    def bodies(self, study: int, start: int, most: int) -> Sequence[bytes]:
        """At most so many events, encoded, from number `start` on, in order."""


def read_events(db: Bodies, study: int, start: int) -> Iterator[Event]:
    """The events from number `start` on, a page at a time: no reader holds the log up."""
    while True:
        bodies = db.bodies(study, start, _PAGE)
        yield from decode_all(len(bodies), b"".join(bodies))
        if len(bodies) < _PAGE:
            return
        start += _PAGE


IsLive = Callable[[str, int], bool]
"""Whether this process has the log open of the study with this key, under a lease with this token."""


def writer_of(row: Any, me: Holder, is_live: IsLive) -> Holder | None:
    """Who holds a study's lease and is alive, as process `me` sees it.

    Args:
        row: of the table of studies, with the time `now` by the clock that judges leases.
    """
    if row.host is None:
        return None
    holder = Holder(row.host, row.space, row.pid, row.started, row.since)
    if holder[:4] == me[:4]:
        return holder if is_live(row.key, row.token) else None
    return holder if is_held(holder, row.expires, me, row.now) else None


def study_row(row: Any, me: Holder, is_live: IsLive) -> StudyRow:
    """What a list shows of a study."""
    writer = writer_of(row, me, is_live)
    summary = Summary(*(getattr(row, field) for field in Summary.__struct_fields__))
    return StudyRow(row.name, row.key, summary, row.events, None if writer is None else str(writer))
