"""Whether a fit has room in memory: an estimate beforehand, so that nothing starts that would be killed."""

from __future__ import annotations

from pathlib import Path

from rung.errors import Infeasible
from rung.tabular.learners.base import Learner

SHARE = 0.6  # of the free memory may be used, by all workers together
_CELL = 8  # bytes
_COPIES = 3.0  # of a matrix, beside what a learner needs itself: prepared, scaled, as the library holds it
_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current")


def free_bytes() -> int:
    """What processes may still take: of the machine, or of the control group if that is less."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        most, used = (Path(name).read_text().strip() for name in _GROUPS)
        return free if most == "max" else min(free, max(0, int(most) - int(used)))
    except (OSError, ValueError):
        return free


def needed_bytes(learner: Learner, rows: int, width: int, classes: int) -> float:
    """Of one fit, roughly: the matrix in its copies, and what the learner holds a row."""
    return rows * (width * _CELL * (_COPIES + learner.copies) + _CELL * max(classes, 1))


def refuse_too_large(learner: Learner, rows: int, width: int, classes: int, workers: int) -> None:
    """Do not start a fit that would not fit.

    Raises:
        Infeasible: with both numbers.
    """
    needed, free = needed_bytes(learner, rows, width, classes), free_bytes() * SHARE / max(workers, 1)
    if needed > free:
        raise Infeasible(
            f"{learner.name} on {rows:,} rows needs about {needed / 1e9:.1f} GB, and a worker may take "
            f"{free / 1e9:.1f} GB"
        )
