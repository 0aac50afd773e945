"""Real processes, killed with SIGKILL at random moments: nothing is lost, nothing doubled."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from rung.storage import open_storage
from rung.study.audit import audit
from rung.study.records import trials
from rung.study.study import Study

DRIVER = textwrap.dedent(
    """
    import json, sys, time
    from pathlib import Path
    import rung

    def value(x, epoch):
        return x + 1.0 / epoch

    def train(trial):
        total = 0.0
        if trial.checkpoint:
            saved = json.loads((Path(trial.checkpoint) / "state.json").read_text())
            assert saved["epoch"] == trial.start, (saved, trial.start)
            total = saved["total"]
        for epoch in range(trial.start, trial.resource):
            time.sleep(float(sys.argv[4]))
            total += value(trial.config["x"], epoch + 1)
            def save(folder, epoch=epoch, total=total):
                (Path(folder) / "state.json").write_text(json.dumps({"epoch": epoch + 1, "total": total}))
            keep = {"save": save} if sys.argv[3] == "save" else {}
            trial.report(epoch + 1, loss=total, **keep)

    rung.tune(
        train, {"x": rung.Float(0.0, 1.0)}, resource=("epoch", 1, 9), eta=3, trials=27,
        sampler="random", scheduler="asha", workers=int(sys.argv[2]), executor="local",
        storage=sys.argv[1], study="s", retries=1000,
    )
    """
)


def expected_total(x: float, epochs: int) -> float:
    total = 0.0
    for epoch in range(epochs):
        total += x + 1.0 / (epoch + 1)
    return total


def start(script: Path, database: Path, workers: int, saving: str, pace: float) -> subprocess.Popen:
    command = [sys.executable, str(script), str(database), str(workers), saving, str(pace)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def kill_something(driver: subprocess.Popen, choice: random.Random) -> None:
    try:
        workers = psutil.Process(driver.pid).children()
    except psutil.NoSuchProcess:
        return
    what = choice.choice(["driver", "worker", "all"])
    victims = (
        [] if what == "driver" or not workers else workers if what == "all" else [choice.choice(workers)]
    )
    for pid in [worker.pid for worker in victims] + ([driver.pid] if what != "worker" else []):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("workers", "saving"), [(1, "bare"), (2, "save")])
def test_killed_at_random_moments(tmp_path, workers, saving):
    kill_and_compare(tmp_path, workers, saving, rounds=4, seed=workers, pace=0.01)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("workers", "saving"), [(1, "save"), (2, "save"), (3, "bare")])
def test_killed_many_times(tmp_path, workers, saving, seed):
    kill_and_compare(tmp_path, workers, saving, rounds=25, seed=seed, pace=0.1)


def kill_and_compare(
    tmp_path: Path, workers: int, saving: str, *, rounds: int, seed: int, pace: float
) -> None:
    """`pace` is the length of an epoch, in seconds: a study takes some 70 of them on one worker."""
    script, database = tmp_path / "driver.py", tmp_path / "s.db"
    script.write_text(DRIVER)
    choice = random.Random(seed)
    for _ in range(rounds):
        driver = start(script, database, workers, saving, pace)
        time.sleep(choice.uniform(0.6, 1.4))
        kill_something(driver, choice)
        if driver.poll() is None:
            time.sleep(choice.uniform(0.0, 0.4))
            driver.kill()
        driver.communicate()
    driver = start(script, database, workers, saving, pace)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 0, errors

    storage = open_storage(str(database))
    events = list(storage.read("s"))
    study = Study.open(storage, "s")
    records = trials(events)
    assert [record.number for record in records] == list(range(27))
    assert {str(record.state) for record in records} <= {"paused", "complete"}
    for record in records:
        epochs = [observation.resource for observation in record.observations]
        assert epochs == list(range(1, max(epochs) + 1))
        for observation in record.observations:
            assert observation.metrics["loss"] == expected_total(record.config["x"], observation.resource)
    assert study.history.spent == sum(
        # what was started: 1, then 2 or 3, then 6 or 9, by whether a checkpoint carried the trial
        {1: 1, 3: 3 if saving == "save" else 4, 9: 9 if saving == "save" else 13}[record.resource]
        for record in records
    )
    if workers == 1:
        assert sum(record.resource == 9 for record in records) >= 3
    assert not audit(events).differences
    study.close()
    storage.close()


LAST = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    import rung

    def train(trial):
        with Path(sys.argv[1], "starts").open("a") as starts:
            starts.write(f"{trial.start} ")
        for epoch in range(trial.start, trial.resource):
            save = (lambda folder: Path(folder, "state").write_text("")) if sys.argv[2] == "save" else None
            trial.report(epoch + 1, save=save, loss=trial.config["x"])
        if sys.argv[3] == "die":
            os.kill(os.getpid(), signal.SIGKILL)

    rung.tune(
        train, {"x": rung.Float(0.0, 1.0)}, resource=("epoch", 9, 9), trials=1, sampler="random",
        scheduler="plain", storage=sys.argv[1] + "/rung.db", study="s",
    )
    """
)


@pytest.mark.parametrize(("saving", "starts"), [("save", "0 9 "), ("none", "0 0 ")])
def test_a_study_that_died_after_a_jobs_last_report_counts_it_once(tmp_path, saving, starts):
    """It runs again: nothing is left to train where its checkpoint was saved, and all where none was."""
    for end, code in (("die", -signal.SIGKILL), ("live", 0)):
        done = subprocess.run([sys.executable, "-c", LAST, tmp_path, saving, end], check=False)
        assert done.returncode == code
    assert (tmp_path / "starts").read_text() == starts
    with contextlib.closing(open_storage(str(tmp_path / "rung.db"))) as storage:
        (record,) = trials(storage.read("s"))
    assert (record.state, record.timing.attempts, len(record.observations)) == ("complete", 2, 9)
