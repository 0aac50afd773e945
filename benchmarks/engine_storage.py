"""The log on the disk: durable appends while others read, and reading it back."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.rows import Row
from rung.storage import open_storage
from rung.storage.base import Log, Summary
from rung.trials import events as ev

IDENTITY = ev.Identity(
    {}, "loss", "min", ev.Resource("epoch", 1, 81), 3, ev.Spec("random"), ev.Spec("asha"), 0
)
READER = """
import sys, time
from rung.storage import open_storage
storage = open_storage(sys.argv[1])
seen = 0
print("reading", flush=True)
while True:
    seen += sum(1 for _ in storage.read("bench", seen))
    assert storage.find("bench").events >= seen
    time.sleep(float(sys.argv[2]))
"""
READERS = 4
BATCH = 64
SINGLES, BATCHES, ROUNDS = 100, 400, 6


def storage_rows(events: int = 1_000_000) -> list[Row]:
    """Appending to SQLite with four readers that follow the log, then reading a long log back."""
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as name:
        folder = Path(name)
        rows = [*_append_rows(folder, 0.01, "four readers, 100 looks a second each")]
        rows += [
            row._replace(target=None) for row in _append_rows(folder, 0.0, "four readers that never rest")
        ]
        return [*rows, *_optuna_rows(folder), *_read_rows(folder, events), *_memory_rows(events)]


def _append_rows(folder: Path, pause: float, readers: str) -> list[Row]:
    """The readers wait `pause` seconds between two looks.

    The best round counts, since disks are shared. A round of batches is long enough to hold a checkpoint
    of the WAL, and all its time counts; a single append's cost is the round's median.
    """
    storage = open_storage(folder / f"append-{pause}.db")
    log = storage.create("bench", [ev.StudyCreated(IDENTITY, "bench")], Summary())
    bare = _Bare(folder / f"bare-{pause}.db")
    ours: dict[int, list[float]] = {1: [], BATCH: []}
    theirs: dict[int, list[float]] = {1: [], BATCH: []}
    with _readers(storage.url, pause):
        for _ in range(ROUNDS):  # turn about, so that both see the same disk
            for size, count in ((1, SINGLES), (BATCH, BATCHES)):
                batch = _reports(size)
                typical = statistics.median if size == 1 else statistics.mean
                ours[size].append(typical(_timed(lambda batch=batch: log.append(batch, Summary()), count)))
                theirs[size].append(typical(_timed(lambda size=size: bare.append(size), count)))
    storage.close()
    bare.close()
    single, floor = min(ours[1]), min(theirs[1])
    rate, peer = BATCH / min(ours[BATCH]), BATCH / min(theirs[BATCH])
    return [
        Row(
            f"durable events, batches of {BATCH}; {readers}",
            rate,
            "events/s",
            40_000,
            "sqlite3 alone",
            peer,
            True,
        ),
        Row(f"one durable event, above the bare commit; {readers}", (single - floor) * 1e6, "us", 150),
        Row(f"one durable event, whole; {readers}", single * 1e6, "us", None, "sqlite3 alone", floor * 1e6),
    ]


def _optuna_rows(folder: Path, trials: int = 30) -> list[Row]:
    """A trial with one value, told durably: three events here, Optuna's own storage there."""
    try:
        import optuna
    except ImportError:
        return []
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=f"sqlite:///{folder / 'optuna.db'}")
    theirs = _timed(lambda: study.tell(study.ask(), 0.5), trials)
    storage = open_storage(folder / "trials.db")
    log = storage.create("bench", [], Summary())

    def trial() -> None:
        log.append([ev.JobStarted(0, 1, values=(0.5,))], Summary())
        log.append([ev.JobFinished(0, metrics={"loss": 0.5})], Summary())

    ours = _timed(trial, trials)
    storage.close()
    figure, peer = statistics.median(ours) * 1e6, statistics.median(theirs) * 1e6
    return [Row("a trial asked and told, in the log", figure, "us", None, "Optuna RDB", peer)]


def _read_rows(folder: Path, events: int) -> list[Row]:
    storage = open_storage(folder / "read.db")
    log = storage.create("bench", [], Summary())
    _fill(log, events)
    start = time.perf_counter()
    count = sum(1 for _ in storage.read("bench"))
    seconds = time.perf_counter() - start
    assert count == events
    storage.close()
    return [Row(f"reading {events:,} events from SQLite, decoded", seconds, "s", None)]


def _memory_rows(events: int) -> list[Row]:
    log = open_storage("memory").create("bench", [], Summary())
    one, summary = _reports(1), Summary()
    single = statistics.median(_timed(lambda: _times(100, lambda: log.append(one, summary)), 100)) / 100
    process = psutil.Process()
    before = process.memory_info().rss
    _fill(log, events)
    grown = process.memory_info().rss - before
    return [
        Row("one event in memory", single * 1e6, "us", 1),
        Row(f"the log of {events:,} events in memory", grown / 2**20, "MiB"),
    ]


def _fill(log: Log, events: int) -> None:
    step = 10_000
    for start in range(0, events, step):
        log.append(_reports(min(step, events - start), start), Summary())


def _reports(count: int, start: int = 0) -> list[ev.Event]:
    return [ev.Reported(start + i, 27, {"loss": 0.3141592}, 0, 1.7e9 + i) for i in range(count)]


def _timed(action: Callable[[], object], count: int) -> list[float]:
    times = []
    for _ in range(count):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return times


def _times(count: int, action: Callable[[], object]) -> None:
    for _ in range(count):
        action()


@contextmanager
def _readers(url: str, pause: float) -> Iterator[None]:
    command = [sys.executable, "-c", READER, url, str(pause)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(READERS)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"reading\n"
        yield
        assert all(process.poll() is None for process in processes), "a reader died"
    finally:
        for process in processes:
            process.kill()
            process.communicate()


class _Bare:
    """The same bytes through the standard library's sqlite3 and nothing else: what the disk costs."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._next = 0
        for setting in ("journal_mode = WAL", "synchronous = FULL"):
            self._connection.execute(f"PRAGMA {setting}")
        self._connection.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, body BLOB)")

    def append(self, count: int) -> None:
        rows = [(self._next + i, b"x" * 75) for i in range(count)]
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO event VALUES (?, ?)", rows)
        self._connection.execute("COMMIT")
        self._next += count

    def close(self) -> None:
        self._connection.close()


if __name__ == "__main__":
    from benchmarks.rows import show

    print(show(storage_rows()))
