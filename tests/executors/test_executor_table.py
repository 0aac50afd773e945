"""Executors by name, and what they are built from."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from rung.errors import StudyError
from rung.executors import EXECUTORS, make_executor, table
from rung.executors.base import Job
from rung.executors.setup import Setup
from rung.trials.events import JobFinished


def half(config: Any) -> float:
    return 0.5


@pytest.mark.parametrize("name", EXECUTORS)
def test_each_of_ours_runs_a_function(name: str, tmp_path: Path) -> None:
    executor = make_executor(name, Setup(half, "loss", 1, tmp_path))
    assert executor.name == name
    executor.submit([Job(0, 1, {}, plain=True)])
    (end,) = executor.poll(None)
    assert end == JobFinished(0, 0, {"loss": 0.5}, end.time)
    executor.close()


def test_an_unknown_name_has_a_hint(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="unknown executor 'locl': did you mean 'local'"):
        make_executor("locl", Setup(half, "loss", 1, tmp_path))


def test_plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("theirs", "builtins:repr", "rung.executors"),
        EntryPoint("broken", "no_such_package:Executor", "rung.executors"),
        EntryPoint("local", "builtins:repr", "rung.executors"),
    ]
    monkeypatch.setattr(table, "entry_points", lambda group: points if group == "rung.executors" else [])
    setup = Setup(half, "loss", 1, tmp_path)
    assert make_executor("theirs", setup) == repr(setup)
    with (
        pytest.warns(RuntimeWarning, match="cannot be loaded"),
        pytest.raises(StudyError, match="'broken' cannot be loaded from 'no_such_package:Executor'"),
    ):
        make_executor("broken", setup)
    assert table.known()["local"] == EXECUTORS["local"]


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"trial_seconds": 0.0}, {"trial_memory": -1}])
def test_a_setup_is_checked(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=f"{next(iter(wrong))} must be"):
        Setup(**{"objective": half, "metric": "loss", "workers": 1, "folder": tmp_path, **wrong})
