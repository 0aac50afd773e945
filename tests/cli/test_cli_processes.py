"""The command as a process: interrupts, requests from beside, and two writers of one study."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rung.errors import RungError
from rung.storage import open_storage
from rung.trials.events import Reported

SLOW = """
import time
from pathlib import Path
import rung

space = {"x": rung.Float(0.0, 1.0)}
resource = ("step", 1, 9)


def train(trial):
    for step in range(trial.start, trial.resource):
        time.sleep(0.02)
        trial.report(step + 1, loss=trial.config["x"], save=lambda at: Path(at, "step").write_text("1"))


def deaf(trial):
    trial.report(1, loss=0.0)
    while True:
        time.sleep(0.02)
"""


@pytest.fixture
def slow(folder: Path) -> str:
    (folder / "slow_objective.py").write_text(SLOW)
    return "slow_objective.py"


def reports(name: str) -> int:
    """How many reports the study's log holds by now."""
    if not Path("rung.db").exists():
        return 0
    storage = open_storage("rung.db")
    try:
        return sum(isinstance(event, Reported) for event in storage.read(name))
    except RungError:  # not yet there
        return 0
    finally:
        storage.close()


def wait_for_reports(process: subprocess.Popen[str], name: str, count: int) -> None:
    while reports(name) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def test_an_interrupt_saves_and_says_how_to_go_on(rung, start, slow: str) -> None:
    process = start("tune", slow, "--trials", 30, "--study", "s", "--workers", 2)
    wait_for_reports(process, "s", 4)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with: rung resume s\n" in said
    assert "Traceback" not in said
    before = json.loads(rung("export", "s").stdout)
    assert len(before) < 30
    assert "running" not in {trial["state"] for trial in before}
    rung("resume", "s", "--executor", "inline", "-q")
    after = json.loads(rung("export", "s").stdout)
    assert len(after) == 30
    assert [trial["config"] for trial in after[: len(before)]] == [trial["config"] for trial in before]
    assert rung("audit", "s").exit_code == 0


def test_the_second_interrupt_ends_it_at_once(rung, start, slow: str) -> None:
    process = start("tune", f"{slow}:deaf", "--trials", 5, "--study", "s")
    wait_for_reports(process, "s", 1)
    process.send_signal(signal.SIGINT)
    said = ""
    while "Ctrl-C again stops at once" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with: rung resume s\n" in said + rest
    assert "Traceback" not in said + rest
    assert [len(trial["observations"]) for trial in json.loads(rung("export", "s").stdout)] == [1]


def test_two_writers_of_one_study(rung, start, slow: str) -> None:
    process = start("tune", slow, "--trials", 5000, "--study", "s")
    wait_for_reports(process, "s", 1)
    second = rung("resume", "s")
    assert second.exit_code == 2
    assert str(process.pid) in second.stderr
    assert json.loads(rung("list", "--json").stdout)[0]["writer"] is not None
    assert rung("delete", "s", "--yes").exit_code == 2


@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_a_request_from_beside(rung, start, slow: str, verb: str) -> None:
    process = start("tune", slow, "--trials", 5000, "--study", "s")
    wait_for_reports(process, "s", 1)
    assert rung(verb, "s").exit_code == 0
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "by request" in said
    assert "go on with: rung resume s" in said
    assert len(json.loads(rung("export", "s").stdout)) < 5000
