"""What every executor promises. A further engine passes by adding one row to `ENGINES`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import rung
from rung.executors.base import Executor, Job
from rung.executors.inline import InlineExecutor
from rung.executors.local import LocalExecutor
from rung.executors.setup import Setup
from rung.executors.simulated import SimulatedExecutor
from rung.trials.events import (
    CheckpointSaved,
    Event,
    Failure,
    JobFailed,
    JobFinished,
    JobStopped,
    Reported,
)

ENDS = (JobFinished, JobFailed, JobStopped)


def value(config: Mapping[str, Any], resource: int) -> dict[str, float]:
    """What a trial has at a resource; some configurations have nothing."""
    if config.get("fails_at", 99) <= resource:
        raise ValueError("the learning rate is too large")
    if config.get("infeasible_at", 99) <= resource:
        raise rung.Infeasible("deeper than the data")
    return {"loss": config["x"] / resource, "accuracy": 0.5}


def play(trial: Any) -> Any:
    """An objective that reports at each resource, or returns its metrics at the end."""
    if trial.config.get("returns"):
        return value(trial.config, trial.resource or 1)
    start = trial.start
    if trial.checkpoint:
        start = int(Path(trial.checkpoint, "at").read_text())
    for at in range(start + 1, (trial.resource or 1) + 1):
        metrics = value(trial.config, at)
        trial.report(at, save=lambda folder, at=at: Path(folder, "at").write_text(str(at)), **metrics)
    return None


def curve(config: Mapping[str, Any], trial: int, resource: int) -> dict[str, float]:
    return value(config, resource)


def second_each(config: Mapping[str, Any], first: int, last: int, trial: int) -> float:
    return float(last - first)


class Engine(NamedTuple):
    """How to make an executor that plays; `saves` tells whether its jobs have files."""

    make: Callable[[Path, int], Executor]
    saves: bool


def on_ray(folder: Path, workers: int) -> Executor:
    from rung.executors.ray import on_ray as make

    return make(Setup(play, "loss", workers, folder))


ENGINES = {
    "inline": Engine(lambda folder, workers: InlineExecutor(Setup(play, "loss", workers, folder)), True),
    "local": Engine(lambda folder, workers: LocalExecutor(Setup(play, "loss", workers, folder)), True),
    "ray": Engine(on_ray, True),
    "simulated": Engine(
        lambda folder, workers: SimulatedExecutor(workers, curve, second_each, reports="every"), False
    ),
}


class Harness:
    """Drives an executor as the study's loop does, and keeps all that it tells."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.seen: list[Event] = []
        self.watch: Callable[[Event], None] = lambda event: None
        if hasattr(executor, "absorb"):
            executor.absorb = self.take

    def take(self, events: Sequence[Event]) -> None:
        for event in events:
            self.seen.append(event)
            self.watch(event)

    def drain(self) -> None:
        """Poll until nothing comes any more."""
        while events := self.executor.poll(None):
            self.take(events)

    def run(self, *jobs: Job) -> list[Event]:
        """Run all jobs, as many at a time as there is room for; returns what was told."""
        waiting = list(jobs)
        while waiting or self.executor.free_slots < self.executor.workers:
            room = self.executor.free_slots
            if batch := waiting[:room]:
                self.executor.submit(batch)
                del waiting[:room]
            self.take(self.executor.poll(None))
        return self.seen

    def of(self, trial: int) -> list[Any]:
        return [event for event in self.seen if getattr(event, "trial", None) == trial]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "ray":
        request.getfixturevalue("ray_nodes")
    return ENGINES[request.param]


@pytest.fixture
def harness(engine: Engine, tmp_path: Path) -> Iterator[Harness]:
    executor = engine.make(tmp_path, 2)
    yield Harness(executor)
    executor.close()


def final(events: Sequence[Any], until: int) -> float:
    """The loss at the end of a job: reported there, or returned."""
    last = [e for e in events if isinstance(e, Reported) and e.resource == until]
    return last[0].metrics["loss"] if last else events[-1].metrics["loss"]


