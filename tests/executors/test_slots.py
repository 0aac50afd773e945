"""Jobs with several devices in local workers: slots, threads, GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rung.executors.base import Job
from rung.executors.handle import Trial
from rung.executors.local import LocalExecutor
from rung.executors.processes import THREADS
from rung.executors.setup import Setup
from rung.executors.slots import Slots, merged
from rung.trials.events import JobFinished


def look(trial: Trial) -> dict[str, float]:
    """What the job's process has."""
    import os

    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return {
        "loss": 0.0,
        "devices": float(trial.devices),
        "threads": float(os.environ["OMP_NUM_THREADS"]),
        "gpus": float(gpus.replace(",", "") or -1),
        "pid": float(os.getpid()),
    }


def test_environments_of_several_workers_become_one() -> None:
    one = dict.fromkeys(THREADS, "2") | {"CUDA_VISIBLE_DEVICES": "0,4", "X": "x"}
    other = dict.fromkeys(THREADS, "2") | {"CUDA_VISIBLE_DEVICES": "1,4"}
    mine = merged([one, other], {"OMP_NUM_THREADS": "3"})
    assert (mine["OMP_NUM_THREADS"], mine["MKL_NUM_THREADS"]) == ("3", "4")
    assert mine["CUDA_VISIBLE_DEVICES"] == "0,4,1"
    assert mine["X"] == "x"
    assert merged([one], {}) == one


def test_a_job_takes_its_slots_and_gives_them_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.executors.processes.cores", lambda: 6)
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    executor = LocalExecutor(Setup(look, "loss", 3, tmp_path, gpus=(4, 5, 6)))
    try:
        assert executor.free_slots == 3
        executor.submit([Job(0, 1, {}, devices=2)])
        assert executor.free_slots == 1
        with pytest.raises(ValueError, match="2 of 1 free slots"):
            executor.submit([Job(1, 1, {}, devices=2)])
        executor.submit([Job(1, 1, {})])
        ends = drained(executor)
        assert executor.free_slots == 3
        assert (ends[0]["devices"], ends[0]["threads"], ends[1]["threads"]) == (2, 4, 2)
        gpus = sorted(f"{ends[0]['gpus']:.0f}{ends[1]['gpus']:.0f}")
        assert gpus == ["4", "5", "6"]  # no GPU is seen twice

        executor.submit([Job(2, 1, {}, devices=2)])  # the worker that has two slots takes it, as it is
        assert drained(executor)[2]["pid"] == ends[0]["pid"]
        executor.submit([Job(3, 1, {}, devices=9)])  # all there are
        assert executor.free_slots == 0
        everything = drained(executor)[3]
        assert (everything["threads"], everything["devices"]) == (6, 9)
        executor.submit([Job(number, 1, {}) for number in (4, 5, 6)])
        singles = drained(executor)
        assert sorted(one["gpus"] for one in singles.values()) == [4, 5, 6]
        assert {one["threads"] for one in singles.values()} == {2}
    finally:
        executor.close()


class Place:
    """As much of a worker as its slots need."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.slots: tuple[int, ...] = (index,)
        self.own = dict.fromkeys(THREADS, "1")
        self.moves = 0

    def move(self, slots: tuple[int, ...], _environment: dict[str, str]) -> None:
        self.slots, self.moves = slots, self.moves + 1


@pytest.mark.parametrize("first", [0, 1])
def test_a_process_gets_the_slots_it_was_started_for_whichever_job_ended_first(first: int) -> None:
    crew = [Place(index) for index in range(3)]
    slots = Slots(crew)  # type: ignore[arg-type]
    took = [slots.take(Job(0, 1, {}, devices=2)), slots.take(Job(1, 1, {}))]
    for place in (first, 1 - first):
        slots.give(took[place])
    assert slots.take(Job(2, 1, {}, devices=2)) is took[0]
    assert [place.moves for place in crew] == [1, 0, 0]


def drained(executor: LocalExecutor) -> dict[int, dict[str, Any]]:
    """The metrics of all jobs under way, by trial, when they have ended."""
    found: dict[int, dict[str, Any]] = {}
    while events := executor.poll(None):
        for event in events:
            assert isinstance(event, JobFinished), event
            assert event.metrics is not None
            found[event.trial] = dict(event.metrics)
    return found
