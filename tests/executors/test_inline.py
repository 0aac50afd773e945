"""`rung.executors.inline`: what is its own; the rest is in the conformance suite."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rung.errors import StorageError
from rung.executors.base import Job
from rung.executors.inline import InlineExecutor
from rung.executors.setup import Setup
from rung.trials.events import Failure, JobFailed, JobFinished, JobStopped, Reported


def made(folder: Path, objective: Callable[..., Any], **limits: Any) -> InlineExecutor:
    return InlineExecutor(Setup(objective, "loss", 1, folder, **limits))


def reports(trial: Any) -> None:
    for at in range(1, trial.resource + 1):
        trial.report(at, loss=1.0 / at)


def test_each_report_is_absorbed_before_the_objective_goes_on(tmp_path: Path) -> None:
    order: list[str] = []

    def objective(trial: Any) -> None:
        for at in (1, 2):
            trial.report(at, loss=0.0)
            order.append(f"went on from {at}")

    executor = made(tmp_path, objective)
    executor.absorb = lambda events: order.append(f"told {events[0].resource}")
    executor.submit([Job(0, 2, {})])
    (end,) = executor.poll(None)
    assert order == ["told 1", "went on from 1", "told 2", "went on from 2"]
    assert isinstance(end, JobFinished)


def test_cancelled_before_it_began(tmp_path: Path) -> None:
    executor = made(tmp_path, reports)
    executor.submit([Job(4, 2, {})])
    executor.cancel(4)
    (end,) = executor.poll(None)
    assert isinstance(end, JobStopped)


def test_an_interrupt_comes_out_and_the_job_still_ends(tmp_path: Path) -> None:
    def objective(trial: Any) -> None:
        trial.report(1, loss=1.0)
        raise KeyboardInterrupt

    executor = made(tmp_path, objective)
    executor.submit([Job(0, 2, {}, attempt=3)])
    with pytest.raises(KeyboardInterrupt):
        executor.poll(None)
    report, end = executor.poll(None)
    assert isinstance(report, Reported)
    assert (end.failure, end.attempt) == (Failure.INTERRUPTED, 3)
    assert executor.free_slots == 1


def test_what_absorbing_raises_is_not_the_objectives(tmp_path: Path) -> None:
    def objective(trial: Any) -> None:
        for at in (1, 2):
            try:
                trial.report(at, loss=1.0)
            except StorageError:
                continue  # as careless code does

    def absorb(events: Any) -> None:
        raise StorageError("the disk is full")

    executor = made(tmp_path, objective)
    executor.absorb = absorb
    executor.submit([Job(0, 2, {})])
    with pytest.raises(StorageError, match="disk is full"):
        executor.poll(None)


def test_a_limit_on_time_is_noticed_at_a_report(tmp_path: Path) -> None:
    def objective(trial: Any) -> None:
        time.sleep(0.02)
        trial.report(1, loss=1.0)
        raise AssertionError("it went on")

    executor = made(tmp_path, objective, trial_seconds=0.01)
    executor.submit([Job(0, 2, {})])
    *_, end = executor.poll(None)
    assert isinstance(end, JobFailed)
    assert (end.failure, end.message) == (Failure.TIMEOUT, "the job took longer than its limit of 0.01 s")


def test_prints_stay_and_tracebacks_are_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def objective(config: Any) -> float:
        print("hello")
        return 1.0 / config["x"]

    executor = made(tmp_path, objective)
    for number, x in enumerate((1.0, 0.0)):
        executor.submit([Job(number, 1, {"x": x})])
        executor.poll(None)
    assert capsys.readouterr().out == "hello\nhello\n"
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["trial-000001.log"]
    log = (tmp_path / "logs" / "trial-000001.log").read_text()
    assert log.startswith("--- trial 1, attempt 0, ")
    assert log.endswith("ZeroDivisionError: float division by zero\n")


def test_closed_from_within(tmp_path: Path) -> None:
    executor = made(tmp_path, reports)
    executor.absorb = lambda events: executor.close()
    executor.submit([Job(0, 9, {})])
    (end,) = executor.poll(None)
    assert isinstance(end, JobStopped)
    assert executor.free_slots == 0
