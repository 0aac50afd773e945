"""The engine as a whole: ask and tell, replaying, the simulated cluster, imports."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

import rung
from benchmarks.rows import Row
from rung.executors.simulated import SimulatedExecutor


def space_of_ten() -> dict[str, object]:
    """Seven continuous parameters and three categorical ones."""
    space: dict[str, object] = {f"x{i}": rung.Float(0.0, 1.0) for i in range(7)}
    space.update({f"c{i}": rung.Categorical(["a", "b", "c"]) for i in range(3)})
    return space


def _study(**settings: object) -> rung.Study:
    return rung.Study(
        space_of_ten(), resource=("epoch", 1, 256), eta=4, sampler="random", scheduler="asha", **settings
    )


def _loss(number: int, resource: int) -> float:
    """A cheap made-up learning curve: a value of the trial plus something that fades."""
    return ((number * 2654435761) & 0xFFFF) / 65536 + 1.0 / resource


def _rounds(study: rung.Study, count: int) -> None:
    for _ in range(count):
        job = study.ask()
        assert job is not None
        study.tell(job, _loss(job.number, job.resource or 1))


def ask_tell_rows(largest: int = 1_000_000) -> list[Row]:
    """Cost of one ask and tell when the study holds so many observations already."""
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    study = _study()
    costs: dict[int, float] = {}
    told = 0
    probe = 2_000
    for size in (1_000, 10_000, 100_000, 1_000_000):
        if size > largest:
            break
        _rounds(study, size - told - probe // 2 if size > probe else size - told)
        told = size if size <= probe else size - probe // 2
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            _rounds(study, probe // 2)
            best = min(best, (time.perf_counter() - start) / (probe // 2))
            told += probe // 2
        costs[size] = best * 1e6
    used = (process.memory_info().rss - before) / 2**20
    rows = [
        Row(
            f"ask and tell, ASHA + random, {size:,} observations",
            cost,
            "us",
            25.0 if size == 100_000 else None,
        )
        for size, cost in costs.items()
    ]
    if largest >= 1_000_000:
        rows.append(
            Row("  the same: a million against a thousand", costs[1_000_000] / costs[1_000], "times", 2.5)
        )
        rows.append(Row("  memory for a million observations", used, "MiB", 1024.0))
    return rows


def simulated_rows(jobs: int = 200_000, reports: int = 1_000_000) -> list[Row]:
    """Jobs a second through the whole loop, on a virtual clock."""
    rows = []
    for workers, count, label in ((100, jobs, "jobs"), (5_000, reports, "reports")):
        executor = _simulated(workers)
        # each of the five rungs costs a unit a configuration, or a little more: stop when the jobs are had,
        # so that the last, long jobs, which nobody queues behind, do not count as idleness
        study = _study(budget=count * 0.75 * 5 / workers)
        start = time.perf_counter()
        study.run(_curve, executor=executor)
        seconds = time.perf_counter() - start
        done = sum(len(column) for column in study.history.results.values())
        what = f"simulated, {workers:,} workers, {done:,} {label}"
        if label == "jobs":
            rows.append(Row(what, done / seconds, "jobs/s", 50_000, at_least=True))
        else:
            rows.append(Row(what, seconds * 1e6 / done, "s per million", 25.0))
            used = executor.utilisation
            rows.append(Row("  utilisation of its workers", used, "share", 0.99, at_least=True))
        study.close()
    return rows


def _curve(config: dict[str, object], trial: int, resource: int) -> dict[str, float]:
    return {"loss": _loss(trial, resource)}


def _simulated(workers: int) -> SimulatedExecutor:
    return SimulatedExecutor(workers, _curve, _duration)


def _duration(config: dict[str, object], start: int, until: int, trial: int) -> float:
    """A second a unit, give or take a tenth by the trial."""
    return (until - start) * (0.9 + 0.2 * ((trial * 40503) & 0xFFFF) / 65536)


def replay_rows(count: int = 1_000_000) -> list[Row]:
    """Reading a log of so many events from SQLite and folding it; the next decision must be the same."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'study.db'}"
        study = _study(trials=int(count * 0.75 / 2), storage=url, study="long")
        study.run(_curve, executor=_simulated(500))
        events = study.history.length
        expected = study.history.incumbent
        study.close()
        start = time.perf_counter()
        again = rung.Study.open(url, "long")
        seconds = time.perf_counter() - start
        assert again.history.length >= events
        assert again.history.incumbent == expected
        again.close()
    return [Row(f"replay of {events:,} events from SQLite", seconds * 1e6 / events, "s per million", 6.0)]


def import_rows() -> list[Row]:
    """Start-up beside bare Python."""
    bare = _best(["-c", "pass"])
    return [
        Row("import rung, above bare Python", (_best(["-c", "import rung"]) - bare) * 1e3, "ms", 20.0),
        Row("rung --help, above bare Python", (_best(["-m", "rung", "--help"]) - bare) * 1e3, "ms", 150.0),
    ]


def _best(arguments: list[str], repeats: int = 7) -> float:
    costs = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=os.environ)
        costs.append(time.perf_counter() - start)
    return min(costs)
