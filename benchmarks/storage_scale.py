"""A store that is full: listing, showing and writing beside 1,000 studies and 10 million observations.

    python -m benchmarks.storage_scale [--studies 1000] [--observations 10000000] STORAGE

STORAGE is a URL or a file as `rung --storage` takes it; what is missing there is made first, by bulk insert
of one study's log under many names. Measured from outside are the commands, process start included, by the
wall and in CPU seconds of the process, and from inside what they ask of the storage; `rung --version` stands
beside them. A command runs once before it is measured, and finds its bytecode then, as it does where rung is
installed. Then one study more is written, in batches of 64 and one event at a time, each durable.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, insert

from benchmarks.rows import Row, show
from rung.storage import open_storage
from rung.storage.base import Summary
from rung.storage.database import EventRow, encoded_rows
from rung.storage.schema import studies
from rung.storage.sql import SqlStorage
from rung.trials import events as ev
from rung.trials.events import Event

EACH = 5  # runs of a command, of which the median counts
BATCH = 64


def rows(url: str, count: int, observations: int) -> list[Row]:
    """All figures, of a store that is filled first."""
    storage = open_storage(url)
    assert isinstance(storage, SqlStorage)
    fill(storage, count, observations)
    name = storage.list()[-1].name
    told: list[Row] = [
        *_command("--version"),
        *_command("list", "--storage", url),
        *_command("list", "--limit", "20", "--storage", url),
        *_command("show", name, "--storage", url),
        Row("list(), in the process", _median(lambda: len(storage.list())), "s", 0.3),
        Row("list(20), in the process", _median(lambda: len(storage.list(20))), "s", 0.3),
        Row("find() and read(), decoded", _median(lambda: _read(storage, name)), "s", 0.3),
        *_writing(storage),
    ]
    storage.close()
    return told


def fill(storage: SqlStorage, count: int, observations: int) -> None:
    """Bring the storage to so many studies that have so many observations in all."""
    there = len(storage.list())
    if there >= count:
        return
    log, summary = example(observations // count)
    storage.db.prepare()
    began = time.perf_counter()
    for number in range(there, count):
        storage.db.write(lambda connection, number=number: _put(connection, number, log, summary))
        if number % 50 == 49:
            passed = time.perf_counter() - began
            print(f"{number + 1} studies, {passed:.0f} s", file=sys.stderr, flush=True)


def _put(connection: Connection, number: int, log: list[EventRow], summary: Summary) -> None:
    row = {"key": uuid.uuid4().hex, "name": f"study-{number:05d}", "events": len(log), "token": 1}
    made = connection.execute(
        insert(studies).values(**row, **msgspec.structs.asdict(summary)).returning(studies.c.id)
    ).scalar_one()
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "postgresql":
        with driver.cursor().copy("COPY events (study_id, seq, kind, trial, body) FROM STDIN") as copy:
            for _, *rest in log:
                copy.write_row((made, *rest))
    else:
        driver.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", [(made, *rest) for _, *rest in log])


def example(observations: int) -> tuple[list[EventRow], Summary]:
    """The log of a study, run here, up to the event that is observation number `observations`."""
    from rung import Float, Integer, tune

    space = {"x": Float(0.0, 1.0), "n": Integer(1, 8)}
    storage = open_storage("memory")
    reached: dict[int, int] = {}  # no epoch is trained twice, as if there were checkpoints

    def train(trial: Any) -> None:
        for epoch in range(reached.get(trial.number, 0) + 1, trial.resource + 1):
            trial.report(epoch, loss=(trial.config["x"] - 0.3) ** 2 + trial.config["n"] / epoch)
        reached[trial.number] = trial.resource

    trials = max(20, observations // 3)  # more than three epochs each, on average
    settings: Any = {"resource": ("epoch", 1, 81), "sampler": "random", "executor": "inline", "quiet": True}
    tune(train, space, trials=trials, storage=storage, study="s", **settings)
    log, seen = [], 0
    for event in storage.read("s"):
        log.append(event)
        seen += isinstance(event, ev.Reported)
        if seen == observations:
            break
    assert seen == observations, f"the example has {seen} observations: give it more trials"
    found = storage.find("s")
    assert found is not None
    return encoded_rows(0, 0, log), found.summary


def _read(storage: SqlStorage, name: str) -> int:
    assert storage.find(name) is not None
    return sum(1 for _ in storage.read(name))


def _writing(storage: SqlStorage) -> Iterator[Row]:
    log = storage.create(f"written-{uuid.uuid4().hex[:8]}", [], Summary())
    batch: list[Event] = [ev.Reported(i, 27, {"loss": 0.3141592}, 0, 1.7e9 + i) for i in range(BATCH)]
    many = [_timed(lambda: log.append(batch, Summary())) for _ in range(300)]
    single = [_timed(lambda: log.append(batch[:1], Summary())) for _ in range(300)]
    log.close()
    rate = BATCH / statistics.mean(many)
    yield Row(f"durable observations, batches of {BATCH}", rate, "a second", 2000, at_least=True)
    yield Row("one durable observation", statistics.median(single) * 1e3, "ms")


def _command(*arguments: str) -> Iterator[Row]:
    command = [sys.executable, "-m", "rung", *arguments]
    what = "rung " + " ".join(arguments).partition(" --storage")[0]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    wall, cpu = [], []

    def go() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)

    go()
    for _ in range(EACH):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall.append(_timed(go))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    yield Row(what, statistics.median(wall), "s")
    yield Row(f"{what}, CPU", statistics.median(cpu), "s")


def _median(action: Callable[[], object]) -> float:
    return statistics.median(_timed(action) for _ in range(EACH))


def _timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("storage")
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--observations", type=int, default=10_000_000)
    arguments = parser.parse_args()
    print(show(rows(arguments.storage, arguments.studies, arguments.observations)))


if __name__ == "__main__":
    main()
