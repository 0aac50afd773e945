"""`rung.executors.handle`: what `report` tells, when it saves, when it stops."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rung
from rung.errors import StudyError
from rung.executors.base import Job
from rung.executors.handle import Trial
from rung.trials.events import CheckpointSaved, Event, Reported


class Link:
    """Keeps what it is told."""

    def __init__(self, stop_at: int = 99) -> None:
        self.told: list[Any] = []
        self.waited: list[int] = []
        self.stop_at = stop_at

    def tell(self, event: Event, *, waits: bool = False) -> None:
        self.told.append(event)
        if waits:
            assert isinstance(event, Reported)
            self.waited.append(event.resource)

    def stopping(self) -> bool:
        return any(isinstance(e, Reported) and e.resource >= self.stop_at for e in self.told)

    def now(self) -> float:
        return 5.0


def save(folder: str) -> None:
    Path(folder, "weights").write_text("")


def made(tmp_path: Path, job: Job, stop_at: int = 99, save_every: float = 1e9) -> tuple[Trial, Link]:
    link = Link(stop_at)
    return Trial(job, link, str(tmp_path), save_every), link


def saved(link: Link) -> list[int]:
    return [event.resource for event in link.told if isinstance(event, CheckpointSaved)]


def test_what_an_objective_sees(tmp_path: Path) -> None:
    config = {"lr": 0.1}
    trial, _ = made(tmp_path, Job(12, 9, config, start=3, seed=7, checkpoint="there"))
    assert (trial.number, trial.config, trial.start, trial.resource) == (12, {"lr": 0.1}, 3, 9)
    assert (trial.seed, trial.checkpoint) == (7, "there")
    trial.config["lr"] = 1.0
    assert config == {"lr": 0.1}
    assert made(tmp_path, Job(0, 1, {}, plain=True))[0].resource is None


def test_a_report(tmp_path: Path) -> None:
    trial, link = made(tmp_path, Job(12, 9, {}, attempt=2))
    trial.report(np.int64(4), loss=np.float32(0.5), n=3)
    trial.report(5.0, loss=1)  # type: ignore[arg-type]
    trial.report(loss=0.25)
    assert link.told == [
        Reported(12, 4, {"loss": 0.5, "n": 3.0}, 2, 5.0),
        Reported(12, 5, {"loss": 1.0}, 2, 5.0),
        Reported(12, 9, {"loss": 0.25}, 2, 5.0),
    ]


@pytest.mark.parametrize("given", [0.31, "3", None])
def test_reports_that_tell_nothing(tmp_path: Path, given: Any) -> None:
    trial, link = made(tmp_path, Job(0, 9, {}))
    with pytest.raises(StudyError, match=r"whole number|needs a metric"):
        trial.report(given)
    assert link.told == []


def test_a_resource_that_is_a_metric(tmp_path: Path) -> None:
    trial, _ = made(tmp_path, Job(0, 9, {}))
    with pytest.raises(StudyError, match=r"must be a whole number, not 0\.31; metrics go by name"):
        trial.report(0.31, accuracy=1.0)  # type: ignore[arg-type]


def test_a_checkpoint_at_the_end_comes_after_its_report(tmp_path: Path) -> None:
    trial, link = made(tmp_path, Job(1, 3, {}, attempt=1))
    for at in (1, 2, 3):
        trial.report(at, loss=1.0, save=save)
    assert link.told[2:] == [
        Reported(1, 3, {"loss": 1.0}, 1, 5.0),
        CheckpointSaved(1, 3, "trial-000001/resource-3", 1, 5.0, 0, link.told[3].digest),
    ]
    assert len(link.told[3].digest) == 64
    trial.save_now()
    assert saved(link) == [3]


def test_a_checkpoint_when_the_time_has_come(tmp_path: Path) -> None:
    trial, link = made(tmp_path, Job(1, 9, {}), save_every=0.0)
    trial.report(1, loss=1.0, save=save)
    trial.report(2, loss=1.0)
    trial.report(3, loss=1.0, save=save)
    assert saved(link) == [1, 3]


def test_told_to_stop(tmp_path: Path) -> None:
    trial, link = made(tmp_path, Job(1, 9, {}), stop_at=2)
    trial.report(1, loss=1.0, save=save)
    with pytest.raises(rung.Stopped, match="trial 1"):
        trial.report(2, loss=1.0, save=save)
    assert saved(link) == [2]
    with pytest.raises(rung.Stopped):  # an objective that caught the first
        trial.report(3, loss=1.0)
    assert saved(link) == [2]


def test_without_a_resource_the_last_report_is_saved_at_the_end(tmp_path: Path) -> None:
    trial, link = made(tmp_path, Job(1, 1, {}, plain=True))
    for epoch in (1, 2, 3):
        trial.report(epoch, loss=1.0, save=save)
    assert saved(link) == []
    trial.save_now()
    trial.save_now()
    assert saved(link) == [3]


@pytest.mark.parametrize(
    ("reports", "waited"),
    [((1, 2, 3, 4, 5), [2, 4]), ((3, 5), [3, 5]), ((5, 5), [5]), ((1, 1), []), ((2, 2, 3), [2])],
)
def test_gates(tmp_path: Path, reports: tuple[int, ...], waited: list[int]) -> None:
    trial, link = made(tmp_path, Job(1, 9, {}, gates=(2, 4)))
    for at in reports:
        trial.report(at, loss=1.0)
    assert link.waited == waited
