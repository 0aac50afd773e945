"""How a log and a list of studies are read, whatever database holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from rung.errors import StorageError
from rung.storage.base import StudyRow, Summary
from rung.storage.lease import Holder, is_held
from rung.trials.codec import damaged, decode, decode_all
from rung.trials.events import Event

_PAGE: Final = 4096  # events read at once; a reader holds no snapshot between pages


class Bodies(Protocol):
    def bodies(self, study: int, start: int, most: int) -> Sequence[tuple[int, bytes]]:
        """At most so many events, encoded, from number `start` on, in order, each behind its number."""


def read_events(db: Bodies, row: Any, start: int) -> Iterator[Event]:
    """The events from number `start` on, a page at a time: no reader holds the log up.

    Args:
        row: of the table of studies.

    Raises:
        StorageError: one of those that the row counts is missing, or is none.
    """
    while True:
        page = db.bodies(row.id, start, _PAGE)
        if page and page[-1][0] != start + len(page) - 1:
            gap = next(start + i for i, (number, _) in enumerate(page) if number != start + i)
            raise damaged(f"event {gap} of study {row.name!r} is missing")
        yield from _decoded(page, row.name)
        start += len(page)
        if len(page) < _PAGE:
            break
    if start < row.events:
        raise damaged(
            f"study {row.name!r} has {row.events} events, and those from number {start} on are missing"
        )


def _decoded(page: Sequence[tuple[int, bytes]], name: str) -> list[Event]:
    try:
        return decode_all(len(page), b"".join([body for _, body in page]))
    except (StorageError, TypeError):  # SQLite lets a text be where bytes belong
        for number, body in page:
            try:
                decode(body)
            except (StorageError, TypeError) as error:
                why = error.__cause__ or error
                raise damaged(f"event {number} of study {name!r} cannot be read ({why})") from error
        raise


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
