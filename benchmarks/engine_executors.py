"""Executors alone, without a study: worker processes beside the standard library's pool, and simulation."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from rung.executors.base import Executor, Job
from rung.executors.local import LocalExecutor
from rung.executors.setup import Setup
from rung.executors.simulated import SimulatedExecutor

POOL = "ProcessPoolExecutor (spawn)"
STARTS, ROUNDS, JOBS, SIMULATED = 5, 3, 4000, 200_000
MEMORY = """
import sys, tempfile
from pathlib import Path
import psutil
from benchmarks.engine_executors import empty, run
from rung.executors.local import LocalExecutor
from rung.executors.setup import Setup
before = psutil.Process().memory_info().rss
with tempfile.TemporaryDirectory() as folder:
    executor = LocalExecutor(Setup(empty, "loss", 2, Path(folder)))
    run(executor, range(int(sys.argv[1])))
    print(psutil.Process().memory_info().rss - before)
    executor.close()
"""


def executor_rows() -> list[Row]:
    """Two workers' start, an empty job, the supervisor's memory, and the simulation's cost of a job."""
    ready, pool_ready = _starts()
    ours, theirs = _empty_jobs()
    return [
        Row("two workers ready", ready, "s", 0.3, POOL, pool_ready),
        Row("empty job, two workers", ours * 1e3, "ms", 0.15, POOL, theirs * 1e3),
        Row(f"supervisor's memory after {JOBS:,} jobs, above imports", _memory(), "MB", 60.0),
        *(_simulated(workers) for workers in (100, 5000)),
    ]


def empty(config: Mapping[str, Any]) -> float:
    """A job that does nothing."""
    return 0.5


def run(executor: Executor, numbers: range) -> None:
    """Run an empty job for each number, as many at a time as there is room for."""
    following, ended = numbers.start, numbers.start
    while ended < numbers.stop:
        room = min(executor.free_slots, numbers.stop - following)
        if room:
            executor.submit([Job(following + i, 1, {"x": 0.5}, plain=True) for i in range(room)])
            following += room
        ended += len(executor.poll(None))


def _starts() -> tuple[float, float]:
    """Median seconds until two workers have run something, or could: ours and the pool's."""
    ours, theirs = [], []
    for _ in range(STARTS):  # turn about, so that both see the same machine
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            executor = LocalExecutor(Setup(empty, "loss", 2, Path(folder)))
            executor.wait_ready()
            ours.append(time.perf_counter() - began)
            executor.close()
        began = time.perf_counter()
        with _pool() as pool:
            _wait_both(pool)
            theirs.append(time.perf_counter() - began)
    return statistics.median(ours), statistics.median(theirs)


def _empty_jobs() -> tuple[float, float]:
    """Seconds an empty job: ours, and the pool's with two under way; the best round."""
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder, _pool() as pool:
        executor = LocalExecutor(Setup(empty, "loss", 2, Path(folder)))
        executor.wait_ready()
        _wait_both(pool)
        for number in range(ROUNDS):
            began = time.perf_counter()
            run(executor, range(number * JOBS, (number + 1) * JOBS))
            ours.append((time.perf_counter() - began) / JOBS)
            began = time.perf_counter()
            _run_pool(pool)
            theirs.append((time.perf_counter() - began) / JOBS)
        executor.close()
    return min(ours), min(theirs)


def _wait_both(pool: ProcessPoolExecutor) -> None:
    """Until each of the pool's two workers has run something."""
    seen: set[int] = set()
    while len(seen) < 2:
        seen.update(future.result() for future in [pool.submit(_who) for _ in range(2)])


def _who() -> int:
    time.sleep(0.005)  # so that the other worker gets a turn
    return os.getpid()


def _run_pool(pool: ProcessPoolExecutor) -> None:
    """The same number of jobs, each begun when an earlier one has ended."""
    under_way = {pool.submit(empty, {"x": 0.5}) for _ in range(2)}
    begun = 2
    while under_way:
        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
        for _ in range(min(len(done), JOBS - begun)):
            under_way.add(pool.submit(empty, {"x": 0.5}))
            begun += 1


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


def _memory() -> float:
    """Megabytes that supervising adds to a process that has imported everything."""
    command = [sys.executable, "-c", MEMORY, str(JOBS)]
    return int(subprocess.run(command, capture_output=True, check=True).stdout) / 1e6


def _simulated(workers: int) -> Row:
    executor = SimulatedExecutor(workers, _curve, _seconds)
    began = time.perf_counter()
    run(executor, range(SIMULATED))
    cost = (time.perf_counter() - began) / SIMULATED
    return Row(f"simulated job, {workers:,} workers, no decisions", cost * 1e6, "us", 4.0)


def _curve(config: Mapping[str, Any], trial: int, resource: int) -> dict[str, float]:
    return {"loss": 0.5}


def _seconds(config: Mapping[str, Any], first: int, last: int, trial: int) -> float:
    return 1.0 + (trial * 2654435761 % 1000) / 1000
