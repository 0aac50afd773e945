"""What every executor is built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rung.errors import StudyError
from rung.executors.log_size import log_size
from rung.executors.needs import Needs


@dataclass(frozen=True)
class Engine:
    """An executor by name, and what is asked of a cluster.

    Attributes:
        name: such as "ray".
        address: of a cluster that runs, as "10.0.0.1:6379" or "auto"; None: one's own on this machine.
        needs: what each trial takes, see `Needs`; None: one core.
    """

    name: str
    address: str | None = None
    needs: Needs | None = None

    def __post_init__(self) -> None:
        if self.name != "ray" and (self.address is not None or self.needs is not None):
            what = "an address" if self.address is not None else "needs"
            raise StudyError(f"{what} can be given for the executor 'ray' only, not for {self.name!r}")

    @classmethod
    def of(cls, name: str, address: str | None = None, needs: str | Needs | None = None) -> Engine:
        """With needs as text, such as "cpus=2,gpus=1"."""
        return cls(name, address, Needs.parse(needs) if isinstance(needs, str) else needs)


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
        needs, address, elastic: for a cluster: see `Engine`; `elastic`: as many jobs at once as it holds,
            however many `workers` says.
        log_size: bytes that a trial's log may have, see `rung.executors.log_size`.
        cores: of the machine, that the workers share; None: all that this process may use.
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
    cores: int | None = None
    paths: tuple[str, ...] = ()
    needs: Needs | None = None
    address: str | None = None
    elastic: bool = False
    checkpoints: str | None = None
    log_size: int = field(default_factory=log_size)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise StudyError(f"workers must be at least 1, not {self.workers!r}")
        for name in ("trial_seconds", "trial_memory"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise StudyError(f"{name} must be more than 0, not {limit!r}; leave it out for no limit")
