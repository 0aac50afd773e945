"""A study on Ray whose workers, nodes and driver are killed, and the one that nothing happened to.

As a program it is the driver: it runs the study of the storage that it is given, or goes on with it.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rung
from rung.study import Study
from rung.trials import events as ev

SPACE = {"x": rung.Float(0.0, 3.0), "y": rung.Float(0.0, 3.0)}
TRIALS = 12
_PACE = "CHAOS_PACE"  # seconds that a unit of resource takes
_PIDS = "CHAOS_PIDS"  # a folder in which each running job names its process
_ENDS = (ev.JobFinished, ev.JobFailed, ev.JobStopped)


class Train:
    """An objective whose value at a resource is a function of configuration and resource only."""

    def __init__(self, pace: float, pids: str | None) -> None:
        self.pace = pace
        self.pids = pids

    def __call__(self, trial: Any) -> None:
        if self.pids is not None:
            Path(self.pids, str(os.getpid())).touch()
        start = int(Path(trial.checkpoint, "at").read_text()) if trial.checkpoint else 0
        for at in range(start + 1, trial.resource + 1):
            time.sleep(self.pace)
            loss = (trial.config["x"] - 1) ** 2 + (trial.config["y"] - 2) ** 2 + 1 / at
            trial.report(at, loss=loss, save=lambda folder, at=at: Path(folder, "at").write_text(str(at)))


def run(storage: str, executor: str, pace: float = 0.0, pids: str | None = None) -> None:
    """Run the study, or go on with it."""
    rung.tune(
        Train(pace, pids).__call__,
        SPACE,
        resource=("epoch", 1, 9),
        sampler="random",
        scheduler="asha",
        trials=TRIALS,
        retries=50,
        seed=3,
        deterministic=4,
        executor=executor,
        storage=storage,
        study="chaos",
        quiet=True,
    )


def found(storage: str) -> tuple[Any, dict[tuple[int, int], set[float]]]:
    """The incumbent, and the values by trial and resource; checks the log too."""
    with Study.open(storage, "chaos") as study:
        events = list(study.events())
        best = study.history.incumbent
    _check(events)
    values: dict[tuple[int, int], set[float]] = {}
    for event in events:
        if isinstance(event, ev.Reported):
            values.setdefault((event.trial, event.resource), set()).add(event.metrics["loss"])
    return best, values


def _check(events: list[Any]) -> None:
    """Every job that was started ended once, and told nothing twice."""
    started = Counter((e.trial, e.start, e.until, e.attempt) for e in events if isinstance(e, ev.JobStarted))
    assert max(started.values()) == 1
    running: dict[int, int] = {}
    told: set[tuple[int, int]] = set()
    for event in events:
        if isinstance(event, ev.JobStarted):
            assert event.trial not in running, f"trial {event.trial} runs twice"
            running[event.trial] = event.attempt
            told = {pair for pair in told if pair[0] != event.trial}  # an attempt may tell again
        elif isinstance(event, ev.Reported):
            assert running[event.trial] == event.attempt
            assert (event.trial, event.resource) not in told
            told.add((event.trial, event.resource))
        elif isinstance(event, _ENDS):
            assert running.pop(event.trial) == event.attempt
    assert not running


def driver(storage: str, environment: Mapping[str, str], log: Path, pids: Path) -> subprocess.Popen[bytes]:
    """Start a driver; end it by `kill`, or wait for it."""
    pids.mkdir(exist_ok=True)
    command = [sys.executable, __file__, storage]
    settings = {_PACE: "0.1", _PIDS: str(pids), "OMP_NUM_THREADS": "1"}
    with open(log, "ab") as out:
        return subprocess.Popen(command, env=os.environ | environment | settings, stdout=out, stderr=out)


def kill_a_worker(pids: Path, rng: random.Random) -> bool:
    """Kill the process of a job, if one runs; whether it did."""
    alive = [path for path in pids.iterdir() if _alive(int(path.name))]
    if not alive:
        return False
    chosen = rng.choice(sorted(alive))
    os.kill(int(chosen.name), signal.SIGKILL)
    chosen.unlink()
    return True


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    run(sys.argv[1], "ray", float(os.environ[_PACE]), os.environ[_PIDS])
