"""What every executor is built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.errors import StudyError


@dataclass(frozen=True)
class Setup:
    """What to run, where, and within which limits.

    Attributes:
        objective: the user's function, see `rung.executors.calling` for what it may take and return.
        metric: the name of the metric that a returned number is.
        workers: jobs at once.
        folder: for checkpoints (`trial-000012/resource-9`) and logs (`logs/trial-000012.log`, where
            anything was printed); made when first used.
        trial_seconds, trial_memory: what one job may take, in seconds and bytes.
        gpus: devices to share out among the workers, as `CUDA_VISIBLE_DEVICES` names them.
        save_every: seconds after which a report saves a checkpoint, if it offers to.
        checkpoints: where checkpoints lie instead, this study's own place: an absolute folder, or a URL that
            fsspec knows, such as "s3://bucket/prefix/key".
        paths: further entries of `sys.path` in worker processes, before the caller's own.
    """

    objective: Callable[..., Any]
    metric: str
    workers: int
    folder: Path
    trial_seconds: float | None = None
    trial_memory: int | None = None
    gpus: tuple[int | str, ...] = ()
    save_every: float = 60.0
    paths: tuple[str, ...] = ()
    checkpoints: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise StudyError(f"workers must be at least 1, not {self.workers!r}")
        for name in ("trial_seconds", "trial_memory"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise StudyError(f"{name} must be more than 0, not {limit!r}; leave it out for no limit")