def test_every_job_ends_once_and_last(harness: Harness) -> None:
    configs = [
        {"x": 1.0},
        {"x": 2.0, "fails_at": 2},
        {"x": 3.0, "returns": True},
        {"x": 4.0, "infeasible_at": 1},
        {"x": 5.0, "fails_at": 1, "returns": True},
    ]
    harness.run(*(Job(n, 3, configs[n % 5], seed=n) for n in range(15)))
    for number in range(15):
        events = harness.of(number)
        assert [isinstance(event, ENDS) for event in events] == [False] * (len(events) - 1) + [True]
    assert harness.executor.poll(None) == []


def test_reports_come_in_order_with_their_metrics(harness: Harness) -> None:
    harness.run(*(Job(n, 4, {"x": float(n)}, attempt=2) for n in range(4)))
    for number in range(4):
        events = harness.of(number)
        assert {event.attempt for event in events} == {2}
        reports = [event for event in events if isinstance(event, Reported)]
        assert [r.resource for r in reports] in ([1, 2, 3, 4], [1, 2, 3])
        assert [r.metrics for r in reports] == [value({"x": number}, r.resource) for r in reports]
        assert final(events, 4) == number / 4
        assert isinstance(events[-1], JobFinished)
        assert [event.time for event in events] == sorted(event.time for event in events)
        assert events[-1].time <= harness.executor.now()


def test_returned_metrics_belong_to_the_end(harness: Harness) -> None:
    harness.run(Job(0, 3, {"x": 3.0, "returns": True}))
    end = harness.of(0)[-1]
    assert end.metrics == {"loss": 1.0, "accuracy": 0.5}


def test_an_exception_is_an_error_with_its_last_line(harness: Harness) -> None:
    harness.run(Job(0, 3, {"x": 1.0, "fails_at": 2}, attempt=1))
    *reports, end = harness.of(0)
    assert [r.resource for r in reports] == [1]
    assert (end.failure, end.attempt) == (Failure.ERROR, 1)
    assert end.message == "ValueError: the learning rate is too large"


def test_infeasible_says_why(harness: Harness) -> None:
    harness.run(Job(0, 3, {"x": 1.0, "infeasible_at": 1}))
    (end,) = harness.of(0)
    assert (end.failure, end.message) == (Failure.INFEASIBLE, "deeper than the data")


def test_a_study_without_a_resource(harness: Harness) -> None:
    harness.run(Job(0, 1, {"x": 0.25}, plain=True), Job(1, 1, {"x": 0.5, "returns": True}, plain=True))
    assert [final(harness.of(number), 1) for number in (0, 1)] == [0.25, 0.5]


def test_slots(harness: Harness) -> None:
    executor = harness.executor
    assert executor.free_slots == executor.workers
    executor.submit([Job(0, 2, {"x": 1.0})])
    assert executor.free_slots == executor.workers - 1
    with pytest.raises(ValueError, match="free slots"):
        executor.submit([Job(n, 2, {"x": 1.0}) for n in range(1, executor.workers + 1)])
    harness.drain()
    assert executor.free_slots == executor.workers
    assert isinstance(harness.of(0)[-1], JobFinished)


def test_nothing_to_wait_for(harness: Harness) -> None:
    assert list(harness.executor.poll(None)) == []
    assert list(harness.executor.poll(0.0)) == []
    harness.executor.cancel(7)


def test_a_report_at_a_gate_waits_for_the_next_poll(engine: Engine, tmp_path: Path) -> None:
    harness = Harness(engine.make(tmp_path, 1))
    executor = harness.executor
    executor.submit([Job(0, 6, {"x": 1.0}, gates=(2, 4))])
    batches = []
    while events := executor.poll(None):
        batches.append([*harness.seen, *events])
        harness.seen.clear()
    if not hasattr(executor, "absorb"):  # in line a gate is in the callback
        for batch in batches:
            assert all(getattr(event, "resource", None) not in (2, 4) for event in batch[:-1])
    told = [event for batch in batches for event in batch]
    assert [e.resource for e in told if isinstance(e, Reported)][:5] == [1, 2, 3, 4, 5]
    assert isinstance(told[-1], JobFinished)
    executor.close()


