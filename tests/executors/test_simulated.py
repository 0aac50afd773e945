"""`rung.executors.simulated`: its clock, its hazards, and a state machine of whatever order of calls."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rung.errors import StudyError
from rung.executors.base import Job
from rung.executors.setup import Setup
from rung.executors.simulated import SimulatedExecutor, simulate
from rung.trials.events import CheckpointSaved, Failure, JobFailed, JobFinished, JobStopped, Reported


def curve(config: Mapping[str, Any], trial: int, resource: int) -> dict[str, float]:
    return {"loss": 1.0 / resource}


def seconds(config: Mapping[str, Any], first: int, last: int, trial: int) -> float:
    return config.get("each", 1.0) * (last - first)


def made(workers: int = 2, **settings: Any) -> SimulatedExecutor:
    return SimulatedExecutor(workers, curve, seconds, **settings)


def test_the_clock_jumps_to_the_next_end() -> None:
    executor = made()
    executor.submit([Job(0, 9, {}), Job(1, 4, {"each": 0.5})])
    assert executor.now() == 0.0
    assert executor.poll(None) == [JobFinished(1, 0, {"loss": 0.25}, 2.0)]
    executor.submit([Job(2, 8, {}, start=1)])
    both = executor.poll(None)  # at the same moment, in the order in which they were submitted
    assert both == [JobFinished(0, 0, {"loss": 1 / 9}, 9.0), JobFinished(2, 0, {"loss": 1 / 8}, 9.0)]
    assert executor.utilisation == 1.0


def test_waiting_in_virtual_time() -> None:
    executor = made()
    executor.submit([Job(0, 4, {})])
    assert executor.poll(1.5) == []
    assert executor.now() == 1.5
    assert executor.poll(2.5) == [JobFinished(0, 0, {"loss": 0.25}, 4.0)]
    assert executor.utilisation == 0.5
    assert executor.poll(2.0) == []
    assert executor.now() == 6.0


def test_reports_at_gates_or_everywhere() -> None:
    for reports, told in (("ends", [1, 3]), ("every", [1, 2, 3, 4])):
        executor = made(reports=reports)
        executor.submit([Job(0, 5, {}, gates=(1, 3))])
        seen = [executor.poll(None)[0] for _ in range(len(told) + 1)]
        assert [(e.resource, e.time) for e in seen[:-1] if isinstance(e, Reported)] == [
            (at, at) for at in told
        ]
        assert seen[-1] == JobFinished(0, 0, {"loss": 0.2}, 5.0)


def test_gates_hold_where_no_time_passes() -> None:
    executor = made()
    executor.submit([Job(0, 5, {"each": 0.0}, gates=(1, 3))])
    assert [type(e) for e in executor.poll(None)] == [Reported]
    executor.cancel(0)
    assert executor.poll(None) == [JobStopped(0, 0, 0.0)]
    assert executor.free_slots == 2


def test_cancelled_on_the_way_it_reports_once_more() -> None:
    executor = made()
    executor.submit([Job(0, 5, {})])
    executor.cancel(0)
    assert executor.poll(None) == [Reported(0, 5, {"loss": 0.2}, 0, 5.0), JobStopped(0, 0, 5.0)]


def test_saving() -> None:
    executor = made(reports="saves")
    executor.submit([Job(7, 5, {})])
    saved, end = executor.poll(None)
    assert saved == CheckpointSaved(7, 5, "simulated/7-5", 0, 5.0)
    assert isinstance(end, JobFinished)


def ends(executor: SimulatedExecutor, count: int) -> list[Any]:
    """The ends of `count` jobs of 10 seconds, in order of trial."""
    executor.submit([Job(n, 10, {}) for n in range(count)])
    told: list[Any] = []
    while len(told) < count:
        told += executor.poll(None)
    return sorted(told, key=lambda event: event.trial)


def test_stragglers_take_one_plus_the_size_of_a_normal() -> None:
    times = np.array([end.time for end in ends(made(20_000, stragglers=0.5, seed=3), 20_000)])
    excess = times / 10.0 - 1.0
    assert excess.min() >= 0.0
    assert excess.mean() == pytest.approx(0.5 * math.sqrt(2 / math.pi), rel=0.03)
    assert np.sqrt((excess**2).mean()) == pytest.approx(0.5, rel=0.03)


def test_drops_by_the_second() -> None:
    told = ends(made(20_000, drop=0.05, seed=3), 20_000)
    lost = np.array([end.time for end in told if isinstance(end, JobFailed)])
    assert len(lost) / 20_000 == pytest.approx(1 - 0.95**10, rel=0.03)
    assert (lost < 3.0).mean() == pytest.approx((1 - 0.95**3) / (1 - 0.95**10), rel=0.05)
    failed = next(end for end in told if isinstance(end, JobFailed))
    assert (failed.failure, failed.message) == (Failure.LOST, "the job was dropped")


def test_hazards_depend_on_seed_trial_start_and_attempt_alone() -> None:
    def moment(job: Job, seed: int, before: int = 0) -> float:
        executor = made(100, stragglers=1.0, drop=0.01, seed=seed)
        executor.submit([Job(100 + n, 1, {"each": 0.0}) for n in range(before)])
        while before and executor.free_slots < 100:
            executor.poll(None)
        began = executor.now()
        executor.submit([job])
        return executor.poll(None)[-1].time - began  # type: ignore[attr-defined,no-any-return]

    job = Job(5, 9, {}, start=3)
    assert moment(job, 0) == moment(job, 0, before=7)
    others = [moment(j, s) for j, s in ((job, 1), (job._replace(trial=6), 0), (job._replace(attempt=1), 0))]
    assert len({moment(job, 0), *others}) == 4


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"stragglers": -1.0}, {"drop": 1.0}, {"reports": "never"}])
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        made(**wrong)


def test_an_ordinary_objective(tmp_path: Any) -> None:
    def objective(config: Any, budget: Any) -> Any:
        return config["x"] * budget if budget < 4 else "nothing"

    executor = simulate(Setup(objective, "loss", 3, tmp_path))
    executor.submit([Job(0, 3, {"x": 2.0}, start=1), Job(1, 4, {"x": 2.0})])
    assert executor.poll(None) == [JobFinished(0, 0, {"loss": 6.0}, 2.0)]
    (failed,) = executor.poll(None)
    assert failed == JobFailed(1, Failure.ERROR, "the objective returned a str, but no metrics", 0, 4.0)
    with pytest.raises(StudyError, match=r"\(config, budget\)"):
        simulate(Setup(lambda trial: None, "loss", 3, tmp_path))


class Simulation(RuleBasedStateMachine):
    """Whatever the order of calls: one end a job, in time, and no slot lost."""

    def __init__(self) -> None:
        super().__init__()
        self.executor = made(3, stragglers=0.3, drop=0.02, reports="every")
        self.count = 0
        self.open: dict[int, Job] = {}
        self.reached: dict[int, int] = {}
        self.cancelled: set[int] = set()
        self.last = 0.0

    @rule(
        until=st.integers(1, 9),
        start=st.integers(0, 8),
        gate=st.integers(0, 9),
        each=st.sampled_from([0.0, 0.5, 1.0]),
    )
    def submit(self, until: int, start: int, gate: int, each: float) -> None:
        if self.executor.free_slots:
            job = Job(self.count, until, {"each": each}, min(start, until - 1), gates=(gate,))
            self.executor.submit([job])
            self.open[job.trial], self.reached[job.trial] = job, job.start
            self.count += 1

    @rule(number=st.integers(0, 30))
    def cancel(self, number: int) -> None:
        self.executor.cancel(number)
        self.cancelled.add(number)

    @rule(timeout=st.sampled_from([None, 0.0, 0.7, 20.0]))
    def poll(self, timeout: float | None) -> None:
        for event in self.executor.poll(timeout):
            assert isinstance(event, Reported | JobFinished | JobFailed | JobStopped)
            job = self.open[event.trial]
            assert self.last <= event.time <= self.executor.now()
            self.last = event.time
            if isinstance(event, Reported):
                assert self.reached[job.trial] < event.resource <= job.until
                self.reached[job.trial] = event.resource
            else:
                assert not isinstance(event, JobStopped) or job.trial in self.cancelled
                del self.open[job.trial]

    @invariant()
    def no_slot_is_lost(self) -> None:
        assert self.executor.free_slots == 3 - len(self.open) or self.executor._pending
        assert 0.0 <= self.executor.utilisation <= 1.0 + 1e-9


TestSimulation = Simulation.TestCase
TestSimulation.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_metrics_become_plain_floats() -> None:
    executor = SimulatedExecutor(1, lambda config, trial, at: {"loss": np.float64(0.5), "size": 3}, seconds)
    executor.submit([Job(0, 1, {})])
    (end,) = executor.poll(None)
    assert {name: type(value) for name, value in end.metrics.items()} == {"loss": float, "size": float}
