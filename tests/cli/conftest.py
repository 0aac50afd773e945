"""Files with objectives, and the command line run in this process or in another."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rung.cli.app import app

_numbers = itertools.count()

OBJECTIVE = """
import rung

space = {"x": rung.Float(0.0, 1.0), "kind": rung.Choice({"even": {}, "odd": {"y": rung.Integer(1, 9)}})}
resource = ("step", 1, 9)


def train(trial):
    for step in range(trial.start, trial.resource):
        trial.report(step + 1, loss=(trial.config["x"] - 0.3) ** 2 + 1 / (step + 1))


def plain(config):
    return {"score": config["x"], "cost": 1.0}


def failing(config):
    raise ValueError("it does not work")


def odd(config):
    if config["x"] > 0.3:
        raise ValueError(f"no [/b] for {config['x']}")
    return config["x"]


def endless(config):
    return float("inf")


def three(config, budget, more):
    return 0.0
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Each test in a folder of its own, without the caller's settings; its imports are forgotten."""
    monkeypatch.chdir(tmp_path)
    for name in ("RUNG_STORAGE", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    modules, path = set(sys.modules), list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(tmp_path.resolve()):
            del sys.modules[name]


@pytest.fixture
def objective(folder: Path) -> str:
    """A file with objectives `train`, `plain` and `failing`, and a space."""
    file = folder / f"objective_{next(_numbers)}.py"
    file.write_text(OBJECTIVE)
    return file.name


@pytest.fixture
def rung() -> Callable[..., Result]:
    """Runs a command in this process."""
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args], prog_name="rung")


@pytest.fixture
def study(objective: str, rung: Callable[..., Result]) -> str:
    """A finished study of 12 trials in rung.db."""
    made = rung(
        "tune", objective, "--trials", 12, "--executor", "inline", "--sampler", "random", "--study", "made"
    )
    assert made.exit_code == 0, made.stderr
    return "made"


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command in a process of its own, in the present folder; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*args: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "rung", *map(str, args)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()
