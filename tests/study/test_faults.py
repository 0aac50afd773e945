"""Whole studies whose objectives do everything wrong, on local workers: each fault has its one outcome."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import rung
from rung.errors import LeaseError
from rung.storage import open_storage
from rung.study.audit import audit
from rung.study.records import trials
from rung.trials import events as ev
from rung.trials.events import Failure

SPACE = {"x": rung.Float(0.0, 1.0)}
FAULTS = ["nan", "inf", "raise", "infeasible", "nothing", "exit", "_exit", "segfault", "kill", "hang", "hog"]
LOST = {"_exit", "segfault", "kill"}  # run again
FAILURES = {
    "raise": Failure.ERROR,
    "infeasible": Failure.INFEASIBLE,
    "nothing": Failure.ERROR,
    "exit": Failure.ERROR,
    "hang": Failure.TIMEOUT,
    "hog": Failure.MEMORY,
    **dict.fromkeys(LOST, Failure.LOST),
}


def fail(how):
    match how:
        case "raise":
            raise ValueError("diverged")
        case "infeasible":
            raise rung.Infeasible("too large")
        case "exit":
            sys.exit(1)
        case "_exit":
            os._exit(1)
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "hog":
            held = [b"x" * (1 << 20) * (n + 1) for n in range(40)]
            time.sleep(600 * len(held))
    return {"nan": float("nan"), "inf": -float("inf")}.get(how)


def test_each_fault_has_one_outcome_and_the_others_go_on(tmp_path):
    def train(trial):
        how = (["sound", *FAULTS])[trial.number % 12]
        if how == "sound":
            trial.report(1, loss=trial.config["x"])
            return trial.config["x"]
        return fail(how)

    storage = open_storage(str(tmp_path / "s.db"))
    result = rung.tune(
        train,
        SPACE,
        resource=("epoch", 1, 3),
        sampler="random",
        workers=2,
        trials=24,
        retries=1,
        trial_time=5,
        trial_memory=600 << 20,
        storage=storage,
        study="s",
    )
    events = list(storage.read("s"))
    for record in result.trials:
        how = (["sound", *FAULTS])[record.number % 12]
        told = [e.failure for e in events if isinstance(e, ev.JobFailed) and e.trial == record.number]
        if how == "sound":
            assert (record.value, told) == (record.config["x"], [])
            continue
        assert str(record.state) == ("infeasible" if how == "infeasible" else "failed")
        assert record.value is None
        assert record.timing.attempts == (2 if how in LOST else 1)
        assert told == [FAILURES[how]] * record.timing.attempts if how in FAILURES else told == []
    sound = [record for record in result.trials if record.value is not None]
    assert [record.number for record in sound] == [0, 12]
    assert result.best.value == min(record.value for record in sound)
    assert not audit(events).differences
    storage.close()


@pytest.mark.parametrize("how", sorted(LOST))
def test_a_lost_job_runs_again_and_counts_once(tmp_path, how):
    def train(config):
        flag = tmp_path / "died"
        if not flag.exists():
            flag.touch()
            fail(how)
        return config["x"]

    result = rung.tune(train, SPACE, sampler="random", executor="local", trials=3)
    assert [trial.timing.attempts for trial in result.trials] == [2, 1, 1]
    assert [trial.value for trial in result.trials] == [trial.config["x"] for trial in result.trials]


def test_two_drivers_of_one_study(tmp_path):
    url = str(tmp_path / "s.db")
    settings = {"sampler": "random", "trials": 3, "storage": url, "study": "s"}
    first = rung.Study(SPACE, **settings)
    job = first.ask()
    with pytest.raises(LeaseError, match=f"is being written by process {os.getpid()}"):
        rung.Study(SPACE, **settings)
    code = f"import rung; rung.Study({{'x': rung.Float(0.0, 1.0)}}, **{settings!r})"
    beside = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"is being written by process {os.getpid()}" in beside.stderr
    first.tell(job, 0.5)
    first.close()
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["s", None])
def test_two_drivers_that_begin_at_the_same_moment(tmp_path, monkeypatch, name):
    store = open_storage(tmp_path / "s.db")
    made = []

    def make(*given):  # the other one begins after this one has looked, and before it begins
        if not made:
            made.append(rung.Study(SPACE, sampler="random", storage=tmp_path / "s.db", study=name))
        return create(*given)

    create = store.create
    monkeypatch.setattr(store, "create", make)
    if name is None:  # it gets another name
        assert rung.Study(SPACE, sampler="random", storage=store).name == "study-2"
        assert made[0].name == "study-1"
        return
    with pytest.raises(LeaseError, match=f"is being written by process {os.getpid()}"):
        rung.Study(SPACE, sampler="random", storage=store, study=name)


FILLING = textwrap.dedent(
    """
    import sys
    import rung
    from rung.errors import StorageError

    def train(config, budget):
        return config["x"] + 1 / budget

    try:
        rung.tune(train, {"x": rung.Float(0.0, 1.0)}, resource=("epoch", 1, 9), sampler="random", trials=300,
                  storage=sys.argv[1], study="s", executor="inline")
    except StorageError as error:
        sys.exit(f"SENTENCE {error}")
    """
)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files")
def test_a_disk_that_fills_up_loses_nothing(tmp_path):
    script, database = tmp_path / "driver.py", tmp_path / "s.db"
    script.write_text(FILLING)

    def fill(size):
        limit = None if size is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        command = [sys.executable, str(script), str(database)]
        return subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)

    full = fill(200 << 10)
    assert full.returncode == 1
    assert full.stderr.startswith("SENTENCE the disk")
    assert "`rung resume s --storage" in full.stderr
    storage = open_storage(str(database))
    before = list(storage.read("s"))
    assert 0 < sum(isinstance(event, ev.JobFinished) for event in before) < 300
    assert fill(None).returncode == 0
    after = list(storage.read("s"))
    assert after[: len(before)] == before
    assert not audit(after).differences
    whole = rung.tune(
        lambda config, budget: config["x"] + 1 / budget,
        SPACE,
        resource=("epoch", 1, 9),
        sampler="random",
        trials=300,
    )
    study = rung.Study.open(storage, "s")
    found = trials(after)
    assert [(t.config, t.observations) for t in found] == [(t.config, t.observations) for t in whole.trials]
    study.close()
    storage.close()
