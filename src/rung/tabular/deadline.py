"""A point in time by which something must be done, passed on to everything that takes long."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field


@dataclass(eq=False)
class Hurry:
    """What may bring the deadlines nearer that were given it, at any time: then none is later than `end`."""

    end: float = math.inf  # of the monotonic clock

    @property
    def begun(self) -> bool:
        return math.isfinite(self.end)

    def begin(self, seconds: float) -> None:
        """Leave at most so many seconds from now on."""
        self.end = min(self.end, time.monotonic() + seconds)


@dataclass(frozen=True)
class Deadline:
    """`end` is in seconds of the monotonic clock, which all processes of a machine share.

    Attributes:
        hurry: may bring it nearer, and with it all deadlines that are made from this one.
    """

    end: float = math.inf
    hurry: Hurry = field(default_factory=Hurry, compare=False, repr=False)

    @classmethod
    def after(cls, seconds: float, start: float | None = None) -> Deadline:
        """`seconds` after `start` (monotonic; now unless given)."""
        return cls((time.monotonic() if start is None else start) + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, 0 when it has passed."""
        return max(0.0, min(self.end, self.hurry.end) - time.monotonic())

    @property
    def passed(self) -> bool:
        return time.monotonic() >= min(self.end, self.hurry.end)

    def earlier(self, seconds: float) -> Deadline:
        """The deadline `seconds` before this one."""
        return Deadline(self.end - seconds, self.hurry)

    def within(self, seconds: float) -> Deadline:
        """`seconds` from now, whether that is earlier or later; hurried as this one."""
        return Deadline(time.monotonic() + seconds, self.hurry)

    def share(self, parts: int) -> Deadline:
        """The end of the first of `parts` equal parts of the time left."""
        return self.within(self.remaining / parts) if math.isfinite(self.end) else self
