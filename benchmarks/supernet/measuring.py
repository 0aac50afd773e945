"""Times of contenders that take turns, and their peak memory, each in a process of its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import torch

from benchmarks.supernet import reference
from benchmarks.supernet.rows import Row
from benchmarks.supernet.steps import Size, made


class Case(NamedTuple):
    """A line of the benchmark.

    Attributes:
        seconds: for all repeats together, but for the least of them.
        memory: whether it is measured.
    """

    what: str
    size: Size
    threads: int = 2
    seconds: float = 15.0
    memory: bool = False


_LARGE, _SMALL, _TINY = Size(16, 8, 8), Size(8, 5, 16), Size(4, 3, 4)
FULL: Final = (
    Case("weight step", _LARGE, memory=True),
    Case("first-order step", _LARGE),
    Case("second-order step", _LARGE, memory=True),
    Case("second-order step, exact", _LARGE),
    Case("retraining step", _LARGE),
    Case("weight step", _SMALL, memory=True),
    Case("first-order step", _SMALL),
    Case("second-order step", _SMALL, memory=True),
    Case("second-order step, exact", _SMALL),
    Case("retraining step", _SMALL),
    Case("weight step", _LARGE, threads=1),
    Case("weight step", _SMALL, threads=1),
    Case("retraining step", _SMALL, threads=1),
)
QUICK: Final = tuple(
    Case(what, _TINY, threads=1, seconds=1.0, memory=what == "weight step")
    for what in ("weight step", "first-order step", "second-order step", "retraining step")
)
LEAST: Final = 2


def contenders() -> tuple[str, ...]:
    """The reference where it is at hand, else the plain form, which follows it operation by operation."""
    return ("reference" if reference.at_hand() else "plain", "fused")


def rows_of(cases: Sequence[Case]) -> Iterator[Row]:
    """Measure all."""
    names = contenders()
    for case in cases:
        load = os.getloadavg()[0]
        torch.set_num_threads(case.threads)
        times = _interleaved(case, names)
        for name, seconds in times.items():
            yield Row(
                case.what,
                str(case.size),
                case.threads,
                name,
                round(min(seconds), 5),
                round(median(seconds), 5),
                len(seconds),
                _peak(case, name) if case.memory else None,
                round(load, 2),
                os.cpu_count() or 1,
                torch.__version__,
            )


def _interleaved(case: Case, names: Sequence[str]) -> dict[str, list[float]]:
    steps = {name: step for name in names if (step := made(name, case.what, case.size)) is not None}
    if len(steps) < len(names):  # nothing to compare with in this mode: the reference's own way stands beside
        steps = {names[0]: made(names[0], case.what.split(",")[0], case.size) or _nothing, **steps}
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    began = time.perf_counter()
    while len(next(iter(times.values()))) < LEAST or time.perf_counter() - began < case.seconds:
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    return times


def _nothing() -> None:
    """No step."""


def _peak(case: Case, name: str) -> float:
    words = [sys.executable, "-m", "benchmarks.supernet.measuring", name, case.what, *map(str, case.size)]
    done = subprocess.run([*words, str(case.threads)], check=True, capture_output=True, text=True)  # ours
    return float(json.loads(done.stdout))


def _alone() -> None:
    """In a process of its own: three steps, then the most memory that it had."""
    name, what, channels, layers, batch, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    step = made(name, what, Size(int(channels), int(layers), int(batch)))
    for _ in range(3):
        (step or _nothing)()
    print(json.dumps(_most()))


def _most() -> float:
    """MB. `getrusage` begins, on Linux, with the memory of the process that started this one."""
    status = Path("/proc/self/status")
    if not status.exists():
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)
    line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)


if __name__ == "__main__":
    _alone()