def test_cancelled_at_a_gate(harness: Harness) -> None:
    def watch(event: Event) -> None:
        if isinstance(event, Reported) and event.resource == 2 and event.trial == 0:
            harness.executor.cancel(0)

    harness.watch = watch
    harness.run(Job(0, 6, {"x": 1.0}, gates=(2, 4)), Job(1, 6, {"x": 1.0}, gates=(2, 4)))
    stopped = harness.of(0)
    assert [e.resource for e in stopped if isinstance(e, Reported)] == [1, 2]
    assert isinstance(stopped[-1], JobStopped)
    assert isinstance(harness.of(1)[-1], JobFinished)


def test_a_gate_behind_the_start_is_no_gate(harness: Harness) -> None:
    harness.run(Job(0, 3, {"x": 1.0}, start=1, gates=(2,)))
    assert [e.resource for e in harness.of(0) if isinstance(e, Reported)][:1] == [2]
    assert isinstance(harness.of(0)[-1], JobFinished)


def test_a_cancelled_job_makes_room(harness: Harness) -> None:
    harness.executor.submit([Job(0, 50_000, {"x": 1.0}, gates=(1,))])
    harness.watch = lambda event: harness.executor.cancel(0)
    harness.drain()
    assert isinstance(harness.of(0)[-1], JobStopped)
    assert harness.executor.free_slots == harness.executor.workers
    harness.watch = lambda event: None
    harness.run(Job(0, 2, {"x": 1.0}, attempt=1))
    assert harness.of(0)[-1] == JobFinished(0, 1, harness.of(0)[-1].metrics, harness.of(0)[-1].time)


def test_close_ends_every_job(engine: Engine, tmp_path: Path) -> None:
    harness = Harness(engine.make(tmp_path, 2))
    jobs = [Job(n, 1_000_000, {"x": 1.0}, gates=(1,)) for n in range(harness.executor.workers)]
    harness.executor.submit(jobs)
    harness.executor.close()
    harness.executor.close()
    harness.drain()
    for job in jobs:
        end = harness.of(job.trial)[-1]
        assert isinstance(end, JobStopped) or end.failure == Failure.INTERRUPTED
    assert harness.executor.free_slots == 0


def test_checkpoints_follow_their_report_and_carry_the_trial_on(harness: Harness, tmp_path: Path) -> None:
    if not ENGINES[harness.executor.name].saves:
        pytest.skip("its jobs have no files")
    harness.run(Job(3, 2, {"x": 1.0}))
    *_, report, saved, end = harness.of(3)
    assert (report.resource, saved, end) == (
        2,
        CheckpointSaved(3, 2, "trial-000003/resource-2", 0, saved.time, 1, saved.digest),
        JobFinished(3, 0, None, end.time),
    )
    folder = tmp_path / saved.path
    assert (folder / "at").read_text() == "2"
    harness.seen.clear()
    harness.run(Job(3, 4, {"x": 1.0}, start=2, checkpoint=str(folder)))
    assert [e.resource for e in harness.of(3) if isinstance(e, Reported)] == [3, 4]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["resource-2", "resource-4"]


def test_a_stopped_job_saves(harness: Harness, tmp_path: Path) -> None:
    if not ENGINES[harness.executor.name].saves:
        pytest.skip("its jobs have no files")
    harness.watch = lambda event: harness.executor.cancel(0)
    harness.run(Job(0, 9, {"x": 1.0}, gates=(1,)))
    report, saved, end = harness.of(0)
    assert (report.resource, saved.resource, type(end)) == (1, 1, JobStopped)
    assert (tmp_path / saved.path / "at").read_text() == "1"
