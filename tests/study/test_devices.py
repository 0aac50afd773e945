"""How many devices a job gets: the rule, its place in the log, and what it does to a study's time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rung
from rung.errors import StudyError
from rung.executors.base import Job
from rung.executors.simulated import SimulatedExecutor
from rung.study import Study
from rung.study.audit import audit
from rung.study.devices import SLOTS, allotted, devices_for, make_allotment
from rung.trials.events import Event, Failure, JobFailed, JobStarted, Recorded
from rung.trials.history import History

CURVE = {1: 1.0, 2: 1.9, 4: 3.5, 8: 5.2}


class Watched(SimulatedExecutor):
    """Never has more slots taken than it has; its jobs run as fast as the curve says."""

    def __init__(self, workers: int, **hazards: Any) -> None:
        super().__init__(
            workers,
            lambda config, trial, at: {"loss": config["x"] + 1 / at},
            lambda c, a, b, t: float(b - a),
            **hazards,
        )
        self.speedups = CURVE
        self.most = 0

    def submit(self, jobs: Iterable[Job]) -> None:
        super().submit(list(jobs))
        assert self.free_slots >= 0
        self.most = max(self.most, self.workers - self.free_slots)


def tuned(
    workers: int, devices: int | str | None = None, trials: int = 60, **more: Any
) -> tuple[Watched, Study]:
    engine = Watched(workers, **more.pop("hazards", {}))
    study = Study(
        {"x": rung.Float(0.0, 1.0)},
        resource=("epoch", 1, 27),
        trials=trials,
        sampler="random",
        scheduler="asha",
        **more,
    )
    if devices is not None:
        study.allot(devices, scaling=CURVE if devices == "auto" else None)
    study.run(None, executor=engine)
    return engine, study


def started(study: Study) -> list[JobStarted]:
    return [event for event in study.events() if isinstance(event, JobStarted)]


# -- the rule ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rung_index", "free", "efficiency", "share", "devices"),
    [
        (0, 99, 0.1, None, 1),  # the lowest rung
        (1, 99, 0.75, None, 4),  # 3.5 / 4 is enough, 5.2 / 8 is not
        (1, 99, 0.6, None, 8),
        (1, 99, 0.9, None, 2),
        (1, 99, 1.0, None, 1),
        (1, 3, 0.75, None, 2),  # of what is free
        (1, 0, 0.75, None, 1),
        (2, 99, 0.6, 3, 2),  # of what is fair
    ],
)
def test_the_rule(rung_index: int, free: int, efficiency: float, share: int | None, devices: int) -> None:
    assert devices_for(rung_index, free, CURVE, efficiency, share) == devices


@given(
    st.integers(0, 6),
    st.integers(0, 40),
    st.dictionaries(st.integers(1, 32), st.floats(0.1, 40.0), max_size=6),
    st.floats(0.01, 1.0),
    st.integers(1, 40),
)
def test_it_is_never_more_than_is_free_fair_and_worth_it(
    level: int, free: int, curve: dict[int, float], efficiency: float, share: int
) -> None:
    devices = devices_for(level, free, curve, efficiency, share)
    better = [n for n in curve if devices < n <= min(free, share) and curve[n] >= efficiency * n]
    assert devices == 1 or (
        level > 0 and devices <= min(free, share) and curve[devices] >= efficiency * devices
    )
    assert level == 0 or not better


# -- a study ----------------------------------------------------------------------------------------------


def test_a_study_with_free_slots_takes_less_time() -> None:
    single, plain = tuned(9)
    several, study = tuned(9, "auto")
    assert several.now() < 0.75 * single.now()
    assert several.utilisation > single.utilisation
    assert several.most <= 9
    assert study.history.incumbent == plain.history.incumbent
    used = {(event.until, event.devices) for event in started(study)}
    assert {devices for until, devices in used if until == 1} == {1}
    assert max(devices for until, devices in used if until == 3) <= 3  # a rung's share is eta to its height
    assert max(devices for _, devices in used) == 4
    assert {event.devices for event in started(plain)} == {1}


def test_every_decision_derives_again() -> None:
    _, study = tuned(7, "auto", hazards={"stragglers": 0.5, "drop": 0.02, "seed": 3}, retries=9)
    events = list(study.events())
    assert any(isinstance(e, JobFailed) and e.failure is Failure.LOST for e in events)
    found = audit(events)
    assert found.differences == ()
    assert found.decisions >= 60


def test_an_altered_number_is_noticed() -> None:
    _, study = tuned(9, "auto")
    events = list(study.events())
    place = next(i for i, e in enumerate(events) if isinstance(e, JobStarted) and e.devices > 1)
    events[place] = msgspec.structs.replace(events[place], devices=1)
    assert audit(events).differences[0].position == place


def test_what_was_decided_is_logged_before_and_read_from_there() -> None:
    _, study = tuned(9, "auto")
    events: list[Event] = list(study.events())
    told = next(e for e in events if isinstance(e, Recorded) and e.topic == SLOTS)
    assert told.data == {"slots": 9}
    assert events.index(told) < events.index(started(study)[0])
    history = History(study.writer.scheduler)
    for event in events:
        history.fold(event)
        assert history.devices == sum(running.job.devices for running in history.running.values()) <= 9
    assert history.devices == 0


def test_a_job_that_runs_again_gets_no_more_than_it_had() -> None:
    _, study = tuned(5, "auto", hazards={"drop": 0.05, "seed": 1}, retries=50)
    had: dict[tuple[int, int], int] = {}
    again = 0
    for event in started(study):
        key = (event.trial, event.until)
        again += key in had and had[key] > 1
        assert event.devices <= had.get(key, 99)
        had[key] = event.devices
    assert again > 0


def test_a_fixed_number_for_each_job() -> None:
    engine, study = tuned(9, 4)
    assert {event.devices for event in started(study)} == {4}
    assert engine.most == 8
    assert audit(study.events()).differences == ()


def test_more_devices_than_workers_is_an_error() -> None:
    with pytest.raises(StudyError, match="devices=4 takes as many workers, and there are 3"):
        tuned(3, 4)


def test_a_study_goes_on_with_what_it_was_told(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    _, study = tuned(9, "auto", storage=path, study="s", trials=9)
    study.close()
    again = Study.open(path, "s")
    assert allotted(again.history) == make_allotment("auto", scaling=CURVE)
    again.allot("auto", scaling=CURVE)
    assert len(again.history.records["devices"]) == 1  # nothing new
    again.allot(2)
    assert allotted(again.history) == make_allotment(2)
    again.close()


def test_who_asks_is_told_how_many() -> None:
    study = Study(
        {"x": rung.Float(0.0, 1.0)}, resource=("epoch", 1, 9), trials=9, sampler="random", scheduler="asha"
    )
    study.allot("auto", scaling=CURVE)
    seen = set()
    while (job := study.ask()) is not None:
        seen.add((job.resource, job.devices))
        study.tell(job, job.config["x"])
    assert seen == {(1, 1), (3, 2), (9, 4)}


def test_deterministic_studies_have_the_same_log_on_any_number_of_workers() -> None:
    logs = []
    for workers in (1, 8):
        _, study = tuned(workers, "auto", trials=20, deterministic=8)
        logs.append([msgspec.structs.replace(e, time=0.0) for e in started(study)])
    assert logs[0] == logs[1]
    assert max(event.devices for event in logs[0]) == 2  # of the simulated workers, where one is real


# -- bad input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("devices", "more", "words"),
    [
        (0, {}, "at least 1 or 'auto', not 0"),
        (1.5, {}, "not 1.5"),
        (True, {}, "not True"),
        ("many", {}, "not 'many'"),
        (2, {"scaling": CURVE}, "with devices='auto'"),
        ("auto", {}, "scaling="),
        ("auto", {"scaling": {2: 0.0}}, "2: 0.0 is not understood"),
        ("auto", {"scaling": {"two": 2.0}}, "'two': 2.0 is not understood"),
        ("auto", {"scaling": CURVE, "efficiency": 0.0}, "efficiency must be above 0"),
        ("auto", {"scaling": "none.json"}, "none.json cannot be read"),
    ],
)
def test_bad_settings_are_sentences(devices: Any, more: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError) as caught:
        make_allotment(devices, **more)
    assert words in str(caught.value)


def test_a_file_of_the_planner(tmp_path: Path) -> None:
    path = tmp_path / "curve.json"
    path.write_text(json.dumps({"speedups": {"1": 1.0, "4": 3.5, "2": 1.9}}))
    assert make_allotment("auto", 0.5, path).scaling == ((1, 1.0), (2, 1.9), (4, 3.5))
    for text in ("{", "[]", '{"speedups": 3}', "{}"):
        path.write_text(text)
        with pytest.raises(StudyError, match="speedups"):
            make_allotment("auto", 0.5, path)


def test_auto_needs_a_ladder() -> None:
    study = Study({"x": rung.Float(0.0, 1.0)}, trials=3)
    with pytest.raises(StudyError, match="give it a resource"):
        study.allot("auto", scaling=CURVE)
