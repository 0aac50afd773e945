"""Where jobs run, from options and from the log's record; a cluster behind each door."""

import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rung.cli.engine import as_record, cluster_of, engine_of, from_record, jobs_at_once
from rung.cli.fit_order import Order
from rung.errors import StudyError, UserError
from rung.executors.needs import Needs
from rung.executors.setup import Engine
from rung.tabular import evaluate


@pytest.mark.parametrize(
    ("given", "engine"),
    [
        ((None, None, None), Engine("local")),
        (("inline", None, None), Engine("inline")),
        ((None, "auto", None), Engine("ray", "auto")),
        ((None, None, "gpus=1"), Engine("ray", None, Needs(gpus=1))),
        (("ray", "10.0.0.1:6379", "cpus=2"), Engine("ray", "10.0.0.1:6379", Needs(2))),
    ],
)
def test_options_and_back_from_the_log(given: tuple[str | None, ...], engine: Engine) -> None:
    assert engine_of(*given) == engine
    record = json.loads(json.dumps(as_record(engine, 3)))
    assert (from_record(record), record["workers"]) == (engine, 3)


def test_what_does_not_go_together() -> None:
    with pytest.raises(StudyError, match="an address can be given for the executor 'ray' only"):
        engine_of("local", "auto", None)
    with pytest.raises(StudyError, match="did you mean 'ray'"):
        engine_of("rays", None, None)
    with pytest.raises(UserError, match="searches on this machine or on ray, not by 'simulated'"):
        cluster_of("simulated", None, None, "searches")


def test_a_command_that_has_a_default_of_its_own() -> None:
    assert cluster_of(None, None, None, "searches") is None
    assert cluster_of("local", None, None, "searches") is None
    assert cluster_of(None, "auto", None, "searches") == Engine("ray", "auto")


def test_how_many_at_once() -> None:
    assert jobs_at_once(Engine("local"), None) == 1
    assert jobs_at_once(Engine("ray"), None) is None
    assert jobs_at_once(Engine("ray"), 4) == 4


def test_a_fit_that_is_asked_for_again_names_its_cluster() -> None:
    order = Order("t.csv", "y", executor="ray", address="auto", needs="cpus=2")
    words = order.command("rung.db", "s").split()
    assert words[words.index("--address") + 1] == "auto"
    assert words[words.index("--needs") + 1] == "cpus=2"
    assert order.engine == Engine("ray", "auto", Needs(2))


def test_a_deadline_on_a_machine_that_was_started_at_another_time(monkeypatch: pytest.MonkeyPatch) -> None:
    here = evaluate.Evaluation("f", "auc", time.monotonic() + 10, time.monotonic() + 20)
    sent = pickle.dumps(here)
    monotonic = time.monotonic
    monkeypatch.setattr(evaluate.time, "monotonic", lambda: monotonic() + 5000)
    there = pickle.loads(sent)  # our own
    assert there.end - evaluate.time.monotonic() == pytest.approx(10, abs=1)
    assert there.close - there.end == pytest.approx(10, abs=1e-3)


@pytest.mark.long
def test_a_fit_on_a_ray_of_its_own(tmp_path: Path) -> None:
    table = Path(__file__).parents[2] / "examples" / "data" / "census.csv"
    command = [sys.executable, "-m", "rung", "fit", str(table), "--target", "income", "--budget", "60s"]
    settings = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    settings |= {"HOME": str(tmp_path)}
    done = subprocess.run(
        [*command, "--executor", "ray", "--workers", "2", "--storage", "here.db", "--study", "s"],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    logs = list((tmp_path / "here.db.files").rglob("oof/trial-*.npz"))
    assert len(logs) > 1  # more than the first one, which is evaluated here
