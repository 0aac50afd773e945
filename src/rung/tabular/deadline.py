"""A point in time by which something must be done, passed on to everything that takes long."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """`end` is in seconds of the monotonic clock, which all processes of a machine share."""

    end: float = math.inf

    @classmethod
    def after(cls, seconds: float, start: float | None = None) -> Deadline:
        """`seconds` after `start` (monotonic; now unless given)."""
        return cls((time.monotonic() if start is None else start) + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, 0 when it has passed."""
        return max(0.0, self.end - time.monotonic())

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self.end

    def earlier(self, seconds: float) -> Deadline:
        """The deadline `seconds` before this one."""
        return Deadline(self.end - seconds)

    def share(self, parts: int) -> Deadline:
        """The end of the first of `parts` equal parts of the time left."""
        return Deadline(time.monotonic() + self.remaining / parts) if math.isfinite(self.end) else self
