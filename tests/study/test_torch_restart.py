"""A training that is paused and restarted from its checkpoint ends at the same weights, bit for bit."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import rung
from rung.storage import open_storage

torch = pytest.importorskip("torch")

EXAMPLE = Path(__file__).parents[2] / "examples" / "torch_checkpoint.py"
SETTINGS: dict[str, Any] = {"resource": ("epoch", 1, 5), "sampler": "random", "scheduler": "plain", "seed": 3}


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("torch_checkpoint", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = torch.get_num_threads()
    spec.loader.exec_module(module)
    torch.set_num_threads(1)
    yield module
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(False)


def state_of(folder: str) -> Any:
    return torch.load(Path(folder) / "training.pt", weights_only=False)


def same(one: Any, other: Any) -> bool:
    """Bit for bit, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool((one == other).all()) if hasattr(one, "all") else bool(one == other)


def pausing(storage: str, epochs: set[int]) -> Any:
    """Asks for a pause at each of these epochs, once."""

    def watch(study: Any, events: Any) -> None:
        for event in events:
            if getattr(event, "resource", None) in epochs:
                epochs.discard(event.resource)
                with_requests = open_storage(storage)
                with_requests.request("s", "pause", {})
                with_requests.close()

    return watch


def test_paused_copied_and_restarted(example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.study.run._TICK", 0.0)
    undisturbed = rung.tune(example.train, example.space, trials=1, quiet=True, **SETTINGS)
    expected = state_of(undisturbed.best.checkpoint)
    epochs, sessions = {1, 3}, 0
    home = tmp_path / "home-0"
    home.mkdir()
    while True:
        url = str(home / "s.db")
        with rung.Study(example.space, study="s", storage=url, trials=1, **SETTINGS) as study:
            result = study.run(example.train, watch=pausing(url, epochs))
            starts = [event.start for event in study.events() if hasattr(event, "until")]
        sessions += 1
        if result.reason != "paused":
            break
        moved = tmp_path / f"home-{sessions}"  # another folder, as on another machine
        shutil.copytree(home, moved)
        shutil.rmtree(home)
        home = moved
    assert sessions == len(starts) == 3
    assert starts[0] == 0
    assert all(early < late for early, late in pairwise(starts))
    assert same(state_of(result.best.checkpoint), expected)
    assert result.best.value == undisturbed.best.value
    assert not same(expected["parts"]["model"], {k: v + 1 for k, v in expected["parts"]["model"].items()})


@pytest.mark.long
def test_by_command_with_signals_and_in_other_processes(tmp_path: Path) -> None:
    """`rung tune`, Ctrl-C, `rung pause`, another folder, `rung resume`: all trials as undisturbed."""

    def command(*words: object, **more: Any) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RUNG_STORAGE": "s.db"}
        return subprocess.Popen(
            [sys.executable, "-m", "rung", *map(str, words)],
            env=environment,
            stderr=subprocess.DEVNULL,
            **more,
        )

    methods = ("--sampler", "random", "--scheduler", "plain", "--resource", "epoch:1:60")
    tuning = ("tune", EXAMPLE, "--trials", 2, *methods, "--study", "s")

    def outcome(home: Path) -> list[Any]:
        store = open_storage(str(home / "s.db"))
        study = rung.Study.open(store, "s")
        found = rung.study.result.Result(study.writer, study.events).trials
        study.close()
        store.close()
        return [
            (
                trial.number,
                trial.value,
                trial.resource,
                state_of(trial.checkpoint) if trial.checkpoint else None,
            )
            for trial in found
        ]

    calm, rough = tmp_path / "calm", tmp_path / "rough"
    calm.mkdir()
    rough.mkdir()
    assert command(*tuning, cwd=calm).wait() == 0
    child = command(*tuning, cwd=rough)
    reports = _wait_for_reports(rough, 3)
    child.send_signal(signal.SIGINT)
    child.wait()
    child = command("resume", "s", cwd=rough)
    _wait_for_reports(rough, reports + 3)
    assert command("pause", "s", cwd=rough).wait() == 0
    child.wait()
    moved = tmp_path / "moved"
    shutil.copytree(rough, moved)
    shutil.rmtree(rough)
    assert command("resume", "s", cwd=moved).wait() == 0
    assert same(outcome(moved), outcome(calm))


def _wait_for_reports(home: Path, count: int) -> int:
    """Wait until the study in this folder has so many reports; returns how many it has."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        if (home / "s.db").exists():
            store = open_storage(str(home / "s.db"))
            found = 0
            if store.find("s") is not None:
                found = sum(type(event).__name__ == "Reported" for event in store.read("s"))
            store.close()
            if found >= count:
                return found
        time.sleep(0.2)
    raise AssertionError("nothing was reported")
