"""Ray as the engine: `python -m benchmarks.ray` (about five minutes on two cores; `--trials 16` for less).

Everything runs on this machine, on loopback: a cluster of one head without cores and two nodes.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.rows import Row, show
from rung.executors.base import Executor, Job
from rung.executors.needs import Needs
from rung.executors.ray_pool import PoolExecutor
from rung.executors.setup import Setup
from rung.trials.events import Event, JobFailed, JobFinished

_SETTINGS: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # by which Ray listens on loopback only
}
_SLOT: Final = "slot"
_STORE: Final = 80 * 2**20
_ROUNDS, _CALLS, _REPORTS = 5, 200, 500
TARGET: Final = 5.0  # ms of overhead for a job


def empty(config: Mapping[str, Any]) -> float:
    """A job that does nothing."""
    return 0.5


def many(trial: Any) -> None:
    """A job that does nothing but report."""
    for at in range(trial.start + 1, trial.resource + 1):
        trial.report(at, loss=0.5)


def sleeper(trial: Any) -> float:
    """A job that takes the seconds that its configuration says."""
    trial.report(1, loss=1.0)
    time.sleep(trial.config["seconds"])
    return 0.5


def waiter(trial: Any) -> float:
    """A job that takes until a file is there."""
    if "file" not in trial.config:
        return sleeper(trial)
    trial.report(1, loss=1.0)
    while not os.path.exists(trial.config["file"]):
        time.sleep(0.1)
    return 0.5


class Bench:
    """A cluster, and what is measured on it."""

    def __init__(self, trials: int) -> None:
        os.environ.update(_SETTINGS, RAY_AUTH_TOKEN=secrets.token_hex(32))
        from ray.cluster_utils import Cluster

        import ray

        self.ray = ray
        self.trials = trials
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _STORE}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self.nodes = [self._node() for _ in range(2)]
        ray.init(address=self.cluster.address, log_to_driver=False, logging_level="ERROR")
        _until(lambda: len([node for node in ray.nodes() if node["Alive"]]) == 3)

    def _node(self) -> Any:
        """A node with few cores and many slots, as Ray starts as many workers at once as it has cores."""
        return self.cluster.add_node(
            wait=False, num_cpus=2, resources={_SLOT: self.trials // 2}, object_store_memory=_STORE
        )

    def executor(self, objective: Any, workers: int, folder: str) -> PoolExecutor:
        """One with room for so many jobs at once."""
        from rung.executors.ray import on_ray

        needs = Needs(0.05, custom=((_SLOT, 1.0),))
        executor = on_ray(Setup(objective, "loss", workers, Path(folder), needs=needs))
        _until(lambda: executor.free_slots == workers)
        return executor

    def job(self) -> list[Row]:
        """An empty job beside an empty task and an empty call of an actor, one after the other."""
        ray = self.ray

        @ray.remote(num_cpus=1, max_retries=0)
        def task() -> float:
            return 0.5

        @ray.remote(num_cpus=1)
        class Actor:
            def call(self) -> float:
                return 0.5

        actor = Actor.remote()
        ours: list[float] = []
        tasks: list[float] = []
        calls: list[float] = []
        with tempfile.TemporaryDirectory() as folder:
            executor = self.executor(empty, 1, folder)
            _one_by_one(executor, 20)
            for _ in range(_ROUNDS):  # turn about, so that all see the same machine
                ours.append(_timed(lambda: _one_by_one(executor, _CALLS)))
                tasks.append(_timed(lambda: [ray.get(task.remote()) for _ in range(_CALLS)]))
                calls.append(_timed(lambda: [ray.get(actor.call.remote()) for _ in range(_CALLS)]))
            executor.close()
        ray.kill(actor)
        own, one, other = (statistics.median(times) / _CALLS * 1e3 for times in (ours, tasks, calls))
        return [
            Row("empty job, one slot", own, "ms", one + TARGET, "Ray's empty task", one),
            Row("the same", own, "ms", other + TARGET, "call of a Ray actor", other),
        ]

    def report(self) -> list[Row]:
        """A report that waits for nothing, and one at a gate."""
        with tempfile.TemporaryDirectory() as folder:
            executor = self.executor(many, 1, folder)
            _run(executor, [Job(2, 1, {})])
            free = _timed(lambda: _run(executor, [Job(0, _REPORTS, {})]))
            gates = tuple(range(1, _REPORTS))
            gated = _timed(lambda: _run(executor, [Job(1, _REPORTS, {}, gates=gates)]))
            executor.close()
        return [
            Row("report", free / _REPORTS * 1e3, "ms"),
            Row("report at a gate, with the word to go on", gated / _REPORTS * 1e3, "ms"),
        ]

    def concurrent(self) -> list[Row]:
        """Many trials at once on two nodes: until all run, what they cost the driver, how full slots are."""
        seconds, rounds = 5.0, 3
        with tempfile.TemporaryDirectory() as folder:
            executor = self.executor(waiter, self.trials, folder)
            file = os.path.join(folder, "all-run")
            executor.submit([Job(n, 1, {"file": file}, plain=True) for n in range(self.trials)])
            started = _timed(lambda: _events(executor, lambda seen: len(seen) >= self.trials))
            Path(file).touch()
            _events(executor, lambda seen: len(seen) >= self.trials)  # their ends
            driver = psutil.Process().cpu_times().user
            jobs = [Job(n, 1, {"seconds": seconds}, plain=True) for n in range(rounds * self.trials)]
            wall = _timed(lambda: _run(executor, jobs))
            driver = psutil.Process().cpu_times().user - driver
            executor.close()
        return [
            Row(f"{self.trials} trials run at once on 2 nodes, from none", started, "s"),
            Row(f"{len(jobs)} trials of {seconds:g} s in them", wall, "s", None, "ideal", rounds * seconds),
            Row("driver's processor time for one of them", driver / len(jobs) * 1e3, "ms"),
        ]

    def loss(self) -> list[Row]:
        """A node is killed under running jobs; another joins."""
        with tempfile.TemporaryDirectory() as folder:
            executor = self.executor(sleeper, 4, folder)
            wide = executor.workers
            executor.submit([Job(n, 1, {"seconds": 60.0}, plain=True) for n in range(wide)])
            _events(executor, lambda seen: len(seen) == wide)
            began = time.perf_counter()
            used = executor._slots[0].node  # Ray may have put all of them on one
            lost = next(node for node in self.nodes if node.node_id == used)
            self.nodes.remove(lost)
            self.cluster.remove_node(lost, allow_graceful=False)
            _events(executor, lambda seen: any(isinstance(one, JobFailed) for one in seen), fails=True)
            noticed = time.perf_counter() - began
            executor.submit([Job(99, 1, {"seconds": 0.0}, plain=True)])
            _events(executor, lambda seen: any(isinstance(one, JobFinished) for one in seen), fails=True)
            again = time.perf_counter() - began
            executor.close()
        return [
            Row("node killed, until its first job is known to be lost", noticed, "s"),
            Row("the same, until a job has run in its place", again, "s"),
        ]

    def close(self) -> None:
        """End the cluster."""
        self.ray.shutdown()
        self.cluster.shutdown()


def _until(done: Callable[[], bool]) -> None:
    while not done():
        time.sleep(0.05)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _one_by_one(executor: Executor, count: int) -> None:
    for number in range(count):
        _run(executor, [Job(number, 1, {"x": 0.5}, plain=True)])


def _run(executor: Executor, jobs: Sequence[Job]) -> None:
    """Run all jobs, as many at a time as there is room for."""
    waiting, left = list(jobs), len(jobs)
    while left:
        room = executor.free_slots
        if waiting and room:
            executor.submit(waiting[:room])
            del waiting[:room]
        events = executor.poll(1.0)
        failed = [event for event in events if isinstance(event, JobFailed)]
        if failed:
            raise RuntimeError(f"a job failed: {failed[0].message}")
        left -= sum(isinstance(event, JobFinished) for event in events)


def _events(executor: Executor, enough: Callable[[list[Event]], bool], *, fails: bool = False) -> None:
    """Poll until enough was told; a failed job is a mistake here, unless it is what is waited for."""
    seen: list[Event] = []
    while not enough(seen):
        seen += executor.poll(1.0)
        failed = [event for event in seen if isinstance(event, JobFailed)]
        if failed and not fails:
            raise RuntimeError(f"a job failed: {failed[0].message}")


def main() -> None:
    """Measure, and print the table of `docs/cluster.md`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=64, help="at once, over the two nodes")
    bench = Bench(parser.parse_args().trials)
    try:
        rows = [row for part in (bench.job, bench.report, bench.concurrent, bench.loss) for row in part()]
    finally:
        bench.close()
    print(show(rows))


if __name__ == "__main__":
    main()
