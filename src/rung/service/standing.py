"""How a study stands with the workers, and why none of them starts its jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rung.service.register import Hosted


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


def lacking(hosted: Hosted, takers: Sequence[int], refusals: Mapping[str, str]) -> str | None:
    """Why no job of a study can start on the workers that are there; None if one can.

    Args:
        takers: slots of those that run it, as far as is known.
        refusals: why each of the others does not, by name; "" where it did not say.
    """
    one = hosted.devices
    if not takers and not refusals:
        return "no worker lends slots now: start one with `rung worker --service URL`"
    if not takers:
        said = next((f" ({name}: {why})" for name, why in refusals.items() if why), "")
        return (
            f"no worker that is there runs {hosted.objective!r}{said}: start one that can, in the folder of "
            "its module, or with --program"
        )
    if max(takers) < one:
        return (
            f"each of its jobs takes {one} slots of one worker, and none that has its objective lends more "
            f"than {max(takers)}: start one with `rung worker --service URL --slots {one}`"
        )
    return None
