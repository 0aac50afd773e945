"""`rung.Client.run` in a study that limits a job's time or memory."""

import threading
import time

import pytest

import rung
from rung.errors import StudyError
from rung.trials import events as ev
from rung.trials.events import Failure
from support.live_service import live

SPACE = {"x": rung.Float(0.0, 1.0)}


def events(client, name, kind):
    return [event for _, event in client.events(name, follow=False) if isinstance(event, kind)]


def test_a_job_over_its_time_ends_as_in_a_study_of_this_machine(client):
    def hangs(config):
        time.sleep(60)
        return config["x"]

    client.create(SPACE, name="slow", trials=3, trial_time=0.3, sampler="random")
    assert client.run("slow", hangs, slots=2) == 3
    ours = rung.Study(SPACE, trials=1, trial_time=0.3, sampler="random")
    ours.run(hangs)
    local = [event for event in ours.events() if isinstance(event, ev.JobFailed)]
    there = events(client, "slow", ev.JobFailed)
    assert [event.failure for event in there] == [Failure.TIMEOUT] * 3
    assert {event.message for event in (*there, *local)} == {"the job took longer than its limit of 0.3 s"}
    assert [one["state"] for one in client.trials("slow")] == ["failed"] * 3


def test_a_program_over_its_time_is_killed(client):
    client.create(SPACE, name="slow program", trials=1, trial_time=0.3, sampler="random")
    assert client.run("slow program", rung.Command("sleep 60")) == 1
    assert events(client, "slow program", ev.JobFailed)[0].failure is Failure.TIMEOUT


def test_a_job_over_its_memory_ends_as_in_a_study_of_this_machine(client):
    def hogs(config):
        held = bytearray(400 << 20)
        time.sleep(60)
        return len(held)

    client.create(SPACE, name="large", trials=1, trial_memory=200 << 20, sampler="random")
    assert client.run("large", hogs) == 1
    assert events(client, "large", ev.JobFailed)[0].failure is Failure.MEMORY


def test_jobs_within_their_limits_report_save_and_go_on(client, tmp_path):
    def train(trial):
        print(f"from {trial.start}")
        began = 0
        if trial.checkpoint is not None:
            with open(f"{trial.checkpoint}/at") as file:
                began = int(file.read())
        assert began == trial.start

        def save(folder):
            with open(f"{folder}/at", "w") as file:
                file.write(str(trial.resource))

        for epoch in range(trial.start + 1, trial.resource + 1):
            trial.report(
                epoch, loss=trial.config["x"] / epoch, save=save if epoch == trial.resource else None
            )

    client.create(
        SPACE, name="within", resource="epoch:1:9", trials=9, trial_time="10m", seed=3, sampler="random"
    )
    assert client.run("within", train, slots=2) >= 12
    info = client.study("within")
    assert (info.state, info.trials, info.lost_leases) == ("done", 9, 0)
    assert not events(client, "within", ev.JobFailed)
    assert any(event.resource == 9 for event in events(client, "within", ev.Reported))
    assert "from 0" in client.logs("within", 0)


def test_a_job_with_limits_stops_when_the_service_says_so(client, tmp_path):
    begun = tmp_path / "begun"

    def train(trial):
        for step in range(1, 100_000):
            trial.report(step, loss=1.0)
            begun.touch()
            time.sleep(0.02)

    client.create(
        SPACE, name="told", resource="step:100000:100000", trials=1, trial_time="1h", sampler="random"
    )
    runner = threading.Thread(target=client.run, args=("told", train))
    runner.start()
    while not begun.exists():
        time.sleep(0.05)
    client.stop("told")
    runner.join(60)
    assert not runner.is_alive()
    assert len(events(client, "told", ev.JobStopped)) == 1
    assert client.study("told").state == "done"


def test_a_job_with_limits_that_does_not_stop_is_killed(tmp_path, monkeypatch):
    """It reports nothing: that it is to stop is heard with the lease, a third of which is a second here."""
    monkeypatch.setattr("rung.service.outside._GRACE", 0.2)
    begun = tmp_path / "begun"

    def train(config):
        if not begun.exists():
            begun.touch()
            time.sleep(600)
        return 1.0

    with (
        live(tmp_path / "rung.db", lease=3.0) as service,
        rung.Client(service.url, service.tokens["ann"]) as client,
    ):
        client.create(SPACE, name="deaf", trials=1, trial_time="1h", sampler="random")
        runner = threading.Thread(target=client.run, args=("deaf", train))
        runner.start()
        while not begun.exists():
            time.sleep(0.05)
        client.stop("deaf")
        runner.join(60)
        assert not runner.is_alive()
        assert len(events(client, "deaf", ev.JobStopped)) == 1
        client.resume("deaf")
        assert client.run("deaf", train) == 1
        assert client.study("deaf").incumbent["value"] == 1.0


def test_who_asks_is_told_what_a_job_may_take(client):
    client.create(SPACE, name="asked", trials=2, trial_time="5m", trial_memory=1 << 30, sampler="random")
    job = client.ask("asked").job
    assert (job.trial_seconds, job.trial_memory) == (300, 1 << 30)
    client.create(SPACE, name="free", trials=2, sampler="random")
    job = client.ask("free").job
    assert (job.trial_seconds, job.trial_memory) == (None, None)


def test_a_function_that_cannot_be_run_takes_no_job(client):
    lock = threading.Lock()

    def locked(config):
        with lock:
            return config["x"]

    client.create(SPACE, name="locked", trials=2, trial_time="5m", sampler="random")
    with pytest.raises(StudyError, match=r"limits a job's time.*cannot be sent there \(TypeError: .*lock"):
        client.run("locked", locked)
    with pytest.raises(StudyError, match=r"it must take \(trial\), \(config\) or \(config, budget\)"):
        client.run("locked", lambda: 0.0)
    assert client.study("locked").begun == 0
