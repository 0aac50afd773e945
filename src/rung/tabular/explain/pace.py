"""How long a model's predictions take, so that what is planned for a time fits into it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.model import Model
    from rung.tabular.unseen import Unseen

PILOT: Final = 100  # rows
_LEAST: Final = 0.1  # of the mean seconds a row: a difference of two measurements is uncertain


class Pace(NamedTuple):
    """Seconds of a call for its own sake, and of each row in it."""

    call: float
    row: float

    def rows(self, seconds: float, calls: int = 1) -> int:
        """How many rows fit into so many calls in this time; 0 where not even the calls do."""
        return max(0, int((seconds - calls * self.call) / self.row))


def measure(model: Model | Unseen, frame: pd.DataFrame) -> Pace:
    """From a call with two rows and one with a hundred, after one that loads and allocates."""
    model.raw(frame.iloc[:2])
    began = time.monotonic()
    model.raw(frame.iloc[:2])
    between = time.monotonic()
    pilot = frame.iloc[:PILOT]
    model.raw(pilot)
    small, large = between - began, time.monotonic() - between
    mean = large / max(1, len(pilot))
    return Pace(small, max((large - small) / max(1, len(pilot) - 2), _LEAST * mean, 1e-7))
