"""The same study on any number of real workers, with results in the order of simulated ones."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rung
from rung.executors.base import Job
from rung.executors.ordered import OrderedExecutor
from rung.trials import events as ev
from rung.trials.events import Event, Failure, JobFailed, JobFinished, JobStopped, Reported


class Shuffled:
    """An executor in memory whose jobs report at every unit of resource, whose turn it is being chance."""

    name = "shuffled"

    def __init__(self, workers: int, rng: random.Random, fails: frozenset[int] = frozenset()) -> None:
        self.workers, self.rng, self.fails = workers, rng, fails
        self.jobs: dict[int, Job] = {}
        self.at: dict[int, int] = {}
        self.cancelled: set[int] = set()
        self.work = 0

    @property
    def free_slots(self) -> int:
        return self.workers - len(self.jobs)

    def submit(self, jobs: Sequence[Job]) -> None:
        assert len(jobs) <= self.free_slots
        for job in jobs:
            assert job.trial not in self.jobs
            self.jobs[job.trial], self.at[job.trial] = job, job.start

    def poll(self, timeout: float | None) -> list[Event]:
        if not self.jobs:
            return []
        trial = self.rng.choice(sorted(self.jobs))
        job = self.jobs[trial]
        if trial in self.cancelled:
            return self._end(trial, JobStopped(trial, job.attempt))
        if trial in self.fails and self.rng.random() < 0.3:
            return self._end(trial, JobFailed(trial, Failure.ERROR, "chance", job.attempt))
        self.at[trial] += 1
        self.work += 1
        value = {"loss": job.config["x"] + 1.0 / self.at[trial]}
        told: list[Event] = [Reported(trial, self.at[trial], value, job.attempt)]
        return told + (
            self._end(trial, JobFinished(trial, job.attempt)) if self.at[trial] == job.until else []
        )

    def _end(self, trial: int, event: Event) -> list[Event]:
        del self.jobs[trial]
        self.cancelled.discard(trial)
        return [event]

    def cancel(self, trial: int) -> None:
        if trial in self.jobs:
            self.cancelled.add(trial)

    def now(self) -> float:
        return 0.0

    def close(self, *, grace: float = 0.0) -> None:
        self.jobs.clear()


def log_of(workers: int, chance: int, simulated: int, scheduler: str, **more) -> list[Event]:
    study = rung.Study(
        {"x": rung.Float(0, 1)},
        resource=("epoch", 1, 9),
        sampler="kde",
        scheduler=scheduler,
        trials=25,
        deterministic=simulated,
    )
    with study:
        study.run(lambda trial: None, executor=Shuffled(workers, random.Random(chance), **more))
        return [
            event
            for event in study.events()
            if not isinstance(event, ev.StudyCreated | ev.SessionStarted | ev.SessionEnded)
        ]


def untimed(events: list[Event]) -> list[str]:
    return [repr(event).split(", time=")[0] for event in events]


@pytest.mark.parametrize("scheduler", ["asha", "asha-stopping", "hyperband", "plain"])
@given(chance=st.integers(0, 10**6), workers=st.sampled_from([1, 2, 3, 8]), simulated=st.sampled_from([1, 4]))
@settings(max_examples=15, deadline=None)
def test_the_log_does_not_depend_on_workers_or_chance(scheduler, chance, workers, simulated):
    expected = untimed(log_of(4, 0, simulated, scheduler))
    assert untimed(log_of(workers, chance, simulated, scheduler)) == expected


def test_more_simulated_workers_take_other_decisions():
    """Else the test above would be empty."""
    assert untimed(log_of(2, 0, 1, "asha")) != untimed(log_of(2, 0, 6, "asha"))


@given(chance=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_one_simulated_worker_is_a_sequential_study(chance):
    jobs = [event for event in log_of(3, chance, 1, "asha") if isinstance(event, ev.JobStarted | JobFinished)]
    assert all(type(one) is not type(other) for one, other in pairwise(jobs))


@given(chance=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_failures_on_the_way_keep_it_going(chance):
    events = log_of(3, chance, 4, "asha-stopping", fails=frozenset(range(0, 25, 3)))
    started = [event for event in events if isinstance(event, ev.JobStarted)]
    ends = [event for event in events if isinstance(event, JobFinished | JobFailed | JobStopped)]
    assert len(started) == len(ends) == 25


def slow(trial):
    for epoch in range(trial.start, trial.resource):
        time.sleep(0.002 * trial.config["x"])
        trial.report(epoch + 1, loss=trial.config["x"] + 1 / (epoch + 1))


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_real_workers(scheduler):
    found = []
    for workers in (1, 2):
        result = rung.tune(
            slow,
            {"x": rung.Float(0, 1)},
            resource=("epoch", 1, 9),
            scheduler=scheduler,
            trials=20,
            workers=workers,
            executor="local",
            deterministic=3,
        )
        found.append([(t.config, t.value, t.resource, t.state) for t in result.trials])
    assert found[0] == found[1]


def test_a_study_that_is_interrupted_goes_on():
    """At the end of a session, jobs stop at their next report, wherever they stand."""
    inner = Shuffled(2, random.Random(0))
    executor = OrderedExecutor(inner, 3)
    jobs = [Job(n, 9, {"x": 0.5}, gates=(1, 3)) for n in range(3)]
    executor.submit(jobs)
    events: list[Event] = []
    while not events:
        events = executor.poll(None)
    for job in jobs:
        executor.cancel(job.trial)
    for _ in range(100):
        events += executor.poll(None)
    stopped = [event.trial for event in events if isinstance(event, JobStopped)]
    assert sorted(stopped) == [0, 1, 2]


@pytest.mark.parametrize("strict", [False, True])
def test_what_had_ended_out_of_its_turn_runs_again_where_that_is_asked_for(strict):
    inner = Shuffled(2, random.Random(0))
    executor = OrderedExecutor(inner, 2, strict=strict)
    executor.submit([Job(0, 9, {"x": 0.5}), Job(1, 9, {"x": 0.5})])
    inner.rng.choice = lambda jobs: jobs[-1]  # the second goes first
    while 1 in inner.jobs:
        assert executor.poll(None) == []
    for trial in (0, 1):
        executor.cancel(trial)
    events = [event for _ in range(20) for event in executor.poll(None)]
    ends = {event.trial: type(event) for event in events if not isinstance(event, Reported)}
    assert ends == {0: JobStopped, 1: JobStopped if strict else JobFinished}
