"""How a study stands with the workers, and why none of them starts its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rung.service.shared import Hosted


class Standing(NamedTuple):
    """What a study has of the workers.

    Attributes:
        slots: that its jobs take now.
        ideal: that it should have now.
        got, due: slot-seconds that it got over its life, and should have got.
        lacks: why no job of it can start, a sentence; None if one can.
    """

    slots: int
    ideal: float
    got: float
    due: float
    lacks: str | None = None


def lacking(hosted: Hosted, workers: int, takers: Sequence[int]) -> str | None:
    """Why no job of a study can start on the workers that are there; None if one can.

    Args:
        workers: how many there are.
        takers: slots of those that have its objective.
    """
    one = hosted.devices
    if not workers:
        return "no worker lends slots now: start one with `rung worker --service URL`"
    if not takers:
        return (
            f"none of the {workers} workers can load {hosted.objective!r}: start one where it can be imported"
        )
    if max(takers) < one:
        return (
            f"each of its jobs takes {one} slots of one worker, and none that has its objective lends more "
            f"than {max(takers)}: start one with `rung worker --service URL --slots {one}`"
        )
    return None
